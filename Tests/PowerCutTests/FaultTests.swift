import Foundation
import PowerCutSupport
import Testing

/// The fault injector, rule by rule, in a process that does what its input says.
@Suite struct FaultTests {
    /// Runs the steps below a new folder and gives what each printed.
    private static func run(
        _ steps: [String], rules: String = "", recorded: Bool = false, in scratch: Scratch
    ) throws -> (results: [String], status: Int32, log: String) {
        let control = scratch("rules")
        try Data(rules.utf8).write(to: URL(filePath: control))
        let root = scratch("root")
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        var environment = try PowerCutPreload.environment(root: root, trace: scratch("trace"), faultRules: control)
        if !recorded { environment["LD_PRELOAD"] = try PowerCutPreload.faults() }
        environment["LETTERLOG_FAULTS_LOG"] = scratch("log")
        try Data(steps.joined(separator: "\n").utf8).write(to: URL(filePath: scratch("steps")))
        let (status, output) = try PowerCutPreload.run(
            "/bin/sh", ["-c", "cd \"$1\" && exec \"$2\" < ../steps", "sh", root, try program("step")],
            environment: environment)
        let log = FileManager.default.contents(atPath: scratch("log")) ?? Data()
        return (
            output.split(separator: "\n").map(String.init), status,
            String(decoding: log, as: UTF8.self).replacingOccurrences(of: "\(root)/", with: "")
        )
    }

    struct Case: CustomTestStringConvertible {
        let rule: String
        let steps: [String]
        let results: [String]
        var testDescription: String { rule }
        init(_ rule: String, _ steps: [String], _ results: [String]) {
            self.rule = rule
            self.steps = ["open seg-1"] + steps
            self.results = ["0"] + results
        }
    }

    static let cases = [
        Case("fdatasync seg EIO 2", ["fdatasync", "fdatasync", "fdatasync"], ["0", "EIO", "0"]),
        Case("fdatasync seg EIO 2 always", ["fdatasync", "fdatasync", "fdatasync"], ["0", "EIO", "EIO"]),
        Case("fdatasync seg EIO 1", ["fsync", "open other", "fdatasync"], ["0", "0", "0"]),
        Case("anysync * EIO 2", ["fsync", "fdatasync", "fdatasync"], ["0", "EIO", "0"]),
        Case("pwrite seg EIO 1", ["write 5", "pwrite 0 5", "pwrite 0 5"], ["5", "EIO", "5"]),
        Case("anywrite seg EDQUOT 3", ["write 5", "pwrite 0 5", "writev 5", "writev 5"], ["5", "5", "EDQUOT", "5"]),
        Case("writev seg short 1", ["writev 100", "writev 100"], ["50", "100"]),
        Case("write seg short 1", ["write 1", "write 1"], ["0", "1"]),
        Case("fallocate seg ENOSPC 1", ["allocate 4096", "allocate 4096"], ["ENOSPC", "0"]),
        Case("ftruncate seg EIO 1", ["truncate 4096", "truncate 4096"], ["EIO", "0"]),
        Case("rename new EIO 1", ["rename seg-1 new", "rename seg-1 new"], ["EIO", "0"]),
        Case("open root/seg-2 EMFILE 1", ["open seg-2", "open seg-2"], ["EMFILE", "0"]),
        // The limit is on growth: the crossing write is short, the next fails, a rewrite inside the file goes on.
        Case(
            "space seg ENOSPC 1000", ["write 600", "write 600", "write 1", "pwrite 0 900"],
            ["600", "400", "ENOSPC", "900"]),
        Case("space seg ENOSPC 1000", ["writev 1500", "writev 500"], ["1000", "ENOSPC"]),
        Case(
            "space seg ENOSPC 1000", ["allocate 1001", "allocate 1000", "pwrite 0 1000", "pwrite 1000 1"],
            ["ENOSPC", "0", "1000", "ENOSPC"]),
        Case("# a comment", ["write 5", "fdatasync"], ["5", "0"]),
    ]

    @Test("each rule does what it says", arguments: cases) func rule(_ example: Case) throws {
        let scratch = try Scratch()
        let (results, status, _) = try Self.run(example.steps, rules: example.rule, in: scratch)
        #expect(results == example.results)
        #expect(status == 0)
        // The recorder in front of the injector changes nothing, and its image is what the process was told.
        let second = try Scratch()
        #expect(try Self.run(example.steps, rules: example.rule, recorded: true, in: second).results == example.results)
        let trace = try PowerCutTrace(contentsOf: second("trace"))
        try trace.buildImage(at: trace.cuts - 1, mode: .all, seed: 1, into: second("image"))
        #expect(try tree(second("image")) == tree(second("root")))
    }

    @Test("a fault is armed and disarmed while the process runs") func atRunTime() throws {
        let scratch = try Scratch()
        let steps = [
            "open seg-1", "fdatasync", "rules fdatasync seg EIO 1 always", "fdatasync", "fdatasync", "rules #",
            "fdatasync",
        ]
        let (results, _, log) = try Self.run(steps, in: scratch)
        #expect(results == ["0", "0", "0", "EIO", "EIO", "0", "0"])
        #expect(log == "fdatasync seg-1 EIO\nfdatasync seg-1 EIO\n")
    }

    @Test("kill ends the process before the call, after ends it behind", arguments: [("kill", 0), ("after", 7)])
    func killed(outcome: String, octets: Int) throws {
        let scratch = try Scratch()
        let (results, status, _) = try Self.run(
            ["open f", "pwrite 0 7", "write 1"], rules: "pwrite root/f \(outcome) 1", in: scratch)
        #expect(status == 128 + SIGKILL)
        #expect(results == ["0"])
        #expect(try Data(contentsOf: URL(filePath: scratch("root/f"))).count == octets)
    }

    @Test("a rule that cannot be read stops the process") func badRule() throws {
        for rule in ["fdatasync seg", "fdatasync seg EWHAT 1", "fdatasync seg EIO 1 sometimes"] {
            let scratch = try Scratch()
            #expect(try Self.run(["open f"], rules: rule, in: scratch).status == 128 + SIGABRT)
        }
    }

    @Test("a failed synchronous write and a failed sync leave nothing durable in the recording") func recordedFailure()
        throws
    {
        let scratch = try Scratch()
        let (results, _, _) = try Self.run(
            ["open f", "pwrite 0 3", "fdatasync", "dsync g", "pwrite 0 3"],
            rules: "fdatasync root/f EIO 1\npwrite root/g EIO 1", recorded: true, in: scratch)
        #expect(results == ["0", "3", "EIO", "0", "EIO"])
        let model = PowerCutModel(fileSyncPersistsNewNames: true)
        let trace = try PowerCutTrace(contentsOf: scratch("trace"), model: model)
        try trace.buildImage(at: trace.cuts - 1, mode: .none, seed: 1, into: scratch("image"))
        #expect(try tree(scratch("image")).isEmpty)
    }
}
