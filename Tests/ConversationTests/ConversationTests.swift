import Foundation
import Testing

/// Holds the conversations of this folder with a node that is started for them: README.md says how they are written.
/// `conversations.py --letterlog .build/debug/letterlog WORD` runs a few by hand, `tools/interop/imap-dovecot` holds the
/// same ones with Debian's Dovecot.
@Suite("conversations", .serialized)
struct ConversationTests {
    @Test("every answer is the one that the RFC asks for", arguments: ["imap/", "pop3/", "lmtp/", "smtp/"])
    func conversations(folder: String) throws {
        let place = URL(filePath: #filePath).deletingLastPathComponent()
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [
            "python3", "-B", place.appending(path: "conversations.py").path, "--letterlog", try Self.letterlog(),
            "--lines", "--differences", place.appending(path: "letterlog-differences.tsv").path, folder,
        ]
        // No variable of ours from outside: a node takes its configuration from them.
        process.environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("LETTERLOG_") }
        process.standardInput = FileHandle.nullDevice
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        for line in said.split(separator: "\n") where line.contains("\t") {
            Issue.record("\(line.replacing("\t", with: ": "))")
        }
        #expect(process.terminationStatus == 0, "ended with \(process.terminationStatus):\n\(said)")
    }

    /// SwiftPM puts the program beside the tests' own executable, or beside the bundle that holds it.
    private static func letterlog() throws -> String {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let bundle = CommandLine.arguments.first { $0.contains(".xctest") } ?? own
        let path = bundle.range(of: ".xctest").map { String(bundle[..<$0.upperBound]) } ?? own
        let program = URL(filePath: path).deletingLastPathComponent().appending(path: "letterlog").path
        try #require(FileManager.default.isExecutableFile(atPath: program), "\(program) is not built")
        return program
    }
}
