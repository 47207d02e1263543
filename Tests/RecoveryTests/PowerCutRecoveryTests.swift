// A recorded run of the engine on the local store, cut anywhere: what the disk may hold opens, and every promise holds.
//
// The recording is of one process with several producers, so that the sync of bodies overlaps commits as it does in a
// node. The strict model is used: a name is durable only after a sync of its folder. Each image is checked by a child
// process, and then the same is done for a disk that ignores one kind of sync: images must be found broken there, or
// the harness proves nothing.
import Foundation
import PowerCutSupport
import Testing

@Suite struct PowerCutRecoveryTests {
    private static func record(_ scratch: Scratch, _ settings: [String]) throws -> PowerCutTrace {
        let environment = try PowerCutPreload.environment(
            root: scratch("store"), trace: scratch("trace"), acks: scratch("journal"))
        let run = try WorkloadRun(scratch, settings, environment: environment)
        #expect(run.status == 0, "\(run.output)")
        #expect(run.output.contains("faults 0"))
        #expect(run.count("ack") > 20)
        return try PowerCutTrace.recorded(in: scratch)
    }

    /// Builds and checks images at `cuts` places in each mode. Stops early at `enoughBroken`.
    private static func judge(
        _ trace: PowerCutTrace, cuts: Int, modes: [PowerCutMode] = PowerCutMode.allCases, enoughBroken: Int = 5,
        in scratch: Scratch
    ) throws -> Verdicts {
        try Verdicts(
            on: trace, cuts: trace.sampledCuts(cuts, seed: 17), modes: modes, by: "check", enoughBroken: enoughBroken,
            in: scratch)
    }

    @Test("no promise is broken in any of 500 images")
    func sound() throws {
        let images = soakCount("LETTERLOG_SOAK_IMAGES", ci: 510)
        let scratch = try Scratch()
        let settings = ["requests=\(max(12, images / 40))", "large-every=25"]
        let verdicts = try Self.judge(try Self.record(scratch, settings), cuts: images / 3, in: scratch)
        #expect(verdicts.total >= min(images, 500))
        #expect(verdicts.broken == 0, "\(verdicts)")
        // The cuts reach from before the store existed to the end of the run.
        #expect((verdicts.counts["absent"] ?? 0) > 0)
        #expect((verdicts.counts["ok"] ?? 0) > verdicts.total / 2)
    }

    @Test("a file system that keeps a new name with its file's sync changes nothing")
    func lenientNames() throws {
        let scratch = try Scratch()
        _ = try Self.record(scratch, ["requests=8", "seed=2"])
        let model = PowerCutModel(fileSyncPersistsNewNames: true)
        let trace = try PowerCutTrace(contentsOf: scratch("trace"), model: model)
        let verdicts = try Self.judge(trace, cuts: 12, in: scratch)
        #expect(verdicts.broken == 0, "\(verdicts)")
    }

    enum Omission: String, CaseIterable {
        case segmentData, databaseData, databaseMeta

        func matches(_ sync: PowerCutSync) -> Bool {
            switch self {
            case .segmentData: sync.kind == .data && sync.path.hasSuffix(".seg")
            case .databaseData: sync.kind == .data && sync.path.hasSuffix("data.mdb")
            case .databaseMeta: sync.kind == .synchronousWrite && sync.path.hasSuffix("data.mdb")
            }
        }
    }

    @Test("leaving out one kind of sync is found", arguments: Omission.allCases)
    func omitted(_ omission: Omission) throws {
        let scratch = try Scratch()
        let whole = try Self.record(scratch, ["requests=10", "seed=3"])
        #expect(whole.syncs.contains(where: omission.matches))
        let trace = try whole.removingSyncs(where: omission.matches)
        let verdicts = try Self.judge(trace, cuts: 20, modes: [.none, .random], enoughBroken: 2, in: scratch)
        #expect(verdicts.broken > 0, "\(verdicts)")
    }
}
