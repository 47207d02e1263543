// Bits that flip and rows that change behind the store's back: found, or in octets that nothing reads.
//
// A store is copied, one bit of the copy is turned, and a child process walks its pages, opens it, verifies it with all
// bodies and compares it with its replay. A flip that none of these finds must leave every row of every table and every
// body as they were. A crash of the child is never an answer: the walk of the pages is there to prevent it.
import Foundation
import InputSupport
import PowerCutSupport
import Testing

@Suite struct DamageTests {
    /// A small closed store with all kinds of rows, and the digest of what it says.
    /// A store, with rows that wait for a fold or without, and what it holds when all of them are folded.
    private static func makeStore(_ scratch: Scratch, unfolded: Bool = false) throws -> String {
        let settings = ["requests=25", "seed=5", "large-every=0", "body-max=3000", "segment=65536"]
        let run = try WorkloadRun(scratch, settings)
        #expect(run.status == 0, "\(run.output)")
        if unfolded {
            let more = try WorkloadRun(scratch, settings + ["requests=8", "leave-tail=1", "fold-rows=1000000"])
            #expect(more.status == 0 && !more.output.contains("unfolded 0 "), "\(more.output)")
        }
        // Each look at a store folds at its end, so the first digest may be one of a store that was not folded.
        try FileManager.default.copyItem(atPath: scratch("store"), toPath: scratch("folded"))
        var digest = ""
        for _ in 1...2 {
            digest = try PowerCutPreload.run(BuiltPrograms.workload, ["digest", scratch("folded")]).output
                .trimmingCharacters(in: .whitespacesAndNewlines)
        }
        #expect(digest.count == 64, "\(digest)")
        // The library makes it anew.
        try FileManager.default.removeItem(atPath: scratch("store/shard-0000/lock.mdb"))
        return digest
    }

    /// Octets in use: database pages up to the last one, whole segments up to the zeros that are allocated ahead.
    private static func filesInUse(_ store: String) throws -> [(name: String, octets: Int)] {
        try FileManager.default.subpathsOfDirectory(atPath: store).sorted().compactMap { name in
            guard let data = FileManager.default.contents(atPath: "\(store)/\(name)"), !data.isEmpty else { return nil }
            if name.hasSuffix("data.mdb") || name.hasSuffix(".seg") {
                return (name, (data.lastIndex { $0 != 0 } ?? 0) + 1)
            }
            return name == "STORE" ? (name, data.count) : nil
        }
    }

    @Test("every flipped bit is found, or nothing ever reads it", arguments: [false, true])
    func flips(unfolded: Bool) throws {
        let flips = soakCount("LETTERLOG_SOAK_FLIPS", ci: unfolded ? 120 : 240)
        let scratch = try Scratch()
        let digest = try Self.makeStore(scratch, unfolded: unfolded)
        let inspect = CheckProcess("inspect")
        try FileManager.default.copyItem(atPath: scratch("store"), toPath: scratch("copy"))
        #expect(try inspect.ask(scratch("copy"), digest) == "same")
        let files = try Self.filesInUse(scratch("store"))
        #expect(files.count >= 3)
        let seed = ProcessInfo.processInfo.environment["LETTERLOG_SEED"].flatMap { UInt64($0) } ?? 20_261_123
        var random = SeededGenerator(seed: seed)
        var verdicts = Verdicts()
        for flip in 0..<flips {
            // Half of them in the database, the manifest now and then, the rest in segments.
            let database = files.first { $0.name.hasSuffix("data.mdb") }
            let segments = files.filter { $0.name.hasSuffix(".seg") }
            let file =
                flip % 25 == 0
                ? files.first { $0.name == "STORE" }
                : flip % 3 > 0 ? database : segments[Int.random(in: 0..<segments.count, using: &random)]
            let (name, octets) = try #require(file)
            let (at, bit) = (Int.random(in: 0..<octets, using: &random), Int.random(in: 0..<8, using: &random))
            _ = try? FileManager.default.removeItem(atPath: scratch("copy"))
            try FileManager.default.copyItem(atPath: scratch("store"), toPath: scratch("copy"))
            let handle = try FileHandle(forUpdating: URL(filePath: scratch("copy/\(name)")))
            try handle.seek(toOffset: UInt64(at))
            let octet = try #require(try handle.read(upToCount: 1)?.first)
            try handle.seek(toOffset: UInt64(at))
            try handle.write(contentsOf: Data([octet ^ UInt8(1 << bit)]))
            try handle.close()
            let verdict = try inspect.ask(scratch("copy"), digest)
            verdicts.note(verdict, at: "\(name), octet \(at), bit \(bit), seed \(seed)")
        }
        let found = ["refused", "violation", "difference"].reduce(0) { $0 + (verdicts.counts[$1] ?? 0) }
        #expect(found + (verdicts.counts["same"] ?? 0) == flips, "\(verdicts)")
        #expect(found > flips / 3, "\(verdicts)")
    }

    /// What the first check that notices it calls it; the seal of the last batches is looked at on opening.
    static let damages: [(kind: String, verdicts: [String])] = [
        ("record-rewritten", ["refused", "violation"]), ("record-rewritten-first", ["violation", "refused"]),
        ("record-removed", ["refused", "violation"]), ("record-removed-last", ["refused"]),
        ("seal-changed", ["refused"]), ("message-changed", ["violation", "difference"]),
        ("head-changed", ["violation", "difference"]), ("mailbox-changed", ["violation", "difference"]),
        ("message-dropped", ["violation"]), ("change-dropped", ["violation", "difference"]),
        ("name-dropped", ["violation"]), ("references-changed", ["violation"]), ("body-row-dropped", ["violation"]),
        ("mark-changed", ["refused"]), ("mark-dropped", ["refused"]), ("mark-behind", ["refused"]),
        ("mark-early", ["refused"]), ("mark-ahead", ["refused"]),
    ]

    /// The same where rows wait for a fold: damage to the records that they come from is found at the open.
    static let unfoldedDamages: [(kind: String, verdicts: [String])] = [
        ("record-rewritten", ["refused", "violation"]), ("record-removed-last", ["refused"]),
        ("seal-changed", ["refused"]), ("message-changed", ["violation", "difference"]),
        ("mark-changed", ["refused"]), ("mark-dropped", ["refused"]), ("mark-behind", ["refused"]),
        ("mark-early", ["refused"]), ("mark-late", ["violation", "difference"]), ("mark-ahead", ["refused"]),
    ]

    @Test("a change behind valid checksums is found where rows wait for a fold", arguments: unfoldedDamages)
    func targetedUnfolded(damage: (kind: String, verdicts: [String])) throws {
        try Self.targeted(damage, unfolded: true)
    }

    @Test("a change behind valid checksums is found", arguments: damages)
    func targeted(damage: (kind: String, verdicts: [String])) throws {
        try Self.targeted(damage, unfolded: false)
    }

    private static func targeted(_ damage: (kind: String, verdicts: [String]), unfolded: Bool) throws {
        let scratch = try Scratch()
        let digest = try Self.makeStore(scratch, unfolded: unfolded)
        let (status, output) = try PowerCutPreload.run(
            BuiltPrograms.workload, ["damage", scratch("store"), damage.kind])
        #expect(status == 0, "\(output)")
        let verdict = try CheckProcess("inspect").ask(scratch("store"), digest)
        #expect(damage.verdicts.contains { verdict.hasPrefix($0) }, "\(verdict)")
    }
}
