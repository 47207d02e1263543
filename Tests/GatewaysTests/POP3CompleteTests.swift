// POP3 over sockets: UTF-8 messages for clients with and without UTF8, and what a session costs in events.
import MailCore
import MailEngine
import POP3
import Testing

@testable import Gateways

@Suite struct POP3CompleteTests {
    private static let alice = "alice@example.test"

    /// Events of the account, but for those that tell when a credential was last used.
    private static func events(_ node: TestNode) throws -> Int {
        let account = try node.account(alice)
        var count = 0
        try node.engine.read { state in
            try state.history(account) { logged in
                if case .credentialUsed = logged.event { return true }
                count += 1
                return true
            }
        }
        return count
    }

    /// RFC 6856 section 2.1: without UTF8 a surrogate, whose body is the message's own, dots and all.
    @Test(arguments: [0, 100_000]) func aHeaderInUTF8(bodyOctets: Int) async throws {
        let body = ".dot and \u{FC}\r\n" + String(repeating: "0123456789abcdef\r\n", count: bodyOctets / 18)
        let letter = Array("Subject: Gr\u{FC}\u{DF}e\r\nX: y\r\n\r\n\(body)".utf8)
        try await withNode { node in
            try node.deposit(Self.alice, letter)
            try await onOwnThread {
                let knowing = try node.pop3("alice", utf8: true)
                #expect(try knowing.command("RETR 1") == "+OK \(letter.count) octets")
                #expect(try knowing.multilineOctets() == letter)
                #expect(try knowing.command("QUIT").hasPrefix("+OK"))
                let other = try node.pop3("alice")
                let header = "Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\nX: y\r\n\r\n"
                #expect(try other.command("RETR 1").hasPrefix("+OK"))
                #expect(try other.multilineOctets() == Array((header + body).utf8))
                #expect(try other.command("TOP 1 1").hasPrefix("+OK"))
                #expect(try other.multilineOctets() == Array((header + ".dot and \u{FC}\r\n").utf8))
            }
        }
    }

    @Test func aHeaderTooLongForThat() async throws {
        let field = "X: " + String(repeating: "x", count: POP3Limits.surrogateHeaderOctetsMax)
        try await withNode { node in
            try node.deposit(Self.alice, Array("Subject: \u{FC}\r\n\(field)\r\n\r\nbody\r\n".utf8))
            try node.deposit(Self.alice, Array("Subject: u\r\n\(field)\r\n\r\nbody\r\n".utf8))
            // Of another charset: as it is, since nobody can say UTF8 for it.
            try node.deposit(
                Self.alice, Array("Subject: ".utf8) + [0xFC, 0x61] + Array("\r\n\(field)\r\n\r\nbody\r\n".utf8))
            try await onOwnThread {
                let other = try node.pop3("alice")
                #expect(
                    try other.command("RETR 1") == "-ERR [UTF8] Message has a header in UTF-8; say UTF8 before login")
                #expect(try other.command("RETR 2").hasPrefix("+OK"))
                #expect(try other.multiline().last == "body")
                #expect(try other.command("RETR 3").hasPrefix("+OK"))
                #expect(try other.multilineOctets().starts(with: Array("Subject: ".utf8) + [0xFC, 0x61, 13]))
            }
        }
    }

    /// Leave on server costs no event; QUIT after DELE of everything two, and one for each further part of a commit that
    /// would hold up others; a session that dies none.
    @Test(arguments: [(4_096, 1), (500, 4)]) func whatASessionCosts(touchesMax: Int, parts: Int) async throws {
        let count = 2_000
        try await withNode(engine: { $0.batchTouchesMax = touchesMax }) { node in
            for _ in 0..<count { try node.deposit(Self.alice, Array("A: b\r\n\r\n".utf8)) }
            let before = try Self.events(node)
            try await onOwnThread {
                let reading = try node.pop3("alice")
                #expect(try reading.command("UIDL").hasPrefix("+OK"))
                #expect(try reading.multiline().count == count)
                #expect(try reading.command("QUIT").hasPrefix("+OK"))
                #expect(try Self.events(node) == before)
                let deletions = (1...count).map { "DELE \($0)\r\n" }.joined()
                do {
                    let dying = try node.pop3("alice")
                    try dying.send(deletions)
                    for _ in 1...count { #expect(try dying.line().hasPrefix("+OK")) }
                    dying.resetAtEnd()
                }
                var again = try node.client(.pop3)
                // Until the node has seen the end of the connection the maildrop is in use.
                for _ in 0..<3_000 {
                    _ = try again.line()
                    #expect(try again.command("USER alice").hasPrefix("+OK"))
                    if try again.command("PASS \(password)").hasPrefix("+OK Maildrop has \(count) messages") { break }
                    again = try node.client(.pop3)
                }
                #expect(try Self.events(node) == before)
                try again.send(deletions + "QUIT\r\n")
                for _ in 0...count { #expect(try again.line().hasPrefix("+OK")) }
            }
            #expect(try Self.events(node) == before + 1 + parts)
            #expect(try node.bodies(Self.alice).isEmpty)
        }
    }
}
