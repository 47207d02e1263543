import Foundation
import PowerCutSupport
import Testing

/// The harness against LMDB itself, whose losses are documented: none by default, many without syncs.
@Suite struct LMDBTests {
    private static func record(_ scratch: Scratch, _ flags: [String] = []) throws -> PowerCutTrace {
        let environment = try PowerCutPreload.environment(
            root: scratch("root"), trace: scratch("trace"), acks: scratch("acks"))
        let (status, output) = try PowerCutPreload.run(
            try program("lmdb_store", libraries: ["-llmdb"]),
            ["write", scratch("root"), scratch("acks"), "60"] + flags, environment: environment)
        #expect(status == 0, "\(output)")
        let trace = try PowerCutTrace(contentsOf: scratch("trace"))
        #expect(trace.unsupported == ["writable mapping lock.mdb"])
        return trace
    }

    /// Number of images opened, and of those in which an acknowledged transaction is missing or the store is damaged.
    private static func judge(
        _ trace: PowerCutTrace, cuts: Int, in scratch: Scratch
    ) throws -> (images: Int, losses: Int) {
        var images = 0
        var losses = 0
        let builder = try PowerCutImageBuilder(trace, scratch: scratch("durable"))
        for cut in trace.sampledCuts(cuts, seed: 11) {
            let acknowledged = trace.acks(before: cut).count
            // Before the first commit there may be nothing to open.
            guard acknowledged > 0 else { continue }
            for mode in [PowerCutMode.none, .random, .random] {
                images += 1
                try builder.buildImage(at: cut, mode: mode, seed: UInt64(images), into: scratch("image"))
                let (status, output) = try PowerCutPreload.run(
                    try program("lmdb_store", libraries: ["-llmdb"]), ["read", scratch("image")])
                let last = Int(output.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
                if status != 0 || last < acknowledged { losses += 1 }
            }
        }
        return (images, losses)
    }

    @Test("by default no transaction is lost") func sound() throws {
        let scratch = try Scratch()
        let (images, losses) = try Self.judge(try Self.record(scratch), cuts: 70, in: scratch)
        #expect(images > 150)
        #expect(losses == 0)
    }

    @Test("with MDB_NOSYNC transactions are lost") func withoutSync() throws {
        let scratch = try Scratch()
        #expect(try Self.judge(try Self.record(scratch, ["nosync"]), cuts: 15, in: scratch).losses > 0)
    }

    @Test(
        "losses appear when one of the two syncs of a commit is left out",
        arguments: [
            PowerCutSync.Kind.data, .synchronousWrite,
        ])
    func omitted(_ kind: PowerCutSync.Kind) throws {
        let scratch = try Scratch()
        let trace = try Self.record(scratch)
        #expect(trace.syncs.contains { $0.kind == kind && $0.path == "data.mdb" })
        let edited = try trace.removingSyncs { $0.kind == kind }
        #expect(try Self.judge(edited, cuts: 15, in: scratch).losses > 0)
    }
}
