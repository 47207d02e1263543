// TLS on the gateways: from the first octet, and from STARTTLS on.
import COpenSSL
import Foundation
import MailEngine
import TLS
import Testing

@testable import Gateways

func tlsServer(_ name: String = "mx.example.test") throws -> TLSServer {
    let made = try SelfSignedCertificate.make(hosts: [name], now: 1_800_000_000)
    let credential = try TLSCredential(certificates: made.certificate, key: made.key)
    return try TLSServer(TLSServerOptions(main: credential)) { 0 }
}

private let loopback = ListenAddress.tcp(host: "127.0.0.1", port: 0)

/// Runs `body` against a node with TLS.
private func withSecureNode(
    _ server: TLSServer? = nil, options change: (inout GatewayOptions) -> Void = { _ in },
    _ body: (TestNode) async throws -> Void
) async throws {
    let server = try server ?? tlsServer()
    let listeners = [
        GatewayProtocol.smtp, .lmtp, .submission, .submissions, .pop3, .pop3s, .http,
    ].map { ($0, loopback) }
    try await withNode(
        listeners: listeners,
        options: {
            $0.tls = server
            change(&$0)
        }, body)
}

private let shortLetter =
    "MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: six\r\n\r\n.\r\n"

@Suite struct TLSTests {
    @Test func pop3sBeginsWithTLS() async throws {
        try await withSecureNode { node in
            try node.deposit("alice@example.test", Array("Subject: hello\r\n\r\nbody\r\n".utf8))
            try await onOwnThread {
                let client = try node.secureClient(.pop3s)
                #expect(client.security.version == "TLSv1.3")
                #expect(try client.line().hasPrefix("+OK"))
                #expect(try client.command("CAPA").hasPrefix("+OK"))
                let capabilities = try client.multiline()
                #expect(capabilities.contains("USER") && !capabilities.contains("STLS"))
                #expect(try client.command("STLS") == "-ERR TLS is on already")
                #expect(try client.command("USER alice").hasPrefix("+OK"))
                #expect(try client.command("PASS \(password)").hasPrefix("+OK"))
                #expect(try client.command("RETR 1").hasPrefix("+OK"))
                #expect(try client.multiline() == ["Subject: hello", "", "body"])
                #expect(try client.command("QUIT").hasPrefix("+OK"))
                #expect(client.isClosed() && client.security.hasServerEnded, "the end is said")
            }
            #expect(node.gateways.metrics[.pop3s].tls.sessions == 1)
        }
    }

    @Test func stlsForgetsWhatWasSaidBefore() async throws {
        try await withSecureNode { node in
            try await onOwnThread {
                let client = try node.client(.pop3)
                #expect(try client.line().hasPrefix("+OK"))
                #expect(try client.command("CAPA").hasPrefix("+OK"))
                #expect(try client.multiline().contains("STLS"))
                #expect(try client.command("USER alice").hasPrefix("+OK"))
                #expect(try client.command("STLS") == "+OK Begin TLS")
                try client.secure()
                #expect(try client.command("PASS \(password)") == "-ERR USER comes first")
                #expect(try client.command("CAPA").hasPrefix("+OK"))
                #expect(!(try client.multiline().contains("STLS")))
                #expect(try client.command("USER alice").hasPrefix("+OK"))
                #expect(try client.command("PASS \(password)").hasPrefix("+OK"))
                #expect(try client.command("STLS").hasPrefix("-ERR"))
            }
        }
    }

