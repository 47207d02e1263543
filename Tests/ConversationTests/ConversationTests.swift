import Foundation
import Testing

/// Holds the conversations of this folder with a node that is started for them: README.md says how they are written.
/// `conversations.py --letterlog .build/debug/letterlog WORD` runs a few by hand, `tools/interop/imap-dovecot` holds the
/// same ones with Debian's Dovecot.
@Suite("conversations", .serialized)
struct ConversationTests {
    @Test(
        "every answer is the one that the RFC asks for", arguments: ["imap/", "pop3/", "lmtp/", "smtp/", "submission/"])
    func conversations(folder: String) throws {
        let (said, status) = try Self.python([
            "conversations.py", "--letterlog", try Self.letterlog(),
            "--lines", "--differences", Self.place.appending(path: "letterlog-differences.tsv").path, folder,
        ])
        for line in said.split(separator: "\n") where line.contains("\t") {
            Issue.record("\(line.replacing("\t", with: ": "))")
        }
        #expect(status == 0, "ended with \(status):\n\(said)")
    }

    /// docs/protocols/conversations.md; `tools/tables` has it written instead.
    @Test("every command and extension of mail in and out and of POP3 has a conversation, and the page lists them")
    func coverage() throws {
        let page = Self.place.deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "docs/protocols/conversations.md")
        let isToWrite = ProcessInfo.processInfo.environment["LETTERLOG_WRITE_TABLES"] != nil
        let (said, status) = try Self.python(["coverage.py", isToWrite ? "--write" : "--check", page.path])
        #expect(status == 0, "\(said)")
    }

    private static let place = URL(filePath: #filePath).deletingLastPathComponent()

    /// Runs a script of this folder: what it said, and how it ended.
    private static func python(_ arguments: [String]) throws -> (said: String, status: Int32) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["python3", "-B", place.appending(path: arguments[0]).path] + arguments.dropFirst()
        // No variable of ours from outside: a node takes its configuration from them.
        process.environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("LETTERLOG_") }
        process.standardInput = FileHandle.nullDevice
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (said, process.terminationStatus)
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
