// Builds the folder that a disk may hold after a cut. What is durable at the cut is always in it; what is volatile is
// drawn from the seed, by these rules:
//
//   .none    nothing volatile survives.
//   .all     everything survives: what a kill of the process leaves.
//   .random  Each file first draws its fate: all lost, all kept, or (three in five) mixed. In a mixed file each write
//            survives whole, not at all, or torn, with equal chance; a torn write loses a random set of its 512-octet
//            sectors (aligned in the file), and the lost sectors keep what was there. A lost or torn write beyond the
//            end of the file may still have grown it, with zeros (one in four).
//            Truncations and allocations of one file survive as a prefix, as a journal replays them. Where a truncation
//            is lost, later writes beyond its size are lost too: they went to blocks that only come after it.
//            Names draw a fate in the same way, once for the image; in a mixed one each change of names survives with
//            chance one half, but never without the earlier changes of the same name.
//
// Speed: a builder keeps one folder with the durable content of every file and moves it forward with ascending cuts, so
// an image costs a sparse copy of the files and the volatile tail. Put both on a memory file system.
//
// Invariant: changes of one file are applied in the order they were made. A change that becomes durable after a later
// one did (O_DSYNC) is applied followed by every durable change that came after it.

import Glibc
import InputSupport

package enum PowerCutMode: Sendable, CaseIterable {
    case none, random, all
}

extension PowerCutTrace {
    /// Builds one image in `directory`, which is emptied or made. For many cuts use a `PowerCutImageBuilder`.
    package func buildImage(
        at cut: Int, mode: PowerCutMode, seed: UInt64, into directory: String
    ) throws(PowerCutTraceError) {
        let scratch = directory + ".durable"
        defer { PowerCutFile.removeTree(scratch) }
        try PowerCutImageBuilder(self, scratch: scratch).buildImage(at: cut, mode: mode, seed: seed, into: directory)
    }
}

