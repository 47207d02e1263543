import Foundation
import ProgramSupport
import Testing

/// The built `letterlog`, run as a process.
struct Program {
    struct Run {
        var status: Int32
        var output: String
        var error: String
        var lines: [Substring] { output.split(separator: "\n") }
    }

    static let path = BuiltProgram.path(of: "letterlog")

    static func process(_ arguments: [String], environment: [String: String] = [:]) -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        // No variable of ours from outside.
        let outer = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("LETTERLOG_") }
        process.environment = outer.merging(environment) { $1 }
        return process
    }

    @discardableResult
    static func run(
        _ arguments: String..., input: String = "", environment: [String: String] = [:]
    ) throws -> Run {
        try run(arguments, input: input, environment: environment)
    }

    static func run(
        _ arguments: [String], input: String = "", environment: [String: String] = [:]
    ) throws -> Run {
        let process = process(arguments, environment: environment)
        let (output, error, stdin) = (Pipe(), Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = error
        process.standardInput = stdin
        try process.run()
        stdin.fileHandleForWriting.write(Data(input.utf8))
        try stdin.fileHandleForWriting.close()
        let out = output.fileHandleForReading.readDataToEndOfFile()
        let err = error.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Run(
            status: process.terminationStatus, output: String(decoding: out, as: UTF8.self),
            error: String(decoding: err, as: UTF8.self))
    }
}

/// A node that serves a store until the test is over.
final class ServedStore {
    let ready: String
    private let process: Process
    private let output = Pipe()

    init(_ store: String, _ arguments: String...) throws {
        let all = ["serve", "--store", store, "--set", "storage.soft-free=0", "--set", "storage.hard-free=0"]
        process = Program.process(all + arguments)
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        var line = Data()
        while let octet = try output.fileHandleForReading.read(upToCount: 1), octet != Data("\n".utf8) { line += octet }
        ready = String(decoding: line, as: UTF8.self)
    }

    func signal(_ signal: Int32) { kill(process.processIdentifier, signal) }

    /// Ends it and answers its exit code.
    func stop(_ signal: Int32 = SIGTERM) -> Int32 {
        self.signal(signal)
        process.waitUntilExit()
        return process.terminationStatus
    }

    deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
}
