// TLS where it is offered, towards a host whose TLS does not work (RFC 7435).
import MailCore
import NIOCore
import Synchronization
import TLS
import Testing

@testable import Delivery

@Suite struct OpportunisticTests {
    private final class Told: Sendable {
        private let lines = Mutex<[String]>([])
        func note(_ line: String) { lines.withLock { $0.append(line) } }
        func count(_ word: String) -> Int { lines.withLock { $0.count { $0.hasPrefix(word) } } }
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
