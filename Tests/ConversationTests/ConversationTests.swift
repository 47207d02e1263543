import Foundation
import ProgramSupport
import Testing

/// Holds the conversations of this folder with a node that is started for them: README.md says how they are written.
/// `conversations.py --letterlog .build/debug/letterlog WORD` runs a few by hand, `tools/interop/imap-dovecot` holds the
/// same ones with Debian's Dovecot.
@Suite("conversations", .serialized)
struct ConversationTests {
    @Test(
        "every answer is the one that the RFC asks for", arguments: ["imap/", "pop3/", "lmtp/", "smtp/", "submission/"])
    func conversations(folder: String) throws {
        let script = try Self.python(
            "conversations.py",
            [
                "--letterlog", BuiltProgram.path(of: "letterlog"), "--lines", "--differences",
                Self.place.appending(path: "letterlog-differences.tsv").path, folder,
            ])
        for line in script.said.split(separator: "\n") where line.contains("\t") {
            Issue.record("\(line.replacing("\t", with: ": "))")
        }
        #expect(script.status == 0, "ended with \(script.status):\n\(script.said)")
    }

    /// docs/protocols/conversations.md; `tools/tables` has it written instead.
    @Test("every command and extension of mail in and out and of POP3 has a conversation, and the page lists them")
    func coverage() throws {
        let page = Self.place.deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "docs/protocols/conversations.md")
        let isToWrite = ProcessInfo.processInfo.environment["LETTERLOG_WRITE_TABLES"] != nil
        let script = try Self.python("coverage.py", [isToWrite ? "--write" : "--check", page.path])
        #expect(script.status == 0, "\(script.said)")
    }

    private static let place = URL(filePath: #filePath).deletingLastPathComponent()

    /// Runs a script of this folder.
    private static func python(_ name: String, _ arguments: [String]) throws -> PythonScript {
        try PythonScript(running: place.appending(path: name).path, arguments)
    }
}
