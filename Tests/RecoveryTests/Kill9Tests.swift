// kill -9 at any moment. What a killed process has written is in the page cache, so this shows that commits are atomic
// and that a restart finds its way, not that flushes are in order: that is what the power-cut images are for.
import Foundation
import PowerCutSupport
import Testing

@Suite struct Kill9Tests {
    /// Kills one run after another on the same store. The journal grows over all of them; every acknowledgement of every
    /// run must be there after each.
    @Test("acknowledged commands survive SIGKILL at random moments")
    func engine() throws {
        let cycles = soakCount("LETTERLOG_SOAK_KILLS", ci: 20)
        let scratch = try Scratch()
        let check = CheckProcess("check")
        var random = SystemRandomNumberGenerator()
        var killed = 0
        for cycle in 1...cycles {
            // By the clock of the test: between two instructions of whatever thread it hits.
            let process = Process()
            process.executableURL = URL(filePath: BuiltPrograms.workload)
            process.arguments = ["run", scratch("store"), scratch("journal"), "requests=4000", "seed=\(cycle)"]
            let output = Pipe()
            process.standardOutput = output
            process.standardError = output
            try process.run()
            usleep(UInt32.random(in: 0..<400_000, using: &random))
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            if process.terminationReason == .uncaughtSignal { killed += 1 }
            guard FileManager.default.fileExists(atPath: scratch("journal")) else { continue }
            let verdict = try check.ask(scratch("store"), scratch("journal"), "\(Int.max)")
            #expect(verdict.hasPrefix("ok") || verdict == "absent", "cycle \(cycle): \(verdict)")
        }
        #expect(killed > cycles / 2)
    }

    @Test("an acknowledgement is already true when the process dies in the same instant", arguments: [1, 7, 40, 90])
    func atTheAcknowledgement(count: Int) throws {
        let scratch = try Scratch()
        let run = try WorkloadRun(scratch, ["requests=60", "seed=\(count)", "kill-after=\(count)"])
        #expect(run.status == 128 + SIGKILL)
        let verdict = try CheckProcess("check").ask(scratch("store"), scratch("journal"), "\(Int.max)")
        #expect(verdict.hasPrefix("ok"), "\(verdict)")
    }

    /// Places in a commit at which the process is killed by the fault injector, before or behind the call.
    static let moments = [
        "fdatasync .seg kill 5", "fdatasync .seg after 9", "pwrite .seg kill 12", "pwrite .seg after 20",
        "fdatasync data.mdb kill 8", "fdatasync data.mdb after 8", "pwrite data.mdb kill 60",
        "anywrite data.mdb after 90",
        "rename seg/spare kill 2", "rename seg/spare after 2", "ftruncate .seg kill 1", "rename STORE kill 1",
        "rename STORE after 1", "fsync /seg kill 1", "fsync shard-0000 kill 1",
    ]

    /// Places around a fold: between the commit that leaves rows unfolded and the fold, inside the transaction that
    /// folds, and behind it. A small count of rows folds every batch, a large one none.
    static let foldMoments: [(rule: String, rows: Int)] = [1, 40, 1_000_000].flatMap { rows in
        [
            "fdatasync data.mdb kill 25", "fdatasync data.mdb after 25", "anywrite data.mdb kill 150",
            "anywrite data.mdb after 151", "fdatasync data.mdb after 31", "fdatasync .seg after 12",
        ].map { ($0, rows) }
    }

    @Test("a kill before, in and behind a fold leaves every promise kept", arguments: foldMoments)
    func atAFold(moment: (rule: String, rows: Int)) throws {
        try Self.killed(by: moment.rule, ["fold-rows=\(moment.rows)"])
    }

    @Test("a kill at each step of staging, committing and rolling leaves every promise kept", arguments: moments)
    func atACall(rule: String) throws { try Self.killed(by: rule, []) }

    private static func killed(by rule: String, _ settings: [String]) throws {
        let scratch = try Scratch()
        try Data(rule.utf8).write(to: URL(filePath: scratch("rules")))
        let environment = ["LD_PRELOAD": try PowerCutPreload.faults(), "LETTERLOG_FAULTS": scratch("rules")]
        let run = try WorkloadRun(scratch, ["requests=60", "large-every=20"] + settings, environment: environment)
        #expect(run.status == 128 + SIGKILL, "\(run.output)")
        let verdict = try CheckProcess("check").ask(scratch("store"), scratch("journal"), "\(Int.max)")
        #expect(verdict.hasPrefix("ok") || verdict == "absent", "\(verdict)")
    }

    @Test("a real node under LMTP and POP3 load keeps what it acknowledged", .enabled(if: Self.nodeIsBuilt))
    func node() throws {
        let cycles = soakCount("LETTERLOG_SOAK_KILLS", ci: 6)
        let scratch = try Scratch()
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "kill9.py").path
        let (status, output) = try PowerCutPreload.run(
            "/usr/bin/env",
            ["python3", script, BuiltPrograms.letterlog, scratch.path, "\(cycles)", "\(getpid())"])
        #expect(status == 0, "\(output)")
    }

    private static var nodeIsBuilt: Bool {
        FileManager.default.isExecutableFile(atPath: BuiltPrograms.letterlog)
    }
}