/// Builds images of one trace; cheap when the cuts ascend.
package final class PowerCutImageBuilder {
    static let sectorOctets = 512

    private enum Fate { case lost, kept, mixed }

    private let trace: PowerCutTrace
    private let scratch: String
    private var durableUpTo = 0
    private var nextDurability = 0
    /// Nodes that have a file in the scratch folder.
    private var stored: Set<Int> = []
    /// Files of the last image: their numbers there, and the numbers that they had while they were recorded. A disk that
    /// comes back has the old ones.
    package private(set) var numbers: [(image: UInt64, recorded: UInt64)] = []

    /// - Parameter scratch: folder of the builder's own, emptied or made.
    package init(_ trace: PowerCutTrace, scratch: String) throws(PowerCutTraceError) {
        self.trace = trace
        self.scratch = scratch
        try restart()
    }

    /// Builds the image of the cut in `directory`, which is emptied or made.
    package func buildImage(
        at cut: Int, mode: PowerCutMode, seed: UInt64, into directory: String
    ) throws(PowerCutTraceError) {
        if cut < durableUpTo { try restart() }
        try advance(to: cut)
        PowerCutFile.removeTree(directory)
        try PowerCutFile.makeDirectory(directory)
        var random = SeededGenerator(seed: seed, cut: cut)
        let entries = survivingEntries(at: cut, mode, &random)
        var linked: [Int: String] = [:]
        numbers = []
        try build(directory: 0, at: directory, entries, cut, mode, &random, &linked)
    }

    // MARK: Durable content

    private func restart() throws(PowerCutTraceError) {
        PowerCutFile.removeTree(scratch)
        try PowerCutFile.makeDirectory(scratch)
        durableUpTo = 0
        nextDurability = 0
        stored = []
        for (index, node) in trace.nodes.enumerated() {
            guard let path = node.basePath else { continue }
            try PowerCutFile.copySparse(from: path, to: durablePath(index))
            stored.insert(index)
        }
    }

    private func durablePath(_ node: Int) -> String { "\(scratch)/\(node)" }

    private func advance(to cut: Int) throws(PowerCutTraceError) {
        var firstChanged: [Int: Int] = [:]
        while nextDurability < trace.durabilityEvents.count, trace.durabilityEvents[nextDurability].position < cut {
            let event = trace.durabilityEvents[nextDurability]
            firstChanged[event.node] = min(firstChanged[event.node] ?? event.change, event.change)
            nextDurability += 1
        }
        for (node, first) in firstChanged {
            let file = try PowerCutFile(durablePath(node), bytes: trace.bytes)
            stored.insert(node)
            for change in trace.nodes[node].changes[first...] {
                if change.position >= cut { break }
                if change.durableFrom < cut { try file.apply(change.kind) }
            }
        }
        durableUpTo = cut
    }

    // MARK: Names

    private func drawFate(_ mode: PowerCutMode, _ random: inout SeededGenerator) -> Fate {
        switch mode {
        case .none: .lost
        case .all: .kept
        case .random: [.lost, .kept, .mixed, .mixed, .mixed][random.below(5)]
        }
    }

    private struct Name: Hashable {
        let directory: Int
        let name: String
    }

    private func survivingEntries(
        at cut: Int, _ mode: PowerCutMode, _ random: inout SeededGenerator
    ) -> [Int: [String: Int]] {
        var entries: [Int: [String: Int]] = [:]
        for (index, node) in trace.nodes.enumerated() where node.isDirectory { entries[index] = node.baseEntries }
        let fate = drawFate(mode, &random)
        var broken: Set<Name> = []
        var lost: Set<Int> = []
        for (index, change) in trace.directoryChanges.enumerated() {
            if change.position >= cut { break }
            let names = change.edits.map { Name(directory: $0.directory, name: $0.name) }
            var survives = change.durableFrom < cut
            if !survives {
                survives = fate == .kept || (fate == .mixed && random.below(2) == 0)
                if !broken.isDisjoint(with: names) { survives = false }
                if let needed = change.needs, lost.contains(needed) { survives = false }
            }
            if survives {
                for edit in change.edits { entries[edit.directory, default: [:]][edit.name] = edit.node }
            } else {
                broken.formUnion(names)
                lost.insert(index)
            }
        }
        return entries
    }

    private func build(
        directory: Int, at path: String, _ entries: [Int: [String: Int]], _ cut: Int, _ mode: PowerCutMode,
        _ random: inout SeededGenerator, _ linked: inout [Int: String]
    ) throws(PowerCutTraceError) {
        for (name, node) in (entries[directory] ?? [:]).sorted(by: { $0.key < $1.key }) {
            let child = "\(path)/\(name)"
            if trace.nodes[node].isDirectory {
                try PowerCutFile.makeDirectory(child)
                try build(directory: node, at: child, entries, cut, mode, &random, &linked)
            } else if let target = trace.nodes[node].linkTarget {
                try PowerCutFile.symbolicLink(target, child)
            } else if let first = linked[node] {
                try PowerCutFile.link(first, child)
            } else {
                linked[node] = child
                try buildFile(node, at: child, cut, mode, &random)
                if let recorded = trace.nodes[node].inode, let number = PowerCutFile.number(child) {
                    numbers.append((number, recorded))
                }
            }
        }
    }

    // MARK: Content

    private func buildFile(
        _ node: Int, at path: String, _ cut: Int, _ mode: PowerCutMode, _ random: inout SeededGenerator
    ) throws(PowerCutTraceError) {
        if stored.contains(node) { try PowerCutFile.copySparse(from: durablePath(node), to: path) }
        let file = try PowerCutFile(path, bytes: trace.bytes)
        let changes = trace.nodes[node].changes
        guard let first = changes.firstIndex(where: { $0.durableFrom >= cut }) else { return }
        let fate = drawFate(mode, &random)
        var sizesLost = false
        var reachable = Int.max
        for change in changes[first...] {
            if change.position >= cut { break }
            if change.durableFrom < cut || fate == .kept {
                try file.apply(change.kind)
            } else if change.changesSize {
                if fate == .mixed, !sizesLost, random.below(2) == 0 {
                    try file.apply(change.kind)
                } else {
                    sizesLost = true
                    if case .truncate(let size) = change.kind, size < file.size { reachable = min(reachable, size) }
                }
            } else if change.isTimes {
                if fate == .mixed, random.below(2) == 0 { try file.apply(change.kind) }
            } else if fate == .mixed, case .write(let offset, let payload) = change.kind {
                try drawWrite(offset, payload.prefix(max(0, reachable - offset)), to: file, &random)
            }
        }
    }

    private func drawWrite(
        _ offset: Int, _ payload: Range<Int>, to file: borrowing PowerCutFile, _ random: inout SeededGenerator
    ) throws(PowerCutTraceError) {
        let end = offset + payload.count
        let draw = random.below(3)
        if draw == 0 { return try file.apply(.write(offset: offset, payload: payload)) }
        if draw == 1 {
            var at = offset
            while at < end {
                let next = min(end, (at / Self.sectorOctets + 1) * Self.sectorOctets)
                if random.below(2) == 0 {
                    let start = payload.lowerBound + at - offset
                    try file.apply(.write(offset: at, payload: start..<(start + next - at)))
                }
                at = next
            }
        }
        if random.below(4) == 0, end > file.size { try file.apply(.truncate(size: end)) }
    }
}
