// TLS where it is offered, towards a host whose TLS does not work (RFC 7435).
import MailCore
import NIOCore
import Octets
import SMTP
import Synchronization
import TLS
import Testing

@testable import Delivery

@Suite struct OpportunisticTests {
    private final class Told: Sendable {
        private let lines = Mutex<[String]>([])
        func note(_ line: String) { lines.withLock { $0.append(line) } }
        func count(_ word: String) -> Int { lines.withLock { $0.count { $0.hasPrefix(word) } } }
        func first(_ word: String) -> String? { lines.withLock { $0.first { $0.hasPrefix(word) } } }
    }

    /// Offers TLS, says yes to STARTTLS, and answers the handshake with words, or by hanging up.
    private func host(_ told: Told, hangsUp: Bool) throws -> NextHost {
        try NextHost(
            NextHost.script { line in
                told.note(line)
                switch line.prefix(4) {
                case "EHLO": return "250-there.test\r\n250 STARTTLS"
                case "STAR": return "220 go on"
                case "TLS": return hangsUp ? "-" : "what is this?"
                default: return nil
                }
            })
    }

    private func maker() throws -> ClientTLSMaker {
        let client = try TLSClient(TLSClientOptions(trust: .anyone))
        return { host, _ in try client.makeHandler(host: host) }
    }

    @Test("where it is not required the message goes in the clear over a new connection", arguments: [false, true])
    func falls(_ hangsUp: Bool) async throws {
        let told = Told()
        let host = try host(told, hangsUp: hangsUp)
        let maker = try maker()
        try await withSite(port: host.port, { $0.makeTLSHandler = maker }) { site in
            try site.enqueue(["bob@there.test"])
            try await site.wait("the queue is empty") { try site.queue().isEmpty }
            #expect(host.received.count == 1)
            #expect(host.connections == 2)
            #expect(told.count("STARTTLS") == 1 && told.count("MAIL") == 1)
            #expect(try site.letters("alice@example.test").isEmpty)
        }
    }

    /// RFC 5802 section 5.1. The first connection may have used its own before TLS broke.
    @Test("the second connection logs in with a nonce of its own")
    func freshNonce() async throws {
        let told = Told()
        let host = try NextHost(
            NextHost.script { line in
                told.note(line)
                switch line.prefix(4) {
                case "EHLO": return "250-there.test\r\n250-STARTTLS\r\n250 AUTH SCRAM-SHA-256"
                case "STAR": return "220 go on"
                case "TLS": return "what is this?"
                case "AUTH": return "535 5.7.8 no"
                default: return nil
                }
            })
        let maker = try maker()
        let drawn = Mutex(0)
        try await withSite(
            port: host.port,
            {
                $0.makeTLSHandler = maker
                $0.makeNonce = {
                    drawn.withLock { number in
                        number += 1
                        return "nonce-\(number)"
                    }
                }
                $0.smartHost = SmartHost(
                    host: "127.0.0.1", port: host.port,
                    credentials: SMTPClientCredentials(user: "alice", password: "secret"))
            }
        ) { site in
            let id = try site.enqueue(["bob@there.test"])
            try await site.wait("it was tried") { try site.entry(id)?.recipients[0].attempts == 1 }
            #expect(host.connections == 2)
            let message = try #require(told.first("AUTH SCRAM-SHA-256 ")?.split(separator: " ").last)
            let octets = try #require(Base64.decode(Array(message.utf8)))
            #expect(String(decoding: octets, as: UTF8.self) == "n,,n=alice,r=nonce-2")
        }
    }

    @Test("where it is required nothing goes, and the queue says why", arguments: [false, true])
    func stays(_ hangsUp: Bool) async throws {
        let told = Told()
        let host = try host(told, hangsUp: hangsUp)
        let maker = try maker()
        try await withSite(
            port: host.port,
            {
                $0.makeTLSHandler = maker
                $0.smartHost = SmartHost(host: "127.0.0.1", port: host.port, tls: .required)
            }
        ) { site in
            let id = try site.enqueue(["bob@there.test"])
            try await site.wait("it was tried") { try site.entry(id)?.recipients[0].attempts == 1 }
            #expect(try site.entry(id)?.recipients[0].lastText.hasPrefix("TLS failed") == true)
            #expect(told.count("MAIL") == 0 && host.connections == 1)
        }
    }
}
