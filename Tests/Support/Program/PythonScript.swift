import Foundation

/// A script beside a test, in Python.
package struct PythonScript {
    /// All that it printed, on standard output and standard error.
    package let said: String
    package let status: Int32

    /// Runs the script of this path to its end. No variable of ours reaches it from outside: a node takes its configuration
    /// from them.
    package init(running path: String, _ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["python3", "-B", path] + arguments
        process.environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("LETTERLOG_") }
        process.standardInput = FileHandle.nullDevice
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        status = process.terminationStatus
    }
}
