// AUTH over sockets: POP3 and submission, by the mechanisms that need nothing but a socket.
import Glibc
import MailCore
import MailTypes
import Octets
import Testing

@testable import Gateways

@Suite struct LoginTests {
    private let loopback = ListenAddress.tcp(host: "127.0.0.1", port: 0)
    private func plain(_ name: String, _ password: String) -> String {
        Base64.encode(Array("\0\(name)\0\(password)".utf8))
    }

    private func submission(_ node: TestNode) throws -> TestClient {
        let client = try node.client(.submission)
        #expect(try client.reply() == ["220 mx.example.test ESMTP Letterlog"])
        try client.send("EHLO client.test\r\n")
        let lines = try client.reply()
        #expect(lines.contains("250-AUTH SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN"))
        return client
    }

    @Test func pop3() async throws {
        try await withNode { node in
            try node.deposit("alice@example.test", Array("Subject: x\r\n\r\n".utf8))
            try await onOwnThread {
                let client = try node.client(.pop3)
                _ = try client.line()
                #expect(
                    try client.command("AUTH PLAIN \(plain("alice", "wrong"))") == "-ERR [AUTH] Wrong name or password")
                #expect(try client.command("AUTH PLAIN") == "+ ")
                #expect(try client.command(plain("alice", password)) == "+OK Maildrop has 1 messages (14 octets)")
                #expect(try client.command("QUIT") == "+OK Closing")
                let other = try node.client(.pop3)
                _ = try other.line()
                #expect(try other.command("AUTH LOGIN") == "+ VXNlcm5hbWU6")
                #expect(try other.command(Base64.encode(Array("alice".utf8))) == "+ UGFzc3dvcmQ6")
                #expect(try other.command(Base64.encode(Array(password.utf8))).hasPrefix("+OK Maildrop"))
            }
        }
    }

    @Test func aLongResponseOverASocketIsTakenWhole() async throws {
        try await withNode { node in
            try await onOwnThread {
                let client = try node.client(.pop3)
                _ = try client.line()
                #expect(try client.command("AUTH PLAIN") == "+ ")
                let long = Base64.encode(Array(repeating: UInt8(ascii: "x"), count: 9_216))
                #expect(try client.command(long) == "-ERR [AUTH] Wrong name or password")
                #expect(try client.command("AUTH PLAIN") == "+ ")
                #expect(try client.command(long + "AAAA") == "-ERR Response line too long")
                #expect(try client.command("AUTH PLAIN \(plain("alice", password))").hasPrefix("+OK"))
            }
        }
    }

    @Test func submissionTakesMailOfWhoIsIn() async throws {
        try await withNode(listeners: [(.submission, loopback)]) { node in
            try await onOwnThread {
                let client = try submission(node)
                #expect(try client.command("MAIL FROM:<alice@example.test>").hasPrefix("530 5.7.0"))
                #expect(try client.command("AUTH PLAIN \(plain("alice", "wrong"))").hasPrefix("535 5.7.8"))
                #expect(try client.command("AUTH PLAIN \(plain("alice", password))").hasPrefix("235 2.7.0"))
                #expect(try client.command("MAIL FROM:<bob@example.test>").hasPrefix("553 5.7.1"))
                #expect(try client.command("MAIL FROM:<alice@elsewhere.test>").hasPrefix("553 5.7.1"))
                #expect(try client.command("MAIL FROM:<Alice+list@example.test>").hasPrefix("250 2.1.0"))
                #expect(try client.command("RCPT TO:<carol@elsewhere.test>").hasPrefix("550 5.7.1"))
                #expect(try client.command("RCPT TO:<bob@example.test>").hasPrefix("250 2.1.5"))
                #expect(try client.command("DATA").hasPrefix("354"))
                #expect(try client.command("Subject: hello\r\n\r\nx\r\n.").hasPrefix("250 2.6.0"))
            }
            let letter = try #require(try node.letters("bob@example.test").first)
            #expect(letter.contains("with ESMTPA id"))
        }
    }

    @Test func theSessionEndsWithItsCredential() async throws {
        try await withNode(listeners: [(.submission, loopback)]) { node in
            let alice = try node.account("alice@example.test")
            try await onOwnThread {
                let client = try submission(node)
                #expect(try client.command("AUTH PLAIN \(plain("alice", password))").hasPrefix("235"))
                #expect(node.gateways.metrics[.submission].loginsAccepted == 1)
                node.perform(alice, .setStatus(.disabled))
                #expect(try client.reply().first?.hasPrefix("421") == true)
            }
        }
    }

    @Test func aConnectionThatGoesTakesItsExchangeAlong() async throws {
        try await withNode { node in
            try await onOwnThread {
                for _ in 0..<20 {
                    let client = try node.client(.pop3)
                    _ = try client.line()
                    #expect(try client.command("AUTH LOGIN") == "+ VXNlcm5hbWU6")
                }
                while node.gateways.exchangesUnderWay > 0 { usleep(1_000) }
            }
        }
    }
}
