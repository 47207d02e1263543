// Connections through a proxy: who is seen, what counts against whom, and who is not believed.
import Glibc
import MailTypes
import NIOCore
import Testing

@testable import Gateways

@Suite struct ProxyTests {
    private static let trusted = TrustedPeers(networks: [IPNetwork("127.0.0.1")!])

    private static func header(_ address: String) -> String { "PROXY TCP4 \(address) 127.0.0.1 40000 25\r\n" }

    @Test(arguments: [GatewayProtocol.smtp, .lmtp, .pop3])
    func theClientItNamesIsTheOneThatCounts(_ name: GatewayProtocol) async throws {
        try await withNode(options: {
            $0.proxyFrom = Self.trusted
            $0.connectionsPerAddressMax = 1
        }) { node in
            let first = try node.client(name)
            try first.send(Self.header("192.0.2.1"))
            #expect(try first.line().first.map { "2+".contains($0) } == true)
            let second = try node.client(name)
            try second.send(ProxyHeaderTests.binary(0x21, 0x11, ProxyHeaderTests.v4Block))
            #expect(try second.line().hasPrefix(name == .pop3 ? "-ERR [SYS/TEMP]" : "421"))
            let third = try node.client(name)
            try third.send(ProxyHeaderTests.binary(0x21, 0x21, ProxyHeaderTests.v6Block))
            #expect(try third.line().first.map { "2+".contains($0) } == true)
            #expect(node.gateways.sessions.compactMap { $0.client?.description } == ["192.0.2.1", "2001:db8::1"])
            #expect(node.gateways.metrics[name].rejects[.addressLimit] == 1)
        }
    }

    @Test func whatFollowsTheHeaderAtOnceIsHeard() async throws {
        try await withNode(options: { $0.proxyFrom = Self.trusted }) { node in
            let client = try node.client(.smtp)
            try client.send(Self.header("192.0.2.1") + "EHLO client.test\r\n")
            #expect(try client.reply().count == 1)
            #expect(try client.reply().count > 1)
            let slow = try node.client(.smtp)
            for octet in Array(Self.header("192.0.2.1").utf8) { try slow.send([octet]) }
            #expect(try slow.line().hasPrefix("220"))
            #expect(try slow.command("NOOP").hasPrefix("250"))
        }
    }

    @Test func aProxysOwnConnectionsAreItsOwn() async throws {
        try await withNode(options: { $0.proxyFrom = Self.trusted }) { node in
            let client = try node.client(.pop3)
            try client.send(ProxyHeaderTests.binary(0x20, 0, []))
            #expect(try client.line().hasPrefix("+OK"))
            #expect(node.gateways.sessions.map { $0.client?.description } == ["127.0.0.1"])
        }
    }

    @Test(arguments: ["EHLO client.test\r\n", "PROXY TCP4 x y 1 2\r\n", "\r\n"])
    func withoutAHeaderTheConnectionIsClosed(_ text: String) async throws {
        try await withNode(options: { $0.proxyFrom = Self.trusted }) { node in
            let client = try node.client(.smtp)
            try client.send(text)
            #expect(client.isClosed())
            #expect(node.gateways.metrics[.smtp].rejects[.proxy] == 1)
            #expect(node.gateways.sessions.isEmpty)
        }
    }

    @Test func aProxyThatHangsUpLeavesNothing() async throws {
        try await withNode(options: { $0.proxyFrom = Self.trusted }) { node in
            let client = try node.client(.smtp)
            try client.send("PROXY TCP4 ")
            client.endSending()
            #expect(client.isClosed())
            #expect(node.gateways.sessions.isEmpty)
        }
    }

    @Test(arguments: [GatewayProtocol.smtp, .lmtp, .pop3])
    func fromOthersItIsABadCommand(_ name: GatewayProtocol) async throws {
        try await withNode(options: { $0.proxyFrom = TrustedPeers(networks: [IPNetwork("192.0.2.0/24")!]) }) { node in
            let client = try node.client(name)
            _ = try client.line()
            #expect(
                try client.command(String(Self.header("198.51.100.7").dropLast(2))).hasPrefix(
                    name == .pop3 ? "-ERR" : "500"))
            let binary = try node.client(name)
            _ = try binary.line()
            try binary.send(ProxyHeaderTests.binary(0x21, 0x11, ProxyHeaderTests.v4Block) + Array("\r\n".utf8))
            #expect(try binary.line().hasPrefix(name == .pop3 ? "-ERR" : "500"))
            #expect(node.gateways.sessions.allSatisfy { $0.client?.description == "127.0.0.1" })
        }
    }

    @Test func aUnixSocketCanBeAProxys() async throws {
        let path = "/tmp/letterlog-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try await withNode(
            listeners: [(.lmtp, .unix(path: path))], options: { $0.proxyFrom = TrustedPeers(unixSockets: true) }
        ) { node in
            let client = try node.client(.lmtp)
            try client.send(Self.header("192.0.2.1"))
            #expect(try client.line().hasPrefix("220"))
            #expect(node.gateways.sessions.map { $0.client?.description } == ["192.0.2.1"])
        }
    }

    private func answer(_ node: TestNode, _ address: String, _ password: String) throws -> String {
        let client = try node.client(.pop3)
        try client.send(Self.header(address) + "USER alice\r\n")
        _ = try client.line()
        _ = try client.line()
        return try client.command("PASS \(password)")
    }

    /// The slow-down of failures sees the real client: one attacker behind the proxy does not shut out another client. Both
    /// are of this machine, since others need TLS for a password.
    @Test func failuresCountAgainstTheRealClient() async throws {
        try await withNode(options: {
            $0.proxyFrom = Self.trusted
            $0.authentication.failuresMax = 2
        }) { node async throws in
            for _ in 0..<2 { #expect(try answer(node, "127.1.0.1", "wrong").hasPrefix("-ERR [AUTH]")) }
            #expect(try answer(node, "127.1.0.1", password).hasPrefix("-ERR [AUTH]"))
            #expect(try answer(node, "127.2.0.1", password).hasPrefix("+OK"))
        }
    }
}