    @Test(arguments: [
        (GatewayProtocol.smtp, "EHLO", "ESMTPS"), (.lmtp, "LHLO", "LMTPS"),
    ])
    func startTLSForgetsWhatWasSaidBefore(_ name: GatewayProtocol, _ hello: String, _ with: String) async throws {
        try await withSecureNode { node in
            try await onOwnThread {
                let client = try node.client(name)
                _ = try client.reply()
                #expect(try client.command("STARTTLS").hasPrefix("503 "), "\(hello) comes first")
                try client.send("\(hello) client.test\r\n")
                #expect(try client.reply().contains("250-STARTTLS"))
                #expect(try client.command("STARTTLS now").hasPrefix("501 "))
                #expect(try client.command("STARTTLS").hasPrefix("220 "))
                try client.secure()
                #expect(try client.command("MAIL FROM:<a@client.test>").hasPrefix("503 "))
                try client.send("\(hello) client.test\r\n")
                #expect(!(try client.reply().contains { $0.hasSuffix("STARTTLS") }))
                #expect(try client.command("STARTTLS").hasPrefix("503 "))
                try client.send(shortLetter)
                for code in ["250", "250", "354", "250"] { #expect(try client.line().hasPrefix(code)) }
                #expect(try client.command("QUIT").hasPrefix("221 "))
                #expect(client.isClosed() && client.security.hasServerEnded)
            }
            #expect(try node.letters("alice@example.test")[0].contains("with \(with) "))
        }
    }

    @Test func submissionsTakesPasswords() async throws {
        try await withSecureNode { node in
            try await onOwnThread {
                let client = try node.secureClient(.submissions)
                #expect(try client.line().hasPrefix("220 "))
                try client.send("EHLO client.test\r\n")
                let lines = try client.reply()
                #expect(lines.contains { $0.dropFirst(4).hasPrefix("AUTH ") && $0.contains(" PLAIN") })
                let plain = Data("\u{0}alice@example.test\u{0}\(password)".utf8).base64EncodedString()
                #expect(try client.command("AUTH PLAIN \(plain)").hasPrefix("235 "))
            }
        }
    }

    // MARK: What an attacker on the way may do

    /// How each protocol begins TLS: what comes before, the command, and what must not be acted on.
    static let beginnings: [(GatewayProtocol, before: String, command: String, injected: String)] = [
        (.smtp, "EHLO client.test\r\n", "STARTTLS\r\n", "RSET\r\n"),
        (.submission, "EHLO client.test\r\n", "STARTTLS\r\n", "RSET\r\n"),
        (.lmtp, "LHLO client.test\r\n", "STARTTLS\r\n", "RSET\r\n"),
        (.pop3, "CAPA\r\n", "STLS\r\n", "USER mallory\r\n"),
    ]

    @Test(arguments: beginnings.indices)
    func octetsBehindTheCommandEndTheSession(_ index: Int) async throws {
        let (name, before, command, injected) = Self.beginnings[index]
        try await withSecureNode { node in
            for (pieces, rejects) in [([before + command + injected], 1), ([before, command + "X"], 2)] {
                try await onOwnThread {
                    let client = try node.client(name)
                    for piece in pieces { try client.send(piece) }
                    #expect(client.isClosed())
                    let said = client.unread
                    #expect(said.contains(name == .pop3 ? "+OK Begin TLS\r\n" : "220 2.0.0 Ready"))
                    #expect(said.hasSuffix("TLS\r\n"), "nothing is answered behind it: \(said)")
                }
                #expect(node.gateways.metrics[name].rejects[.plaintextBehindTLS] == rejects)
            }
        }
    }

    @Test(arguments: beginnings.indices)
    func octetsInPlaceOfTheHandshakeAreNotActedOn(_ index: Int) async throws {
        let (name, before, command, injected) = Self.beginnings[index]
        try await withSecureNode { node in
            try await onOwnThread {
                let client = try node.client(name)
                try client.send(before + command)
                while !(try client.line().hasSuffix(" TLS")) {}
                try client.send(injected)
                #expect(client.isClosed())
                #expect(!client.unread.contains("250") && !client.unread.contains("+OK"))
            }
            #expect(await eventually { node.gateways.metrics[name].tls.failures[.notTLS] == 1 })
        }
    }

    @Test func aSessionWithoutTLSHasNoCommandForIt() async throws {
        try await withNode { node in
            try await onOwnThread {
                let smtp = try node.smtp()
                #expect(try smtp.command("STARTTLS").hasPrefix("500 "))
                let pop3 = try node.client(.pop3)
                _ = try pop3.line()
                #expect(try pop3.command("STLS") == "-ERR Command not known here")
            }
        }
    }

    @Test func whatIsNotTLSIsAnsweredByAnAlertOrNothing() async throws {
        try await withSecureNode { node in
            try await onOwnThread {
                for garbage in ["GET / HTTP/1.1\r\n\r\n", "\u{16}\u{3}\u{1}\u{0}\u{4}abcd", "CAPA\r\n"] {
                    let client = try node.client(.pop3s)
                    try client.send(garbage)
                    #expect(client.isClosed())
                    #expect(!client.unread.contains("OK"))
                }
            }
            #expect(await eventually { node.gateways.metrics[.pop3s].tls.failures[.notTLS] == 3 })
        }
    }

    @Test func aBadRecordEndsTheSession() async throws {
        try await withSecureNode { node in
            try await onOwnThread {
                let client = try node.secureClient(.pop3s)
                _ = try client.line()
                // Behind the session's back: a record that was not sealed.
                let record: [UInt8] = [23, 3, 3, 0, 32] + [UInt8](repeating: 7, count: 32)
                _ = record.withUnsafeBytes { Glibc.send(client.descriptor, $0.baseAddress, $0.count, 0) }
                #expect(client.isClosed())
            }
            #expect(await eventually { node.gateways.metrics[.pop3s].tls.failures[.record] == 1 })
        }
    }

    @Test func aHandshakeHasALimitInTime() async throws {
        try await withSecureNode(options: { $0.tlsHandshakeMax = .milliseconds(50) }) { node in
            try await onOwnThread {
                for first in ["", "\u{16}\u{3}\u{1}"] {
                    let client = try node.client(.pop3s)
                    if !first.isEmpty { try client.send(first) }
                    #expect(client.isClosed())
                }
                let client = try node.client(.pop3)
                _ = try client.line()
                #expect(try client.command("STLS").hasPrefix("+OK"))
                #expect(client.isClosed())
            }
            #expect(await eventually { node.gateways.metrics[.pop3s].tls.failures[.timedOut] == 2 })
            #expect(await eventually { node.gateways.metrics[.pop3].tls.failures[.timedOut] == 1 })
        }
    }

    // MARK: Ends

    @Test func commandsBeforeTheClientsEndAreAnswered() async throws {
        try await withSecureNode { node in
            try await onOwnThread {
                // Said, and not.
                for isSaid in [true, false] {
                    let client = try node.secureClient(.pop3s)
                    try client.send("NOOP\r\nUSER alice\r\nQUIT\r\n")
                    if isSaid { client.security.end() }
                    client.endSending()
                    #expect(client.isClosed() && client.security.hasServerEnded)
                    #expect(client.unread.hasSuffix("+OK Send PASS\r\n+OK Closing\r\n"))
                }
                let client = try node.secureClient(.pop3s)
                _ = try client.line()
                client.endSending()
                #expect(client.isClosed() && client.security.hasServerEnded)
            }
            // Counted when the connection is gone, which the client cannot see.
            let end = ContinuousClock.now + .seconds(30)
            while node.gateways.metrics[.pop3s].connections > 0, ContinuousClock.now < end {
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(node.gateways.metrics[.pop3s].tls.truncated == 1)
        }
    }

    @Test func largeTransfersBothWays() async throws {
        try await withSecureNode(options: { $0.messageOctetsMax = 64 << 20 }) { node in
            let line = String(repeating: "x", count: 76) + "\r\n"
            let body = String(repeating: line, count: 200_000)
            try await onOwnThread {
                let client = try node.secureClient(.submissions)
                _ = try client.line()
                try client.send("EHLO client.test\r\n")
                _ = try client.reply()
                let plain = Data("\u{0}alice@example.test\u{0}\(password)".utf8).base64EncodedString()
                #expect(try client.command("AUTH PLAIN \(plain)").hasPrefix("235 "))
                try client.send("MAIL FROM:<alice@example.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n")
                for code in ["250", "250", "354"] { #expect(try client.reply().last!.hasPrefix(code)) }
                try client.send("Subject: large\r\n\r\n" + body + ".\r\n")
                #expect(try client.reply().last!.hasPrefix("250"))
                // A client that does not read for a while gets it all the same.
                let reader = try node.client(.pop3s, receiveBuffer: 4096)
                try reader.secure()
                _ = try reader.line()
                #expect(try reader.command("USER alice").hasPrefix("+OK"))
                #expect(try reader.command("PASS \(password)").hasPrefix("+OK"))
                try reader.send("RETR 1\r\n")
                usleep(200_000)
                #expect(try reader.line().hasPrefix("+OK"))
                while try !reader.line().isEmpty {}
                #expect(try reader.takes(Array(line.utf8), times: 200_000))
            }
            // What the server made while nobody read: bounded by what waits for a socket.
            #expect(node.gateways.metrics[.pop3s].octetsOut > body.utf8.count)
        }
    }

    // MARK: Many

    @Test func aStormOfHandshakesIsServed() async throws {
        try await withSecureNode { node in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for worker in 0..<8 {
                    group.addTask {
                        try await onOwnThread {
                            var served = 0
                            for turn in 0..<12 {
                                if (worker + turn) % 3 == 0 {
                                    // Begins a handshake and goes.
                                    let client = try node.client(.pop3s)
                                    try client.send("\u{16}\u{3}\u{1}")
                                    continue
                                }
                                let client = try node.secureClient(.pop3s)
                                #expect(try client.line().hasPrefix("+OK"))
                                served += 1
                            }
                            return served
                        }
                    }
                }
                var served = 0
                for try await count in group { served += count }
                #expect(served == 64)
                #expect(node.gateways.metrics[.pop3s].tls.sessions == 64)
            }
        }
    }

    @Test func whoIsTurnedAwayCostsNoHandshake() async throws {
        try await withSecureNode(options: { $0.connectionsMax = 1 }) { node in
            try await onOwnThread {
                let first = try node.secureClient(.pop3s)
                #expect(try first.line().hasPrefix("+OK"))
                #expect(throws: ClientError.self) { try node.secureClient(.pop3s) }
                #expect(try first.command("NOOP").hasPrefix("-ERR"))
            }
            #expect(node.gateways.metrics[.pop3s].tls.sessions == 1)
            #expect(node.gateways.metrics[.pop3s].rejects[.connectionLimit] == 1)
        }
    }

    @Test func newCertificatesDoNotTouchSessions() async throws {
        let server = try tlsServer("old.example.test")
        try await withSecureNode(server) { node in
            try await onOwnThread {
                let old = try node.secureClient(.pop3s)
                #expect(try old.line().hasPrefix("+OK"))
                let made = try SelfSignedCertificate.make(hosts: ["new.example.test"], now: 1_800_000_000)
                let credential = try TLSCredential(certificates: made.certificate, key: made.key)
                try server.replace(with: TLSServerOptions(main: credential))
                let new = try node.secureClient(.pop3s)
                #expect(new.security.commonName == "new.example.test")
                #expect(old.security.commonName == "old.example.test")
                #expect(try old.command("USER alice").hasPrefix("+OK"))
                #expect(try old.command("PASS \(password)").hasPrefix("+OK"))
            }
        }
    }
}
