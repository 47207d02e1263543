// Imports that are killed and that lose power. Killed at each of its named points, an import goes on to the same end:
// every message once, under the source's UIDs, flags, keywords, dates and POP3 UIDLs, and with its UIDNEXT. The same holds
// for what a disk may have left of a run that was cut anywhere; and what a folder's report has said to be there is there.
import Foundation
import PowerCutSupport
import Testing

@Suite struct ImportRecoveryTests {
    /// A run that nothing disturbs.
    private struct Clean {
        /// The named points in their order.
        let steps: [String]
        let digest: String

        init(_ output: String) throws {
            let lines = output.split(separator: "\n").map(String.init)
            steps = lines.filter { $0.hasPrefix("step ") }.map { String($0.dropFirst(5)) }
            digest = try #require(lines.last { $0.hasPrefix("digest ") }.map { String($0.dropFirst(7)) }, "\(output)")
        }
    }

    private static func importing(
        _ scratch: Scratch, _ source: String, _ stop: [String] = [], environment: [String: String] = [:]
    ) throws -> (status: Int32, output: String) {
        try PowerCutPreload.run(
            BuiltPrograms.workload, ["import", scratch("store"), scratch("journal"), source] + stop,
            environment: environment)
    }

    @Test("killed at each of its named points an import goes on to the same end", arguments: ImportSource.allCases)
    func killed(kind: ImportSource) throws {
        let clean: Clean
        do {
            let scratch = try Scratch()
            let (status, output) = try Self.importing(scratch, try kind.make(in: scratch.path))
            #expect(status == 0, "\(output)")
            clean = try Clean(output)
        }
        #expect(Set(clean.steps) == kind.steps)
        #expect(clean.steps.count { $0 == "batchAppended" } >= 3)
        let check = CheckProcess("import-check")
        var passings: [String: Int] = [:]
        for step in clean.steps {
            passings[step, default: 0] += 1
            let stop = [step, "\(passings[step] ?? 0)"]
            let scratch = try Scratch()
            let source = try kind.make(in: scratch.path)
            let (status, output) = try Self.importing(scratch, source, stop)
            #expect(status == 128 + SIGKILL, "\(stop): \(output)")
            let verdict = try check.ask(scratch("store"), scratch("journal"), "\(Int.max)", source, clean.digest)
            #expect(verdict == "ok", "killed at \(stop): \(verdict)")
        }
    }

    private static func record(
        _ scratch: Scratch, _ source: String
    ) throws -> (trace: PowerCutTrace, clean: Clean) {
        let environment = try PowerCutPreload.environment(
            root: scratch("store"), trace: scratch("trace"), acks: scratch("journal"))
        let (status, output) = try importing(scratch, source, environment: environment)
        #expect(status == 0, "\(output)")
        return (try PowerCutTrace.recorded(in: scratch), try Clean(output))
    }

    private static func judge(
        _ trace: PowerCutTrace, _ clean: Clean, _ source: String, cuts: Int, modes: [PowerCutMode],
        enoughBroken: Int = 3, in scratch: Scratch
    ) throws -> Verdicts {
        try Verdicts(
            on: trace, cuts: trace.sampledCuts(cuts, seed: 23), modes: modes, by: "import-check",
            enoughBroken: enoughBroken, in: scratch
        ) { _ in [source, clean.digest] }
    }

    @Test("no cut of the power breaks an import's promises", arguments: ImportSource.allCases)
    func cut(kind: ImportSource) throws {
        let images = soakCount("LETTERLOG_SOAK_IMAGES", ci: 60)
        let scratch = try Scratch()
        let source = try kind.make(in: scratch.path)
        let (trace, clean) = try Self.record(scratch, source)
        #expect(trace.acks(before: trace.cuts).count >= 1)
        let modes = PowerCutMode.allCases
        let verdicts = try Self.judge(
            trace, clean, source, cuts: images / modes.count, modes: modes, in: scratch)
        #expect(verdicts.broken == 0, "\(verdicts)")
        #expect((verdicts.counts["ok"] ?? 0) > verdicts.total / 2, "\(verdicts)")
    }

    /// Else the test above proves nothing: a report would be given before what it tells of is on the disk.
    @Test("an import on a disk that ignores syncs of bodies is found out")
    func omitted() throws {
        let scratch = try Scratch()
        let source = try ImportSource.maildir.make(in: scratch.path)
        let (whole, clean) = try Self.record(scratch, source)
        let trace = try whole.removingSyncs { $0.kind == .data && $0.path.hasSuffix(".seg") }
        let verdicts = try Self.judge(
            trace, clean, source, cuts: 12, modes: [.none, .random], enoughBroken: 1, in: scratch)
        #expect(verdicts.broken > 0, "\(verdicts)")
    }
}
