// Crashes of the Maildir projection, one way and both ways, on a real store: the story of Tests/Support/StoreWorkload is
// killed at each named step, and a recorded run of it is cut anywhere. What comes back must find the tree again, keep
// every promise of the journal and end with a tree that equals the log.
//
// The images have the strict model of names. The file numbers of the run go with each, as they do on a disk; the boot is
// said to be another one, as it is after a power cut.
import Foundation
import PowerCutSupport
import Testing

@Suite struct MaildirCrashTests {
    private struct Telling {
        var status: Int32
        var output: String
        /// How often each named step was passed.
        var steps: [String: Int] = [:]

        init(_ scratch: Scratch, _ settings: [String] = [], environment: [String: String] = [:]) throws {
            (status, output) = try PowerCutPreload.run(
                BuiltPrograms.workload, ["maildir", scratch("site"), scratch("journal")] + settings,
                environment: environment)
            for line in output.split(separator: "\n") {
                let words = line.split(separator: " ")
                if words.count == 3, words[0] == "step" { steps[String(words[1])] = Int(words[2]) }
            }
        }
    }

    /// The first, a middle and the last time that each step is passed, in two halves so that neither takes long.
    @Test("a kill at each named step loses nothing, doubles nothing and renumbers nothing", arguments: [0, 1])
    func kills(half: Int) throws {
        let whole = try Telling(Scratch())
        #expect(whole.status == 0, "\(whole.output)")
        #expect(!whole.output.contains("missing"), "\(whole.output)")
        let check = CheckProcess("maildir-check")
        for (number, (step, count)) in whole.steps.sorted(by: { $0.key < $1.key }).enumerated() where number % 2 == half
        {
            for nth in Set([1, (count + 1) / 2, count]) {
                let scratch = try Scratch()
                let told = try Telling(scratch, ["kill=\(step):\(nth)"])
                #expect(told.status == 128 + SIGKILL, "\(step) \(nth): \(told.output)")
                let verdict = try check.ask(scratch("site"), scratch("journal"), "\(Int.max)", "-", "-")
                #expect(verdict.hasPrefix("ok"), "killed at \(step), \(nth) of \(count): \(verdict)")
            }
        }
    }

    private static func record(_ scratch: Scratch) throws -> PowerCutTrace {
        let environment = try PowerCutPreload.environment(
            root: scratch("site"), trace: scratch("trace"), acks: scratch("journal"))
        let told = try Telling(scratch, environment: environment)
        #expect(told.status == 0, "\(told.output)")
        return try PowerCutTrace.recorded(in: scratch)
    }

    private static func judge(
        _ trace: PowerCutTrace, cuts: [Int], modes: [PowerCutMode] = PowerCutMode.allCases, boot: String = "another",
        enoughBroken: Int = 3, in scratch: Scratch
    ) throws -> Verdicts {
        try Verdicts(
            on: trace, cuts: cuts, modes: modes, by: "maildir-check", enoughBroken: enoughBroken, in: scratch
        ) { builder in
            let numbers = builder.numbers.map { "\($0.image) \($0.recorded)\n" }.joined()
            try Data(numbers.utf8).write(to: URL(filePath: scratch("numbers")))
            return [boot, scratch("numbers")]
        }
    }

    @Test("after a power cut at any place the tree comes back equal to the log, and no promise is broken")
    func powerCuts() throws {
        let images = soakCount("LETTERLOG_SOAK_IMAGES", ci: 300)
        let scratch = try Scratch()
        let trace = try Self.record(scratch)
        let verdicts = try Self.judge(trace, cuts: trace.sampledCuts(images / 3, seed: 23), in: scratch)
        #expect(verdicts.total >= images - 2)
        #expect(verdicts.broken == 0, "\(verdicts)")
        #expect((verdicts.counts["ok"] ?? 0) > verdicts.total / 2)
    }

    enum Omission: String, CaseIterable {
        case syncfs, adoptedFiles

        func matches(_ sync: PowerCutSync) -> Bool {
            switch self {
            case .syncfs: sync.kind == .filesystem
            case .adoptedFiles: sync.kind == .full && sync.path.hasSuffix(".f2")
            }
        }
    }

    @Test("leaving out one kind of sync is found", arguments: Omission.allCases)
    func omitted(_ omission: Omission) throws {
        let scratch = try Scratch()
        let whole = try Self.record(scratch)
        let first = try #require(whole.syncs.first(where: omission.matches)?.position)
        let trace = try whole.removingSyncs(where: omission.matches)
        // From where it would have been, many images of each place.
        let cuts = stride(from: first, to: min(first + 600, trace.cuts), by: 5)
        let modes = [PowerCutMode](repeating: .random, count: 8)
        let verdicts = try Self.judge(trace, cuts: Array(cuts), modes: modes, enoughBroken: 1, in: scratch)
        #expect(verdicts.broken > 0, "\(verdicts)")
    }

    @Test("a mark that is believed after a power cut is found: what says how far the tree is counts for one boot")
    func believed() throws {
        let scratch = try Scratch()
        let trace = try Self.record(scratch)
        let cuts = trace.sampledCuts(300, seed: 29)
        let verdicts = try Self.judge(trace, cuts: cuts, modes: [.random], boot: "-", enoughBroken: 1, in: scratch)
        #expect(verdicts.broken > 0, "\(verdicts)")
    }
}
