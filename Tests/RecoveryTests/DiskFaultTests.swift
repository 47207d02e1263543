// A disk that fails or fills up under a running engine: a failed flush stops the shard and says why, a full disk refuses
// and recovers, and in neither case is anything acknowledged lost.
import Foundation
import PowerCutSupport
import Testing

@Suite struct DiskFaultTests {
    /// Each fails one call of a run that would make many of it.
    static let failures = [
        "fdatasync .seg EIO 7", "fdatasync .seg ENOSPC 7", "fdatasync .seg EIO 7 always",
        "fdatasync data.mdb EIO 12", "fdatasync data.mdb EIO 12 always", "fdatasync data.mdb ENOSPC 20",
        // Pages of the data and of the meta page, in turn.
        "anywrite data.mdb EIO 70", "anywrite data.mdb EIO 71", "anywrite data.mdb EIO 72", "anywrite data.mdb EIO 73",
        "anywrite data.mdb EIO 74", "anywrite data.mdb EIO 75", "anywrite data.mdb EIO 76", "anywrite data.mdb EIO 77",
        "pwrite .seg EIO 20", "fsync /seg EIO 2", "fdatasync spare EIO 2",
    ]

    @Test("a failed write or flush stops the shard with its reason, and nothing is lost", arguments: failures)
    func stops(rule: String) throws {
        let scratch = try Scratch()
        try Data(rule.utf8).write(to: URL(filePath: scratch("rules")))
        var environment = try PowerCutPreload.environment(
            root: scratch("store"), trace: scratch("trace"), acks: scratch("journal"), faultRules: scratch("rules"))
        environment["LETTERLOG_FAULTS_LOG"] = scratch("faults")
        let run = try WorkloadRun(scratch, ["requests=60", "large-every=20"], environment: environment)
        #expect(run.status == 3, "\(run.output)")
        #expect(run.output.contains("stopped: "), "\(run.output)")
        #expect(run.count("stopped") > 0)
        #expect(run.count("late") == 0)
        #expect(run.count("ack") > 0)
        #expect(FileManager.default.fileExists(atPath: scratch("faults")))
        // What the kernel still holds in memory, and what the disk holds when the failed flush kept nothing.
        let check = CheckProcess("check")
        let promised = "\(Int.max)"
        let live = try check.ask(scratch("store"), scratch("journal"), promised)
        #expect(live.hasPrefix("ok"), "\(live)")
        let trace = try PowerCutTrace(contentsOf: scratch("trace"))
        for mode in PowerCutMode.allCases {
            try trace.buildImage(at: trace.cuts - 1, mode: mode, seed: 5, into: scratch("image"))
            let verdict = try check.ask(scratch("image"), scratch("journal"), promised)
            #expect(verdict.hasPrefix("ok"), "\(mode): \(verdict)")
        }
    }

    @Test("short and interrupted writes are continued", arguments: ["pwrite .seg short 3", "pwrite .seg EINTR 9"])
    func continued(rule: String) throws {
        let scratch = try Scratch()
        try Data(rule.utf8).write(to: URL(filePath: scratch("rules")))
        let environment = ["LD_PRELOAD": try PowerCutPreload.faults(), "LETTERLOG_FAULTS": scratch("rules")]
        let run = try WorkloadRun(scratch, ["requests=30"], environment: environment)
        #expect(run.status == 0, "\(run.output)")
        #expect(run.count("full") + run.count("stopped") == 0)
        let verdict = try CheckProcess("check").ask(scratch("store"), scratch("journal"), "\(Int.max)")
        #expect(verdict.hasPrefix("ok"), "\(verdict)")
    }

    /// Where space runs out, and whether some commands go on all the same.
    static let fillings = ["space /seg/ ENOSPC 900000", "space /seg/ EDQUOT 700000", "space data.mdb ENOSPC 400000"]

    @Test("a full disk refuses, loses nothing, and is left behind without a restart", arguments: fillings)
    func fillsUp(rule: String) throws {
        let scratch = try Scratch()
        let rules = URL(filePath: scratch("rules"))
        try Data(rule.utf8).write(to: rules)
        let process = Process()
        process.executableURL = URL(filePath: BuiltPrograms.workload)
        process.arguments = [
            "run", scratch("store"), scratch("journal"), "requests=300", "full-pause=10", "large-every=15",
        ]
        process.environment = ProcessInfo.processInfo.environment.merging([
            "LD_PRELOAD": try PowerCutPreload.faults(), "LETTERLOG_FAULTS": scratch("rules"),
        ]) { $1 }
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let journal = { () -> [Substring] in
            let data = FileManager.default.contents(atPath: scratch("journal")) ?? Data()
            return String(decoding: data, as: UTF8.self).split(separator: "\n")
        }
        while process.isRunning, journal().count(where: { $0.hasPrefix("full") }) < 5 {
            usleep(20_000)
        }
        // Space is back.
        try Data("#".utf8).write(to: rules, options: .atomic)
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(text)")
        #expect(text.contains("faults 0"))
        let lines = journal()
        let full = try #require(lines.lastIndex { $0.hasPrefix("full") }, "the disk never was full")
        let taken = lines[full...].contains { $0.hasPrefix("ack") && $0.contains(" append ") }
        #expect(taken, "line \(full) of \(lines.count) says full, and no mail was taken behind it")
        #expect(!lines.contains { $0.hasPrefix("stopped") })
        let verdict = try CheckProcess("check").ask(scratch("store"), scratch("journal"), "\(Int.max)")
        #expect(verdict.hasPrefix("ok"), "\(verdict)")
    }

