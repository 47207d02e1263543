import MailEngine
import MailTypes
import Synchronization
import Testing

@testable import Gateways

@Suite struct HTTPTests {
    /// Status line, header fields in lower case, and as much body as Content-Length says.
    private func ask(_ client: TestClient, _ request: String, method: String = "GET") throws -> (
        String, [String], String
    ) {
        try client.send("\(method) \(request) HTTP/1.1\r\nHost: x\r\n\r\n")
        let status = try client.line()
        var fields: [String] = []
        while case let line = try client.line(), line != "" { fields.append(line.lowercased()) }
        let length = fields.first { $0.hasPrefix("content-length:") }.flatMap {
            Int($0.dropFirst(15).trimmingPrefix(" "))
        }
        var body = ""
        while method != "HEAD", body.utf8.count < length ?? 0 { body += try client.line() + "\n" }
        return (status, fields, body)
    }

    @Test func pages() async throws {
        try await withNode { node in
            let client = try node.client(.http)
            #expect(try ask(client, "/health").0 == "HTTP/1.1 200 OK")
            #expect(try ask(client, "/health?verbose=1").2 == "ok\n")
            #expect(try ask(client, "/ready").2 == "ready\n")
            #expect(try ask(client, "/").0 == "HTTP/1.1 404 Not Found")
            let (status, fields, _) = try ask(client, "/metrics", method: "POST")
            #expect(status == "HTTP/1.1 405 Method Not Allowed")
            #expect(fields.contains("allow: get, head"))
            let head = try ask(client, "/health", method: "HEAD")
            #expect(head.0 == "HTTP/1.1 200 OK" && head.1.contains("content-length: 3"))
            #expect(try ask(client, "/health").2 == "ok\n")
            try client.send("GET /health HTTP/1.0\r\n\r\n")
            #expect(try client.line().hasPrefix("HTTP/1.0 200"))
            #expect(client.isClosed())
        }
    }

    @Test func metricsTellWhatHappened() async throws {
        try await withNode { node in
            let lmtp = try node.lmtp()
            try lmtp.send("MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<x@elsewhere.test>\r\n")
            try lmtp.send("DATA\r\nSubject: x\r\n\r\n.\r\n")
            for code in ["250", "250", "550", "354", "250"] { #expect(try lmtp.line().hasPrefix(code)) }
            let pop3 = try node.pop3("alice")
            #expect(try pop3.command("RETR 1").hasPrefix("+OK"))
            _ = try pop3.multiline()
            let (_, fields, text) = try ask(try node.client(.http), "/metrics")
            #expect(fields.contains("content-type: text/plain; version=0.0.4; charset=utf-8"))
            let lines = text.split(separator: "\n")
            for sample in [
                "letterlog_connections{protocol=\"lmtp\"} 1", "letterlog_connections{protocol=\"pop3\"} 1",
                "letterlog_deliveries_total{protocol=\"lmtp\"} 1", "letterlog_retrievals_total{protocol=\"pop3\"} 1",
                "letterlog_rejects_total{protocol=\"lmtp\",reason=\"relay\"} 1",
                "letterlog_logins_total{protocol=\"pop3\",result=\"accepted\"} 1", "letterlog_engine_stopped 0",
                "extra_metric 7",
            ] {
                #expect(lines.contains { $0 == sample }, "\(sample)")
            }
            // Four accounts and a letter; the note of the credential's use may still be on its way.
            for name in ["bucket{le=\"+Inf\"}", "count"] {
                let sample = "letterlog_engine_batch_requests_\(name)"
                #expect(lines.contains { $0 == "\(sample) 5" || $0 == "\(sample) 6" }, "\(sample)")
            }
            // Every sample stands under its family.
            var family = ""
            for line in lines {
                if line.hasPrefix("# TYPE ") { family = String(line.split(separator: " ")[2]) }
                #expect(line.hasPrefix("#") || line.hasPrefix("extra_") || line.hasPrefix(family))
            }
        }
    }

    @Test func readinessTellsWhy() async throws {
        let problems = Mutex<[String]>([])
        try await withNode(health: { HealthReport(problems: problems.withLock { $0 }) }) { node in
            let client = try node.client(.http)
            problems.withLock { $0 = ["the Maildir projection fails"] }
            let (status, _, body) = try ask(client, "/ready")
            #expect(status == "HTTP/1.1 503 Service Unavailable")
            #expect(body == "the Maildir projection fails\n")
            problems.withLock { $0 = [] }
            node.store?.failNextCommit(.lost)
            node.perform(try node.account("alice@example.test"), .setQuota(.init(bytes: 5)))
            let (stopped, _, reason) = try ask(client, "/ready")
            #expect(stopped == "HTTP/1.1 503 Service Unavailable")
            #expect(reason.hasPrefix("the store takes no writes: "))
            #expect(try ask(client, "/health").0 == "HTTP/1.1 200 OK")
        }
    }

    @Test func endlessHeadsAndSilenceEndTheConnection() async throws {
        try await withNode(options: { $0.httpSilenceMax = .milliseconds(100) }) { node in
            let silent = try node.client(.http)
            try silent.send("GET /health HT")
            #expect(silent.isClosed())
            let endless = try node.client(.http)
            _ = try? endless.send("GET /health HTTP/1.1\r\nX: ")
            for _ in 0..<64 { _ = try? endless.send([UInt8](repeating: 0x41, count: 1 << 14)) }
            #expect(endless.isClosed())
        }
    }
}
