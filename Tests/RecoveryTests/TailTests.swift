// The end of the log decides where the bodies end, and what lies behind is cut off at open. So an end that does not
// verify must never be believed: the store refuses, and not one octet of a segment is touched (engine.md, C10).
import Foundation
import PowerCutSupport
import Testing

@Suite struct TailTests {
    private static func makeStore(_ scratch: Scratch) throws {
        let run = try WorkloadRun(scratch, ["requests=20", "large-every=0", "segment=65536", "seed=9"])
        #expect(run.status == 0, "\(run.output)")
    }

    /// Every segment with its content, also those put aside.
    private static func segments(_ store: String) throws -> [String: Data] {
        var result: [String: Data] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: store) where name.hasSuffix(".seg") {
            result[name] = FileManager.default.contents(atPath: "\(store)/\(name)")
        }
        return result
    }

    /// Writes octets over those at an offset of a file.
    private static func overwrite(_ path: String, at offset: Int, _ bytes: [UInt8]) throws {
        let handle = try FileHandle(forUpdating: URL(filePath: path))
        try handle.seek(toOffset: UInt64(offset))
        try handle.write(contentsOf: Data(bytes))
        try handle.close()
    }

    /// The transaction number of each of the two meta pages (lmdb 0.9: octet 144 of its page).
    private static func transactions(_ path: String) throws -> [UInt64] {
        let data = [UInt8](try Data(contentsOf: URL(filePath: path)).prefix(8192))
        return [0, 1].map { page in
            data.withUnsafeBytes { octets in
                UInt64(littleEndian: octets.loadUnaligned(fromByteOffset: page * 4096 + 144, as: UInt64.self))
            }
        }
    }

    private static func setTransaction(_ path: String, page: Int, _ number: UInt64) throws {
        try overwrite(path, at: page * 4096 + 144, withUnsafeBytes(of: number.littleEndian) { Array($0) })
    }

    enum Rot: String, CaseIterable {
        case lastSealChanged, lastSealGone, lastBatchRewritten
        case newestCommitForgotten, oldCommitBroughtBack, databaseGone, databaseShortened
    }

    private static func rot(_ rot: Rot, _ store: String) throws {
        let database = store + "/shard-0000/data.mdb"
        func damage(_ kind: String) throws {
            let (status, output) = try PowerCutPreload.run(BuiltPrograms.workload, ["damage", store, kind])
            #expect(status == 0, "\(output)")
        }
        let transactions = try transactions(database)
        let newest = transactions[0] > transactions[1] ? 0 : 1
        switch rot {
        case .lastSealChanged: try damage("seal-changed")
        case .lastSealGone: try damage("record-removed-last")
        case .lastBatchRewritten: try damage("record-rewritten")
        case .newestCommitForgotten: try setTransaction(database, page: newest, transactions[newest] - 2)
        case .oldCommitBroughtBack: try setTransaction(database, page: 1 - newest, transactions[1 - newest] + 2)
        case .databaseGone: try FileManager.default.removeItem(atPath: database)
        case .databaseShortened:
            let handle = try FileHandle(forUpdating: URL(filePath: database))
            try handle.truncate(atOffset: 5 * 4096)
            try handle.close()
        }
    }

    @Test("an end of the log that does not verify is refused, and no body is cut", arguments: Rot.allCases)
    func rotten(_ rot: Rot) throws {
        let scratch = try Scratch()
        try Self.makeStore(scratch)
        // What a crash leaves behind the tail: here it may be an acknowledged body that a lost seal covered.
        let before = try Self.segments(scratch("store"))
        #expect(before.count > 2)
        try Self.rot(rot, scratch("store"))
        let check = CheckProcess("check")
        for _ in 1...2 {
            let verdict = try check.ask(scratch("store"), scratch("journal"), "\(Int.max)")
            #expect(verdict.hasPrefix("refused damaged"), "\(verdict)")
            #expect(try Self.segments(scratch("store")) == before)
        }
    }

    @Test("segments that do not reach the end of the log are refused")
    func segmentsTooShort() throws {
        for change in ["gone", "shortened", "foreign"] {
            let scratch = try Scratch()
            try Self.makeStore(scratch)
            let last = try #require(try Self.segments(scratch("store")).keys.sorted().last)
            let path = scratch("store/\(last)")
            switch change {
            case "gone": try FileManager.default.removeItem(atPath: path)
            case "shortened":
                let handle = try FileHandle(forUpdating: URL(filePath: path))
                try handle.truncate(atOffset: 4096)
                try handle.close()
            default: try Self.overwrite(path, at: 16, [0xAA, 0xBB])
            }
            let verdict = try CheckProcess("check").ask(scratch("store"), scratch("journal"), "\(Int.max)")
            #expect(verdict.hasPrefix("refused damaged"), "\(change): \(verdict)")
        }
    }

    @Test("bodies behind the last seal go, and what follows them is not mistaken for one")
    func orphans() throws {
        let scratch = try Scratch()
        // Killed when bodies were synced and their commit was not: the first commit after the accounts.
        try Data("fdatasync data.mdb kill 14".utf8).write(to: URL(filePath: scratch("rules")))
        let environment = ["LD_PRELOAD": try PowerCutPreload.faults(), "LETTERLOG_FAULTS": scratch("rules")]
        let run = try WorkloadRun(scratch, ["requests=60", "large-every=3"], environment: environment)
        #expect(run.status == 128 + SIGKILL, "\(run.output)")
        let before = try Self.segments(scratch("store"))
        let verdict = try CheckProcess("check").ask(scratch("store"), scratch("journal"), "\(Int.max)")
        #expect(verdict.hasPrefix("ok"), "\(verdict)")
        #expect(try Self.segments(scratch("store")) != before)
    }
}
