// What a disk may hold after a power cut: the model, and the reading of a trace into it.
//
// Positions. Event i of the trace has position i; a cut c means that the events 0..<c happened and no later one.
//
// File content. A write, truncation or allocation is volatile from its event on and durable from the end of the first
// sync of the same file that began after it and succeeded. A write through an O_DSYNC descriptor makes itself durable
// when it returns, with the file's earlier changes of size, but not the file's earlier writes. sync_file_range makes
// nothing durable. A sync that fails does not count, and what it should have covered can never become durable by a
// later one: the kernel has marked those pages clean.
//
// Times that a program sets are a change of the file like a write, but fdatasync does not cover them. Times that a write
// leaves are not kept.
//
// Names. Creating, renaming, linking and unlinking are volatile until an fsync of the folder that holds the name; a
// rename between two folders is an addition and a removal, and the removal never survives without the addition. With
// `fileSyncPersistsNewNames` (ext4, XFS) a sync of a file also makes the names it has been given durable; without it
// (POSIX) a program must sync the folder itself.
//
// What survives of the volatile part is drawn in PowerCutImage.swift.
//
// Rejected: keeping whole images per position (memory); treating a sync as instantaneous (it hides the writes which
// other threads make while it runs, and those are what group commit with an overlapped sync must get right).

import Glibc
import InputSupport

/// How strict the file system is assumed to be.
package struct PowerCutModel: Equatable, Sendable {
    /// A sync of a file also persists its names, as ext4 and XFS do. Off: only an fsync of the folder does.
    package var fileSyncPersistsNewNames: Bool
    package init(fileSyncPersistsNewNames: Bool = false) { self.fileSyncPersistsNewNames = fileSyncPersistsNewNames }
}

/// A recorded run, ready to be cut anywhere.
package final class PowerCutTrace: Sendable {
    package let events: [PowerCutEvent]
    /// All syncs of the run, with the paths that the files had when they were synced.
    package let syncs: [PowerCutSync]
    /// What the recorder saw and cannot replay, such as a writable shared mapping; a test should know each of them.
    package let unsupported: [String]

    let bytes: [UInt8]
    let base: String?
    let model: PowerCutModel
    let nodes: [PowerCutNode]
    let directoryChanges: [PowerCutDirectoryChange]
    /// (position from which it is durable, node, index in the node's changes), ascending.
    let durabilityEvents: [PowerCutDurability]
    private let omitted: Set<Int>

    /// - Parameters:
    ///   - path: the file the recorder wrote.
    ///   - base: a copy of the root folder as it was when recording began, when it was not empty; counted as durable.
    package convenience init(
        contentsOf path: String, base: String? = nil, model: PowerCutModel = .init()
    ) throws(PowerCutTraceError) {
        try self.init(bytes: PowerCutFile.read(path), base: base, model: model)
    }

    package init(
        bytes: [UInt8], base: String? = nil, model: PowerCutModel = .init(), omittingSyncsAt omitted: Set<Int> = []
    ) throws(PowerCutTraceError) {
        var reader = PowerCutEventReader(bytes)
        var events: [PowerCutEvent] = []
        while let event = try reader.next() { events.append(event) }
        var builder = PowerCutModelBuilder(model: model, omitted: omitted)
        if let base { try builder.load(base: base) }
        for (position, event) in events.enumerated() { try builder.add(event, at: position) }
        self.bytes = bytes
        self.base = base
        self.model = model
        self.events = events
        self.omitted = omitted
        syncs = builder.syncs
        nodes = builder.nodes
        directoryChanges = builder.directoryChanges
        durabilityEvents = builder.durability.sorted {
            ($0.position, $0.node, $0.change) < ($1.position, $1.node, $1.change)
        }
        unsupported = events.compactMap { if case .unsupported(let text) = $0 { text } else { nil } }
    }

    /// Number of places to cut at: the cuts are `0..<cuts`, the last one after every event.
    package var cuts: Int { events.count + 1 }

    /// The acknowledgements that had been given before the cut, in order.
    package func acks(before cut: Int) -> [[UInt8]] {
        events.prefix(cut).compactMap {
            if case .acknowledgement(let payload) = $0 { Array(bytes[payload]) } else { nil }
        }
    }

    /// `count` cuts, ascending, spread evenly with a random step inside each part; the last is the end of the run.
    package func sampledCuts(_ count: Int, seed: UInt64) -> [Int] {
        guard count < cuts else { return Array(0..<cuts) }
        var random = SeededGenerator(seed: seed, cut: cuts)
        return (1...count).map { part in
            let start = (part - 1) * cuts / count
            return part == count ? cuts - 1 : start + random.below(part * cuts / count - start)
        }
    }

    /// The same run on a disk that ignored some syncs. It shows that a harness notices a missing one.
    package func removingSyncs(where remove: (PowerCutSync) -> Bool) throws(PowerCutTraceError) -> PowerCutTrace {
        let positions = syncs.filter(remove).map(\.position)
        return try PowerCutTrace(bytes: bytes, base: base, model: model, omittingSyncsAt: omitted.union(positions))
    }
}

/// Never: the position of what no sync covered.
let powerCutNever = Int.max

/// A change of a file's content or size.
struct PowerCutFileChange: Sendable {
    enum Kind: Sendable {
        case write(offset: Int, payload: Range<Int>)
        case truncate(size: Int)
        case allocate(offset: Int, length: Int, keepsSize: Bool, zeroes: Bool)
        case times(seconds: Int, nanoseconds: Int)
    }
    let position: Int
    var kind: Kind
    var durableFrom = powerCutNever

    var changesSize: Bool {
        switch kind {
        case .write, .times: false
        case .truncate, .allocate: true
        }
    }

    /// A sync of data alone says nothing of it.
    var isTimes: Bool {
        if case .times = kind { true } else { false }
    }
}

/// A change of names in one folder; all its edits survive or none.
struct PowerCutDirectoryChange: Sendable {
    struct Edit: Sendable {
        let directory: Int
        let name: String
        /// The file the name stands for from now on; nil removes the name.
        let node: Int?
    }
    let position: Int
    let edits: [Edit]
    /// Index of another change without which this one does not survive.
    var needs: Int?
    var durableFrom = powerCutNever
}

/// A file or folder, under whatever names.
struct PowerCutNode: Sendable {
    let isDirectory: Bool
    /// Of a symbolic link, which has it from the moment it has a name.
    var linkTarget: String?
    /// The file's number while it was recorded.
    var inode: UInt64?
    /// Path in the base folder, for what was there before the trace.
    var basePath: String?
    var changes: [PowerCutFileChange] = []
    /// Names of a folder that were there before the trace.
    var baseEntries: [String: Int] = [:]
}

struct PowerCutDurability: Sendable {
    let position: Int
    let node: Int
    let change: Int
}
