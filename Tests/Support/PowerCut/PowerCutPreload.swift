// Makes the preloaded libraries from their C sources and gives the environment in which a process is recorded or
// disturbed by them. They are compiled here, by `cc`, and not by SwiftPM: a shared library that no target links is not
// built by `swift test`, and its place would differ between build systems.

import Foundation

package enum PowerCutPreload {
    package enum BuildError: Error {
        case compiler(status: Int32, output: String)
    }

    /// Folder of the C sources.
    private static let sources = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Preload")

    /// The recorder's library, compiled when first asked for.
    package static func recorder() throws -> String { try library(sources.appending(path: "recorder.c")) }

    /// The fault injector's library, compiled when first asked for.
    package static func faults() throws -> String { try library(sources.appending(path: "faults.c")) }

    private static func library(_ source: URL) throws -> String {
        try compile(source, options: ["-shared", "-fPIC"], libraries: ["-ldl", "-lpthread"], suffix: ".so")
    }

    /// Compiles one C file and returns the path of the result, which is kept under a name made from its content.
    package static func compile(
        _ source: URL, options: [String] = [], libraries: [String] = [], suffix: String = ""
    ) throws -> String {
        let text = try Data(contentsOf: source)
        var digest: UInt64 = 0xCBF2_9CE4_8422_2325
        for octet in text + Data((options + libraries).joined(separator: " ").utf8) {
            digest = (digest ^ UInt64(octet)) &* 0x100_0000_01B3
        }
        let name = source.deletingPathExtension().lastPathComponent
        let folder = FileManager.default.temporaryDirectory.appending(path: "letterlog-preload-\(getuid())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let result = folder.appending(path: "\(name)-\(String(digest, radix: 16))\(suffix)").path
        if FileManager.default.fileExists(atPath: result) { return result }
        // Renamed into place: another test process may compile the same file now.
        let unfinished = "\(result).\(getpid()).\(UInt64.random(in: 0 ... .max))"
        let arguments = ["-O1", "-g", "-Wall"] + options + ["-o", unfinished, source.path] + libraries
        let (status, output) = try run("/usr/bin/cc", arguments)
        guard status == 0 else { throw BuildError.compiler(status: status, output: output) }
        _ = rename(unfinished, result)
        return result
    }

    /// The environment for a process whose files below `root` are recorded into `trace`.
    ///
    /// - Parameters:
    ///   - root: the store's folder, or where it will be; its parent must exist when the process starts.
    ///   - acks: a file outside the root; what the process writes to it counts as an acknowledgement. A client in
    ///     another process uses `PowerCutAcknowledgements` instead.
    ///   - faultRules: control file of the fault injector (Preload/faults.c), when faults are wanted as well. The
    ///     recorder stands before it and records what the process was told.
    package static func environment(
        root: String, trace: String, acks: String? = nil, faultRules: String? = nil
    ) throws -> [String: String] {
        var values = [
            "LD_PRELOAD": try recorder(), "LETTERLOG_POWERCUT_ROOT": root, "LETTERLOG_POWERCUT_TRACE": trace,
        ]
        values["LETTERLOG_POWERCUT_ACKS"] = acks
        if let faultRules {
            values["LD_PRELOAD"] = "\(try recorder()):\(try faults())"
            values["LETTERLOG_FAULTS"] = faultRules
        }
        return values
    }

    /// Runs a program to its end; gives its status (128 + signal when killed) and what it printed on both channels.
    package static func run(
        _ program: String, _ arguments: [String], environment: [String: String] = [:]
    ) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let status = process.terminationStatus + (process.terminationReason == .uncaughtSignal ? 128 : 0)
        return (status, String(decoding: output, as: UTF8.self))
    }
}

/// Puts acknowledgements into the trace from outside of the recorded process: a client that has read the server's reply
/// calls it. The server's sync was in the trace before the reply left, so the order is right.
package final class PowerCutAcknowledgements: Sendable {
    private let descriptor: Int32

    package init(trace: String) throws(PowerCutTraceError) {
        descriptor = open(trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        if descriptor < 0 { throw .unreadable(path: trace, errno: errno) }
    }

    deinit { close(descriptor) }

    /// Appends one acknowledgement; safe from any thread.
    package func record(_ payload: [UInt8]) throws(PowerCutTraceError) {
        let record = PowerCutEventWriter.record(type: 11, payload: payload)
        guard write(descriptor, record, record.count) == record.count else {
            throw .image(call: "write", path: "trace", errno: errno)
        }
    }
}

/// Writes trace records, for acknowledgements and for tests of the model.
package enum PowerCutEventWriter {
    package static func record(
        type: UInt8, flags: UInt8 = 0, inode: UInt64 = 0, a: Int64 = 0, b: Int64 = 0, path: String = "",
        path2: String = "", payload: [UInt8] = []
    ) -> [UInt8] {
        let names = Array(path.utf8) + Array(path2.utf8)
        var bytes: [UInt8] = []
        func put<T: FixedWidthInteger>(_ value: T) { withUnsafeBytes(of: value.littleEndian) { bytes += $0 } }
        put(PowerCutEventReader.magic)
        put(UInt32(PowerCutEventReader.headerOctets + names.count + payload.count))
        put(type)
        put(flags)
        put(UInt16(path.utf8.count))
        put(UInt16(path2.utf8.count))
        put(UInt16(0))
        put(inode)
        put(a)
        put(b)
        put(UInt64(payload.count))
        return bytes + names + payload
    }
}