    // MARK: A real, small file system

    /// 56 MiB of ext4 in a file, or of tmpfs where loop devices are not to be had; nil without the right to mount.
    private final class SmallDisk {
        let path: String

        init?(_ scratch: Scratch) throws {
            path = scratch("disk")
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            let script = """
                truncate -s 56M "$1.img" && mkfs.ext4 -q -F "$1.img" && mount -o loop "$1.img" "$1" \
                || mount -t tmpfs -o size=56m none "$1"
                """
            guard try PowerCutPreload.run("/bin/sh", ["-c", script, "sh", path]).status == 0 else { return nil }
        }

        deinit { _ = try? PowerCutPreload.run("/bin/sh", ["-c", "umount \"$1\"", "sh", path]) }

        func fill() throws {
            _ = try PowerCutPreload.run(
                "/bin/sh", ["-c", "head -c 100000000 /dev/zero > \"$1/filler\"; sync -f \"$1\"", "sh", path])
        }

        func empty() throws { try FileManager.default.removeItem(atPath: path + "/filler") }
    }

    private static let canMount =
        (try? PowerCutPreload.run("/bin/sh", ["-c", "test \"$(id -u)\" = 0 && unshare -m true"]).status) == 0

    @Test("a small file system, filled, still deletes, and loses nothing", .enabled(if: Self.canMount))
    func smallDisk() throws {
        let scratch = try Scratch()
        guard let disk = try SmallDisk(scratch) else { return }
        let (store, journal) = (disk.path + "/store", scratch("journal"))
        let ballast = store + "/shard-0000/seg/ballast"
        let ballastOctets = 6 << 20
        var seen = 0
        /// Runs a load on the small disk; gives it and the lines that it added to the journal.
        func run(_ settings: [String]) throws -> (run: WorkloadRun, lines: ArraySlice<String>) {
            let common = ["ballast=\(ballastOctets)", "accounts=2", "large-every=10"]
            let run = try WorkloadRun(store: store, journal: journal, common + settings)
            defer { seen = run.journal.count }
            #expect(run.status == 0, "\(run.output)")
            #expect(run.count("stopped") == 0)
            return (run, run.journal[seen...])
        }
        func ballastSize() throws -> Int {
            try FileManager.default.attributesOfItem(atPath: ballast)[.size] as? Int ?? 0
        }

        let load = try run(["requests=40"])
        #expect(load.run.count("full") == 0)
        #expect(try ballastSize() == ballastOctets)

        // Not a block left, and the next batch asks for more than the database file has in hand.
        try disk.fill()
        let deletes = try run(["requests=3", "deletes-only=1", "growth=\(4 << 20)"])
        #expect(deletes.lines.contains { $0.hasPrefix("ack") && $0.contains(" expunge ") }, "nothing could be deleted")
        #expect(try ballastSize() == 0)

        // With the ballast gone the same is refused: it was the ballast that helped.
        try disk.fill()
        let stuck = try run(["requests=3", "deletes-only=1", "growth=\(24 << 20)"])
        #expect(stuck.lines.contains { $0.hasPrefix("full") })
        #expect(!stuck.lines.contains { $0.hasPrefix("ack") })

        // Room again: mail comes in, and the ballast is taken again.
        try disk.empty()
        let again = try run(["requests=5", "large-every=0"])
        #expect(again.lines.contains { $0.hasPrefix("ack") && $0.contains(" append ") })
        #expect(try ballastSize() == ballastOctets)

        // Filled by mail alone.
        let flood = try run(["requests=300", "body-max=300000"])
        #expect(flood.lines.contains { $0.hasPrefix("full") }, "the disk never was full")

        // Looked at elsewhere, where the check has room to go on.
        try FileManager.default.copyItem(atPath: store, toPath: scratch("copy"))
        let verdict = try CheckProcess("check").ask(scratch("copy"), journal, "\(Int.max)")
        #expect(verdict.hasPrefix("ok"), "\(verdict)")
    }
}
