import InputSupport
import MailTypes
import POP3
import Testing

@Suite struct LimitTests {
    private func padded(_ verb: String, to octets: Int) -> String {
        verb + " " + String(repeating: "x", count: octets - verb.utf8.count - 3) + "\r\n"
    }

    @Test func longestCommandLine() {
        for chunking in [Chunking.whole, .octetByOctet, .sizes([100])] {
            let longest = Session.run(padded("USER", to: POP3Limits.commandLineOctetsMax), chunking)
            #expect(longest.lines.last == "+OK Send PASS")
            let longer = Session.run(padded("USER", to: POP3Limits.commandLineOctetsMax + 1), chunking)
            #expect(longer.lines.last == "-ERR Command line too long")
        }
    }

    @Test func longestPassword() {
        for chunking in [Chunking.whole, .octetByOctet, .sizes([100])] {
            let user = "USER mrose\r\n"
            let longest = Session.run(user + padded("PASS", to: POP3Limits.passwordLineOctetsMax), chunking)
            #expect(longest.logins.first?.password.count == POP3Limits.passwordLineOctetsMax - 7)
            let longer = Session.run(user + padded("PASS", to: POP3Limits.passwordLineOctetsMax + 1), chunking)
            #expect(longer.logins.isEmpty)
            #expect(longer.lines.last == "-ERR Command line too long")
        }
    }

    @Test func endlessLineCostsNothing() {
        var session = Session()
        let chunk = [UInt8](repeating: 0x41, count: 65_536)
        for _ in 0..<32 { session.send(chunk[...]) }
        #expect(session.record.lines.count == 1)
        session.send("\r\nUSER x\r\n")
        #expect(session.record.lines.suffix(2) == ["-ERR Command line too long", "+OK Send PASS"])
    }

    @Test(arguments: ["CAPA\n", "QUIT\rx\r\n", "USER a\0\r\n", "\n", "QUIT\r\r\n"])
    func oddOctetsInCommands(_ line: String) {
        for chunking in [Chunking.whole, .octetByOctet] {
            let record = Session.run(line + "USER x\r\n", chunking)
            let expected = ["-ERR Command line has a NUL, a bare CR or a bare LF", "+OK Send PASS"]
            #expect(record.lines.suffix(2) == expected)
        }
    }

    @Test(arguments: [
        "\r\n", " QUIT\r\n", "QUITS\r\n", "STLS\r\n", "APOP a b\r\n", "ü\r\n", "QU\r\n",
    ])
    func unknownCommands(_ line: String) {
        #expect(Session.run(line).lines.last == "-ERR Command not known here")
    }

    @Test func tooManyErrorsEndTheSession() {
        let record = Session.run(String(repeating: "FOO\r\n", count: POP3Limits.errorsMax + 5))
        #expect(record.closed == .tooManyErrors)
        #expect(record.lines.count == 1 + POP3Limits.errorsMax)
        #expect(record.lines.last == "-ERR Too many errors, closing")
    }

    @Test func tooManyFailedLoginsEndTheSession() {
        let record = Session.run(String(repeating: "USER mrose\r\nPASS guess\r\n", count: 10))
        #expect(record.closed == .tooManyLoginFailures)
        #expect(record.logins.count == POP3Limits.loginFailuresMax)
        #expect(record.lines.last == "-ERR [AUTH] Wrong name or password")
    }

    @Test func replyLinesAreCutAndClean() {
        let reply = POP3Reply.error("a\r\n+OK b\u{0}ü" + String(repeating: "x", count: 1_000), code: .systemTemporary)
        #expect(reply.bytes.count == POP3Limits.replyLineOctetsMax)
        #expect(String(decoding: reply.bytes, as: UTF8.self).hasPrefix("-ERR [SYS/TEMP] a??+OK b???x"))
        #expect(reply.bytes.suffix(2) == [13, 10])
    }

    @Test func linesOfRepliesAreStuffed() {
        let reply = POP3Reply.ok("x", lines: [".a", "."])
        #expect(String(decoding: reply.bytes, as: UTF8.self) == "+OK x\r\n..a\r\n..\r\n.\r\n")
    }

    /// RFC 1939 section 7: 1 to 70 octets of 0x21 to 0x7E, and no two messages have the same.
    @Test func uniqueIDsThatCameAlong() {
        let messages = (1...8).map { POP3Maildrop.Message(uid: UID(UInt32($0)), octets: 7) }
        let longest = String(repeating: "~", count: POP3Limits.uniqueIDOctetsMax)
        let maildrop = POP3Maildrop(
            uidValidity: UIDValidity(0xAB), messages: messages,
            importedUniqueIDs: [
                UID(1): "UID7-1400000000", UID(2): longest, UID(3): longest + "~", UID(4): "a b", UID(5): "",
                // Of two alike the second, and what this mailbox gives to the message with UID 8.
                UID(6): "UID7-1400000000", UID(7): "00000008000000ab",
                // Gone since.
                UID(99): "UID9-1400000000",
            ])
        let ids = messages.indices.map { maildrop.uniqueID(at: $0) }
        let made = (3...8).map { "0000000\($0)000000ab" }
        #expect(ids == ["UID7-1400000000", longest] + made)
        #expect(Set(ids).count == ids.count)
    }

    /// A large maildrop is listed in pieces no larger than asked for, and complete.
    @Test func largeListing() {
        let count = 100_000
        let messages = (1...count).map { POP3Maildrop.Message(uid: UID(UInt32($0)), octets: 7) }
        let maildrop = POP3Maildrop(uidValidity: UIDValidity(1), messages: messages)
        var machine = POP3ServerMachine(Site().configuration)
        var actions: [POP3Action] = []
        machine.start(into: &actions)
        for line in ["USER a\r\n", "PASS b\r\n"] {
            _ = Array(line.utf8).withUnsafeBytes { machine.receive($0, into: &actions) }
        }
        machine.loginFinished(.success(maildrop), into: &actions)
        for line in ["DELE 100000\r\n", "DELE 1\r\n", "UIDL\r\n"] {
            _ = Array(line.utf8).withUnsafeBytes { machine.receive($0, into: &actions) }
        }
        guard case .list(var listing) = actions.last else {
            Issue.record("no listing")
            return
        }
        var lineFeeds = 0
        while !listing.isComplete {
            var piece: [UInt8] = []
            listing.append(to: &piece, octetsMax: 16_384)
            #expect(piece.count <= 16_384)
            lineFeeds += piece.count { $0 == 10 }
        }
        #expect(lineFeeds == count - 2 + 1)
    }
}
