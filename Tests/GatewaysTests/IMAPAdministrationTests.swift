// What is done to an account or a mailbox from outside reaches the sessions that have it open.
import MailCore
import MailEngine
import MailTypes
import Testing

@testable import Gateways

@Suite("IMAP: changes from outside")
struct IMAPAdministrationTests {
    private enum Change: String, CaseIterable, Sendable {
        case deleted, numberedAnew

        func perform(_ node: TestNode) throws {
            let account = try node.account("alice@example.test")
            let box = try #require(try node.engine.read { try $0.mailboxID(account, named: MailboxName("Box")!) })
            let outcome = node.perform(account, self == .deleted ? .deleteMailbox(box) : .bumpUIDValidity(box))
            guard case .done = outcome else { throw ClientError.system("\(outcome)") }
        }
    }

    private static func client(_ node: TestNode, rev2: Bool) throws -> IMAPClient {
        let client = try node.imap("alice")
        if rev2 { #expect(try client.run("ENABLE IMAP4rev2").isOK) }
        if try client.run("STATUS Box (MESSAGES)").isNO {
            #expect(try client.run("CREATE Box").isOK)
            for _ in 0..<3 { #expect(try client.append(letter, to: "Box").isOK) }
        }
        #expect(try client.run("SELECT Box").isOK)
        return client
    }

    /// RFC 2180 section 3.3: a client of IMAP4rev1 is told BYE.
    @Test("a mailbox that goes under an IMAP4rev1 session ends it", arguments: Change.allCases)
    private func rev1(_ change: Change) async throws {
        for command in ["NOOP", "FETCH 1 FLAGS", "UID FETCH 1:* FLAGS", "STORE 1 +FLAGS (\\Seen)", "EXPUNGE"] {
            try await withNode { node in
                try await onOwnThread {
                    let client = try Self.client(node, rev2: false)
                    try change.perform(node)
                    _ = try client.send(command)
                    var lines: [String] = []
                    while let line = try? client.line() { lines.append(line) }
                    #expect(lines.last?.hasPrefix("* BYE ") == true, "\(command): \(lines)")
                    #expect(client.socket.isClosed())
                    #expect(try node.imap("alice").run("SELECT INBOX").isOK)
                }
            }
        }
    }

    /// RFC 9051 section 3, transition 6: an unsolicited CLOSED leads back to the authenticated state.
    @Test("in IMAP4rev2 the mailbox is closed and the session goes on", arguments: Change.allCases)
    private func rev2(_ change: Change) async throws {
        for command in [
            "NOOP", "FETCH 1 FLAGS", "UID FETCH 1:* FLAGS", "UID FETCH 1:* BODY.PEEK[]", "STORE 1 +FLAGS (\\Seen)",
            "UID STORE 1 +FLAGS (\\Seen)", "EXPUNGE", "SEARCH ALL", "COPY 1 INBOX", "UID MOVE 1 INBOX", "CHECK",
        ] {
            try await withNode { node in
                try await onOwnThread {
                    let client = try Self.client(node, rev2: true)
                    try change.perform(node)
                    let answer = try client.run(command)
                    #expect(answer.all("* OK [CLOSED]").count == 1, "\(command): \(answer)")
                    #expect(!answer.isBAD, "\(command): \(answer)")
                    // No mailbox is open, and the connection is in step.
                    #expect(try client.run("FETCH 1 FLAGS").isBAD)
                    #expect(try client.run("SELECT INBOX").all("[CLOSED]").isEmpty)
                    #expect(try client.run("NOOP").isOK)
                }
            }
        }
    }

    @Test("idle sessions hear it at once", arguments: Change.allCases)
    private func idle(_ change: Change) async throws {
        try await withNode { node in
            try await onOwnThread {
                let old = try Self.client(node, rev2: false)
                let new = try Self.client(node, rev2: true)
                let tag = try new.send("IDLE")
                _ = try old.send("IDLE")
                for client in [old, new] { #expect(try client.line().hasPrefix("+ ")) }
                try change.perform(node)
                #expect(try old.line().hasPrefix("* BYE "))
                #expect(try new.line().hasPrefix("* OK [CLOSED]"))
                try new.socket.send("DONE\r\n")
                #expect(try new.answer(tag).isOK)
                #expect(try new.run("SELECT INBOX").isOK)
            }
        }
    }

    /// RFC 2180 section 3.4: those that have it open go on, whatever its name.
    @Test("a mailbox that is renamed stays open", arguments: [false, true])
    func renamed(rev2: Bool) async throws {
        try await withNode { node in
            try await onOwnThread {
                let client = try Self.client(node, rev2: rev2)
                let account = try node.account("alice@example.test")
                let box = try #require(try node.engine.read { try $0.mailboxID(account, named: MailboxName("Box")!) })
                node.perform(account, .renameMailbox(box, to: MailboxName("Other")!))
                #expect(try client.run("FETCH 3 UID").untagged == ["* 3 FETCH (UID 3)"])
                #expect(try client.run("STATUS Box (MESSAGES)").tagged.hasPrefix("NO [NONEXISTENT]"))
                #expect(try client.append(letter, to: "Other").isOK)
                #expect(try client.run("NOOP").isOK)
                #expect(try client.run("FETCH 4 UID").untagged == ["* 4 FETCH (UID 4)"])
            }
        }
    }

    @Test("a quota that is reached while a message is sent refuses it, and the session goes on")
    func quota() async throws {
        try await withNode { node in
            try await onOwnThread {
                let client = try node.imap("alice")
                let account = try node.account("alice@example.test")
                let tag = try client.send("APPEND INBOX {\(letter.utf8.count)}")
                #expect(try client.line().hasPrefix("+ "))
                node.perform(account, .setQuota(Quota(bytes: 10, messages: 0)))
                try client.socket.send(letter + "\r\n")
                #expect(try client.answer(tag).tagged.hasPrefix("NO [OVERQUOTA]"))
                // Now it is known before the text is asked for.
                #expect(try client.run("APPEND INBOX {\(letter.utf8.count)}").tagged.hasPrefix("NO [OVERQUOTA]"))
                node.perform(account, .setQuota(Quota()))
                #expect(try client.append(letter).isOK)
                try client.run("SELECT INBOX")
                #expect(try client.run("CREATE Box").isOK)
                node.perform(account, .setQuota(Quota(bytes: 0, messages: 1)))
                #expect(try client.run("COPY 1 Box").tagged.hasPrefix("NO [OVERQUOTA]"))
                #expect(try client.run("MOVE 1 Box").isOK)
            }
        }
    }

    @Test("an account that is disabled ends its sessions, whatever they do")
    func disabled() async throws {
        try await withNode { node in
            try await onOwnThread {
                let sessions = try ["NOOP", "SELECT INBOX", "IDLE", "APPEND INBOX {20}"].map { command in
                    let client = try node.imap("alice")
                    _ = try client.send(command)
                    while true {
                        let line = try client.line()
                        if line.hasPrefix("+ ") || line.hasPrefix("a2 ") { break }
                    }
                    return client
                }
                let other = try node.imap("bob")
                node.perform(try node.account("alice@example.test"), .setStatus(.disabled))
                for client in sessions {
                    #expect(try client.line().hasPrefix("* BYE "))
                    #expect(client.socket.isClosed())
                }
                #expect(try other.run("SELECT INBOX").isOK)
            }
        }
    }
}
