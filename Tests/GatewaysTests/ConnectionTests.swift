// What a client can do to a connection, and what the node then does: garbage, silence, crowds, and the end of the node.
import Glibc
import MailTypes
import NIOCore
import Testing

@testable import Gateways

@Suite struct ConnectionTests {
    @Test(arguments: [GatewayProtocol.smtp, .lmtp, .pop3])
    func garbageIsAnsweredAndEndsAtALimit(_ name: GatewayProtocol) async throws {
        try await withNode { node in
            let client = try node.client(name)
            _ = try client.line()
            try client.send([0, 0xFF, 0xFE, 0x0D, 0x0A])
            let bad = name == .pop3 ? "-ERR" : "500 5.5.2"
            #expect(try client.line().hasPrefix(bad))
            try client.send("NOOP\0\r\n")
            #expect(try client.line().hasPrefix(bad))
            try client.send(String(repeating: "garbage\r\n", count: 17))
            for _ in 0..<17 { #expect(try client.line().hasPrefix(name == .pop3 ? "-ERR" : "500 5.5.1")) }
            try client.send("garbage\r\nNOOP\r\n")
            #expect(try client.line().hasPrefix(name == .pop3 ? "-ERR Too many errors" : "421 4.7.0"))
            #expect(client.isClosed())
        }
    }

    @Test(arguments: [GatewayProtocol.smtp, .pop3])
    func anEndlessLineIsNotKept(_ name: GatewayProtocol) async throws {
        try await withNode { node in
            let client = try node.client(name)
            _ = try client.line()
            let piece = [UInt8](repeating: 0x41, count: 1 << 20)
            for _ in 0..<8 { try client.send(piece) }
            try client.send("\r\nQUIT\r\n")
            #expect(try client.line().hasPrefix(name == .pop3 ? "-ERR Command line too long" : "500 5.5.2"))
            #expect(try client.line().hasPrefix(name == .pop3 ? "+OK" : "221"))
        }
    }

    @Test func aBodyWithBareLineFeedsIsRefusedAndSmugglesNothing() async throws {
        try await withNode { node in
            let client = try node.smtp()
            try client.send("MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n")
            for _ in 0..<3 { _ = try client.line() }
            try client.send(
                "Subject: x\r\n\r\nbody\n.\nMAIL FROM:<evil@client.test>\nRCPT TO:<alice@example.test>\nDATA\nx\n.\r\n.\r\n"
            )
            #expect(try client.line().hasPrefix("550 5.6.0"))
            #expect(try client.command("NOOP").hasPrefix("250"))
            #expect(try node.bodies("alice@example.test").isEmpty)
            #expect(node.gateways.metrics[.smtp].rejects[.message] == 1)
        }
    }

    @Test func aHalfClosedDeliveryIsAnswered() async throws {
        try await withNode { node in
            let client = try node.client(.lmtp)
            try client.send(
                "LHLO client.test\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n"
                    + "Subject: x\r\n\r\nbody\r\n.\r\nMAIL FROM:<a@client.test>\r\n")
            client.endSending()
            var lines: [String] = []
            while let line = try? client.line() { lines.append(line) }
            #expect(lines.last == "250 2.1.0 Sender accepted")
            #expect(lines.contains { $0.hasPrefix("250 2.1.5 Stored as ") })
            #expect(try node.bodies("alice@example.test").count == 1)
        }
    }

    @Test func abortedBodiesLeaveNothing() async throws {
        try await withNode { node in
            for octets in [10, 100_000, 3_000_000] {
                let client = try node.smtp()
                try client.send("MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n")
                for _ in 0..<3 { _ = try client.line() }
                try client.send([UInt8](repeating: 0x41, count: octets))
                client.endSending()
                #expect(client.isClosed())
            }
            #expect(try node.bodies("alice@example.test").isEmpty)
        }
    }

    @Test func silenceEndsASession() async throws {
        try await withNode(options: {
            $0.smtpCommandSilenceMax = .milliseconds(50)
            $0.smtpBodySilenceMax = .milliseconds(50)
            $0.pop3SilenceMax = .milliseconds(50)
        }) { node in
            let smtp = try node.client(.smtp)
            #expect(try smtp.line().hasPrefix("220"))
            #expect(try smtp.line().hasPrefix("421 4.4.2"))
            #expect(smtp.isClosed())
            let pop3 = try node.client(.pop3)
            #expect(try pop3.line().hasPrefix("+OK"))
            #expect(pop3.isClosed())
            let body = try node.client(.lmtp)
            try body.send(
                "LHLO x\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: half\r\n")
            var lines: [String] = []
            while let line = try? body.line() { lines.append(line) }
            #expect(lines.last?.hasPrefix("421 4.4.2") == true)
            #expect(try node.bodies("alice@example.test").isEmpty)
        }
    }

    @Test func crowdsAreTurnedAway() async throws {
        try await withNode(options: { $0.connectionsMax = 3 }) { node in
            var clients = try (0..<3).map { _ in try node.client(.smtp) }
            for client in clients { #expect(try client.line().hasPrefix("220")) }
            let fourth = try node.client(.smtp)
            #expect(try fourth.line().hasPrefix("421 4.7.0"))
            #expect(fourth.isClosed())
            let fifth = try node.client(.pop3)
            #expect(try fifth.line().hasPrefix("-ERR [SYS/TEMP]"))
            #expect(node.gateways.metrics[.smtp].rejects[.connectionLimit] == 1)
            // Who leaves makes room.
            #expect(try clients[0].command("QUIT").hasPrefix("221"))
            #expect(clients[0].isClosed())
            clients.removeFirst()
            while true {
                let next = try node.client(.smtp)
                if try next.line().hasPrefix("220") { break }
            }
        }
    }

    @Test func anAddressHasItsShare() async throws {
        let path = "/tmp/letterlog-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        let listeners: [(GatewayProtocol, ListenAddress)] = [
            (.smtp, .tcp(host: "127.0.0.1", port: 0)), (.lmtp, .unix(path: path)),
        ]
        try await withNode(listeners: listeners, options: { $0.connectionsPerAddressMax = 2 }) { node in
            let clients = try (0..<2).map { _ in try node.client(.smtp) }
            for client in clients { #expect(try client.line().hasPrefix("220")) }
            #expect(try node.client(.smtp).line().hasPrefix("421"))
            let local = try (0..<3).map { _ in try node.client(.lmtp) }
            for client in local { #expect(try client.line().hasPrefix("220")) }
        }
    }

    @Test func drainingEndsIdleSessionsWithAWord() async throws {
        var idle: TestClient?
        var pop3: TestClient?
        try await withNode { node in
            idle = try node.smtp()
            pop3 = try node.pop3("alice")
        }
        #expect(try idle?.line().hasPrefix("421 4.3.2") == true)
        #expect(idle?.isClosed() == true)
        #expect(pop3?.isClosed() == true)
    }

    @Test func drainingFinishesTheMessageUnderWay() async throws {
        try await withNode { node in
            let client = try node.lmtp()
            try client.send("MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: x\r\n")
            for _ in 0..<3 { _ = try client.line() }
            let idle = try node.smtp()
            let drained = Task { await node.gateways.drain(deadline: .seconds(20)) }
            // The word to the idle session tells that draining has begun.
            #expect(try idle.line().hasPrefix("421 4.3.2"))
            #expect(idle.isClosed())
            try client.send("\r\nbody\r\n.\r\n")
            #expect(try client.line().hasPrefix("250 2.1.5 Stored as"))
            #expect(try client.line().hasPrefix("421 4.3.2"))
            #expect(client.isClosed())
            #expect(throws: (any Error).self) { try node.client(.lmtp) }
            await drained.value
            #expect(try node.bodies("alice@example.test").count == 1)
        }
    }

    @Test func drainingIsBounded() async throws {
        var stuck: TestClient?
        try await withNode { node in
            stuck = try node.lmtp()
            try stuck?.send("MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: x\r\n")
            for _ in 0..<3 { _ = try stuck?.line() }
            await node.gateways.drain(deadline: .milliseconds(50))
        }
        #expect(stuck?.isClosed() == true)
    }

    @Test func repliesForAClientThatDoesNotReadAreBounded() async throws {
        try await withNode { node in
            let client = try node.client(.smtp, receiveBuffer: 4_096)
            // Each HELP of six octets has some hundred in answer.
            let flood = Array(String(repeating: "HELP\r\n", count: 10_000).utf8)
            var sent = 0
            var refusals = 0
            while refusals < 50, sent < 64 << 20 {
                let count = client.sendWhatGoes(flood)
                sent += count
                refusals = count == 0 ? refusals + 1 : 0
                if count == 0 { usleep(2_000) }
            }
            // The node stopped taking commands long before all that it was sent.
            #expect(sent < 16 << 20)
            #expect(node.gateways.metrics[.smtp].octetsOut < 16 << 20)
        }
    }
}
