// Sessions of IMAP over a socket, against a real engine: what each command comes to, and what others see of it.
import EventStore
import MailCore
import MailEngine
import MailTypes
import Testing

@testable import Gateways

let letter = "From: a@example.test\r\nTo: b@example.test\r\nSubject: One\r\n\r\nBody of one.\r\n"

@Suite("IMAP sessions")
struct IMAPSessionTests {
    @Test("login, select, fetch, store, expunge, logout")
    func core() async throws {
        try await withNode { node in
            try await onOwnThread {
                for text in ["one", "two", "three"] {
                    try node.deposit("alice@example.test", Array("Subject: \(text)\r\n\r\n\(text)\r\n".utf8))
                }
                let client = try node.imap("alice")
                let selected = try client.run("SELECT INBOX")
                #expect(selected.isOK)
                #expect(selected.untagged.contains("* 3 EXISTS"))
                #expect(selected.untagged.contains("* 3 RECENT"))
                #expect(selected.code("UNSEEN") == "1")
                #expect(selected.code("UIDNEXT") == "4")
                #expect(selected.code("READ-WRITE") != nil)
                let fetched = try client.run("FETCH 2 (UID FLAGS RFC822.SIZE BODY.PEEK[])")
                #expect(
                    fetched.untagged == [
                        "* 2 FETCH (UID 2 FLAGS (\\Recent) RFC822.SIZE 21 BODY[] {21}\r\nSubject: two\r\n\r\ntwo\r\n)"
                    ])
                let stored = try client.run("STORE 1,3 +FLAGS (\\Deleted $Junk)")
                #expect(stored.isOK)
                #expect(stored.all("FETCH").count == 2)
                #expect(try #require(stored.first("* 1 FETCH")).contains("$Junk"))
                let expunged = try client.run("EXPUNGE")
                #expect(expunged.untagged.filter { $0.hasSuffix("EXPUNGE") } == ["* 1 EXPUNGE", "* 2 EXPUNGE"])
                #expect(try client.run("FETCH 1:* UID").untagged == ["* 1 FETCH (UID 2)"])
                let last = try client.run("LOGOUT")
                #expect(last.untagged.contains { $0.hasPrefix("* BYE") })
                #expect(last.isOK)
                #expect(client.socket.isClosed())
            }
        }
    }

    @Test("APPEND: APPENDUID, flags, date; the octets come back")
    func append() async throws {
        try await withNode { node in
            try await onOwnThread {
                let client = try node.imap("alice")
                let answer = try client.append(
                    letter, "(\\Seen $Label) \" 5-Jan-2026 08:30:00 +0130\"")
                #expect(answer.isOK, "\(answer)")
                #expect(try #require(answer.code("APPENDUID")).hasSuffix(" 1"))
                try client.run("SELECT INBOX")
                let fetched = try client.run("FETCH 1 (FLAGS INTERNALDATE BODY[])")
                let line = try #require(fetched.first("FETCH"))
                #expect(line.contains("\\Seen") && line.contains("$Label"))
                #expect(line.contains("INTERNALDATE \" 5-Jan-2026 08:30:00 +0130\""))
                #expect(line.contains(letter))
            }
        }
    }

    @Test("APPEND to a mailbox that is not there says TRYCREATE before the text is sent")
    func tryCreate() async throws {
        try await withNode { node in
            try await onOwnThread {
                let client = try node.imap("alice")
                let answer = try client.run("APPEND Nowhere {10}")
                #expect(answer.isNO)
                #expect(answer.tagged.contains("[TRYCREATE]"))
                #expect(try client.run("NOOP").isOK)
                let unasked = try client.append(letter, to: "Nowhere")
                #expect(unasked.isNO && unasked.tagged.contains("[TRYCREATE]"))
                #expect(try client.run("NOOP").isOK)
            }
        }
    }

    @Test("MULTIAPPEND is all or nothing")
    func multiAppend() async throws {
        try await withNode { node in
            try await onOwnThread {
                let client = try node.imap("alice")
                let both = "APPEND INBOX (\\Seen) {\(letter.utf8.count)+}\r\n\(letter) {5+}\r\nA: b\n"
                let answer = try client.run(both)
                #expect(answer.isOK, "\(answer)")
                #expect(try #require(answer.code("APPENDUID")).hasSuffix(" 1:2"))
                node.perform(
                    try node.account("alice@example.test"), .setQuota(Quota(bytes: 100, messages: 0)))
                let over = try client.run(both)
                #expect(over.isNO && over.tagged.contains("[OVERQUOTA]"))
                #expect(try client.run("STATUS INBOX (MESSAGES)").untagged == ["* STATUS INBOX (MESSAGES 2)"])
            }
        }
    }

    /// Rule 9 of docs/protocols/imap.md; RFC 7162 section 3.2.7, RFC 6851 section 4.4, RFC 8508 section 4.5.
    @Test("what takes messages away says HIGHESTMODSEQ in its tagged OK once CONDSTORE or QRESYNC is on")
    func highestModSeq() async throws {
        try await withNode { node in
            try await onOwnThread {
                for enabling in ["CONDSTORE", "QRESYNC"] {
                    let client = try node.imap(enabling == "CONDSTORE" ? "alice" : "bob")
                    try client.run("ENABLE \(enabling)")
                    for _ in 0..<4 { #expect(try client.append(letter).isOK) }
                    try client.run("CREATE Box")
                    try client.run("SELECT INBOX")
                    try client.run("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
                    var last = 0
                    for command in ["UID EXPUNGE 1", "EXPUNGE", "MOVE 1 Box", "REPLACE 1 Box {3+}\r\nabc"] {
                        let answer = try client.run(command)
                        #expect(answer.tagged.hasPrefix("OK [HIGHESTMODSEQ "), "\(command): \(answer)")
                        let told = try #require(answer.code("HIGHESTMODSEQ").flatMap { Int($0) })
                        #expect(told > last)
                        last = told
                        let status = try client.run("STATUS INBOX (HIGHESTMODSEQ)")
                        #expect(status.untagged == ["* STATUS INBOX (HIGHESTMODSEQ \(told))"])
                    }
                }
            }
        }
    }

    /// As an empty literal is (RFC 3502 section 6.3.11).
    @Test("a message of empty parts is refused")
    func emptyParts() async throws {
        try await withNode { node in
            try await onOwnThread {
                let client = try node.imap("alice")
                #expect(try client.run("APPEND INBOX CATENATE (TEXT {0+}\r\n TEXT {0+}\r\n)").isNO)
                #expect(try client.run("APPEND INBOX {0+}\r\n").isNO)
                #expect(try client.run("STATUS INBOX (MESSAGES)").untagged == ["* STATUS INBOX (MESSAGES 0)"])
            }
        }
    }

    @Test("IDLE tells of a delivery at once, and goes on after DONE")
    func idle() async throws {
        try await withNode { node in
            try await onOwnThread {
                let client = try node.imap("alice")
                try client.run("SELECT INBOX")
                let tag = try client.send("IDLE")
                #expect(try client.line().hasPrefix("+ "))
                try node.deposit("alice@example.test", Array(letter.utf8))
                #expect(try client.line() == "* 1 EXISTS")
                #expect(try client.line() == "* 1 RECENT")
                try client.socket.send("DONE\r\n\r\n")
                let answer = try client.answer(tag)
                #expect(answer.isOK && answer.untagged.isEmpty)
                // Commands that come with DONE, and empty lines, are in order (rule 15).
                let idle = try client.send("IDLE\r\nDONE\r\n\r\nx1 NOOP")
                #expect(try client.line().hasPrefix("+ "))
                #expect(try client.answer(idle).isOK)
                #expect(try client.line().hasPrefix("x1 OK"))
            }
        }
    }

    @Test("two sessions see each other's changes; expunges wait for a command that allows them")
    func twoSessions() async throws {
        try await withNode { node in
            try await onOwnThread {
                for _ in 0..<4 { try node.deposit("alice@example.test", Array(letter.utf8)) }
                let one = try node.imap("alice")
                let two = try node.imap("alice")
                #expect(try one.run("SELECT INBOX").untagged.contains("* 4 RECENT"))
                #expect(try two.run("SELECT INBOX").untagged.contains("* 0 RECENT"))
                try one.run("STORE 2 +FLAGS.SILENT (\\Deleted)")
                try one.run("EXPUNGE")
                let fetched = try two.run("FETCH 2 (UID BODY.PEEK[TEXT])")
                #expect(fetched.isOK)
                #expect(fetched.untagged == ["* 2 FETCH (UID 2 BODY[TEXT] {14}\r\nBody of one.\r\n)"])
                let noop = try two.run("NOOP")
                #expect(noop.untagged == ["* 2 EXPUNGE"])
                try two.run("STORE 1 +FLAGS (\\Flagged)")
                #expect(try one.run("NOOP").untagged == ["* 1 FETCH (UID 1 FLAGS (\\Flagged \\Recent))"])
            }
        }
    }
}
