// REQUIRETLS (RFC 8689 section 2): where TLS is on, and where mail goes no further.
import Testing

@testable import Gateways

@Suite struct RequireTLSTests {
    @Test func onlyWithTLS() async throws {
        let loopback = ListenAddress.tcp(host: "127.0.0.1", port: 0)
        let server = try tlsServer()
        try await withNode(
            listeners: [(.smtp, loopback), (.submission, loopback)], options: { $0.tls = server }
        ) { node in
            try await onOwnThread {
                let client = try node.client(.smtp)
                _ = try client.reply()
                try client.send("EHLO client.test\r\n")
                #expect(!(try client.reply().contains("250-REQUIRETLS")))
                #expect(try client.command("MAIL FROM:<> REQUIRETLS").hasPrefix("530 5.7.0"))
                #expect(try client.command("STARTTLS").hasPrefix("220"))
                try client.secure()
                try client.send("EHLO client.test\r\n")
                #expect(try client.reply().contains("250-REQUIRETLS"))
                #expect(try client.command("MAIL FROM:<a@client.test> REQUIRETLS").hasPrefix("250"))
                #expect(try client.command("RCPT TO:<alice@example.test>").hasPrefix("250"))
                #expect(try client.command("DATA").hasPrefix("354"))
                #expect(try client.command("Subject: sealed\r\n\r\n.").hasPrefix("250"))
                let submission = try node.client(.submission)
                _ = try submission.reply()
                try submission.send("EHLO client.test\r\n")
                #expect(!(try submission.reply().contains("250-REQUIRETLS")))
            }
            #expect(try node.bodies("alice@example.test").count == 1)
        }
    }
}
