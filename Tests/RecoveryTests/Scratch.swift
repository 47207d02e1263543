// What every recovery test needs: a folder on a memory file system, the StoreWorkload program, and a child process of it
// that answers checks and is started again when a check has killed it.
import Foundation
import PowerCutSupport
import ProgramSupport
import Testing

/// A folder of one test, on a memory file system where there is one, removed with the value.
final class Scratch {
    let path: String

    init() throws {
        let memory = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
        path = "\(memory)/letterlog-recovery-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }
}

/// How much more than in CI is asked for: a count from the environment, or the count of CI.
func soakCount(_ variable: String, ci count: Int) -> Int {
    ProcessInfo.processInfo.environment[variable].flatMap { Int($0) } ?? count
}

enum BuiltPrograms {
    static let letterlog = BuiltProgram.path(of: "letterlog")
    static let workload = BuiltProgram.path(of: "StoreWorkload")
}

/// A load that ran to its end, or to its kill.
struct WorkloadRun {
    let status: Int32
    let output: String
    let journal: [String]

    init(_ scratch: Scratch, _ settings: [String], environment: [String: String] = [:]) throws {
        try self.init(store: scratch("store"), journal: scratch("journal"), settings, environment: environment)
    }

    init(store: String, journal path: String, _ settings: [String], environment: [String: String] = [:]) throws {
        (status, output) = try PowerCutPreload.run(
            BuiltPrograms.workload, ["run", store, path] + settings, environment: environment)
        let text = FileManager.default.contents(atPath: path) ?? Data()
        journal = String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    func count(_ word: String) -> Int { journal.count { $0.hasPrefix(word + " ") } }
}

/// A child process that answers a line with a line.
final class CheckProcess {
    private let mode: String
    private var process = Process()
    private var input = FileHandle.nullDevice
    private var output = FileHandle.nullDevice
    private var isRunning = false

    init(_ mode: String) { self.mode = mode }

    deinit { if isRunning { process.terminate() } }

    private func start() throws {
        process = Process()
        process.executableURL = URL(filePath: BuiltPrograms.workload)
        process.arguments = [mode]
        let (questions, answers) = (Pipe(), Pipe())
        process.standardInput = questions
        process.standardOutput = answers
        try process.run()
        input = questions.fileHandleForWriting
        output = answers.fileHandleForReading
        isRunning = true
    }

    /// The answer; `signal N` when the process was killed by one while it looked for it, `exit N` when it ended.
    func ask(_ words: String...) throws -> String { try ask(words) }

    func ask(_ words: [String]) throws -> String {
        if !isRunning { try start() }
        try input.write(contentsOf: Data((words.joined(separator: " ") + "\n").utf8))
        var answer = Data()
        while answer.last != 10 {
            let part = output.availableData
            if part.isEmpty {
                process.waitUntilExit()
                isRunning = false
                return process.terminationReason == .uncaughtSignal
                    ? "signal \(process.terminationStatus)" : "exit \(process.terminationStatus)"
            }
            answer += part
        }
        return String(decoding: answer.dropLast(), as: UTF8.self)
    }
}

/// How many of each verdict there were, and the first text of each kind.
struct Verdicts: CustomStringConvertible {
    private(set) var counts: [String: Int] = [:]
    private(set) var examples: [String: String] = [:]
    private(set) var total = 0

    mutating func note(_ verdict: String, at place: String) {
        let kind = String(verdict.prefix { $0 != " " })
        counts[kind, default: 0] += 1
        total += 1
        if examples[kind] == nil { examples[kind] = "\(place): \(verdict)" }
    }

    /// Those in which a promise was broken.
    var broken: Int { total - (counts["ok"] ?? 0) - (counts["absent"] ?? 0) }

    var description: String {
        "\(counts)\n" + examples.filter { $0.key != "ok" }.map(\.value).sorted().joined(separator: "\n")
    }
}
