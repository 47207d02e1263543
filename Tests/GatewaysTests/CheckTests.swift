// Mail from elsewhere, checked: what is asked, what is recorded, what is refused, and that nothing waits for long. The client
// is a proxy that names others; the DNS is in memory.
import Digests
import MailTypes
import MessageAuthentication
import NIOCore
import Testing

@testable import Gateways

@Suite struct CheckTests {
    private static let key = SigningKey.generate(.ed25519)
    private static let zone = [
        "client.test": "v=spf1 ip4:192.0.2.1 -all", "_dmarc.client.test": "v=DMARC1; p=reject",
        "s._domainkey.client.test": DKIMKeyRecord.text(key.verifyingKey),
    ]
    private static let letter = "From: a@client.test\r\nSubject: hello\r\n\r\nFirst line\r\n"
    private static var signed: String {
        var signing = MessageSigning()
        signing.update(Array(letter.utf8))
        let signer = DKIMSigner(domain: "client.test", selector: "s", key: key)
        return String(decoding: signing.finish([signer], now: wallClock().seconds), as: UTF8.self) + letter
    }

    private func withChecks(
        _ policy: CheckPolicy, _ names: MemoryNames = MemoryNames(zone), spoolsAt threshold: Int? = nil,
        trusted: TrustedPeers = TrustedPeers(), _ body: @escaping @Sendable (TestNode) throws -> Void
    ) async throws {
        try await withNode(
            options: {
                $0.proxyFrom = TrustedPeers(networks: [IPNetwork("127.0.0.1")!])
                $0.checks.policy = policy
                $0.checks.names = names
                $0.checks.waitMax = .milliseconds(names.isSilent ? 100 : 20_000)
                $0.checks.trusted = trusted
            }, engine: { if let threshold { $0.spoolThresholdOctets = threshold } }
        ) { node in
            try await onOwnThread { try body(node) }
        }
    }

    private func open(
        _ node: TestNode, from address: String, _ name: GatewayProtocol = .smtp
    ) throws -> TestClient {
        let client = try node.client(name)
        try client.send("PROXY TCP4 \(address) 127.0.0.1 40000 25\r\n")
        _ = try client.reply()
        #expect(try client.command("\(name == .lmtp ? "LHLO" : "EHLO") mta.client.test").hasPrefix("250"))
        return client
    }

    private func send(_ client: TestClient, _ message: String, from: String = "a@client.test") throws -> String {
        #expect(try client.command("MAIL FROM:<\(from)>").hasPrefix("250"))
        #expect(try client.command("RCPT TO:<alice@example.test>").hasPrefix("250"))
        #expect(try client.command("DATA").hasPrefix("354"))
        return try client.command(message + ".")
    }

    private func letters(_ node: TestNode) throws -> [String] {
        try node.letters("alice@example.test").map { $0.replacing("\r\n\t", with: " ") }
    }

    @Test func offMeansOff() async throws {
        let names = MemoryNames(Self.zone)
        let forged = "Authentication-Results: mx.example.test; spf=pass\r\n" + Self.letter
        try await withChecks(.off, names) { node in
            let client = try open(node, from: "192.0.2.9")
            #expect(try send(client, forged).hasPrefix("250"))
            let stored = try letters(node)[0]
            #expect(stored.hasSuffix(forged) && !stored.contains("dmarc="))
        }
        #expect(names.questions == 0)
    }

    /// In memory and spooled: what is before the message is the same.
    @Test(arguments: [nil, 10])
    func resultsAreRecorded(_ threshold: Int?) async throws {
        let signed = Self.signed
        try await withChecks(.record, spoolsAt: threshold) { node in
            let client = try open(node, from: "192.0.2.1")
            #expect(try send(client, signed).hasPrefix("250 2.6.0"))
            let stored = try letters(node)[0].split(separator: "\r\n", omittingEmptySubsequences: false)
            #expect(stored[0] == "Return-Path: <a@client.test>")
            let results = stored[1].split(separator: "; ")
            #expect(results[0] == "Authentication-Results: mx.example.test")
            #expect(results[1] == "spf=pass smtp.mailfrom=a@client.test")
            #expect(results[2].hasPrefix("dkim=pass header.d=client.test header.s=s header.a=ed25519-sha256 header.b="))
            #expect(results[3] == "dmarc=pass header.from=client.test")
            #expect(stored[2].hasPrefix("Received: from mta.client.test ([192.0.2.1])"))
            let octets = try node.letters("alice@example.test")[0]
            #expect(octets.hasSuffix("\r\n" + signed))
        }
    }

    @Test func failuresAreRecordedAndForgeriesRemoved() async throws {
        let changed = Self.signed.replacing("First", with: "Other")
        let forged =
            "Authentication-Results: mx.example.test;\r\n spf=pass\r\nAuthentication-Results: other.test; spf=pass\r\n"
        try await withChecks(.record) { node in
            let client = try open(node, from: "192.0.2.9")
            #expect(try send(client, forged + changed).hasPrefix("250"))
            let stored = try letters(node)[0]
            #expect(stored.contains("spf=fail smtp.mailfrom=a@client.test;"))
            #expect(stored.contains("dkim=fail reason=\"body hash did not verify\" header.d=client.test"))
            #expect(stored.contains("dmarc=fail header.from=client.test policy.dmarc=reject"))
            #expect(stored.contains("\r\nAuthentication-Results: other.test; spf=pass\r\nDKIM-Signature"))
            #expect(!stored.contains("\r\n spf=pass"))
        }
    }

    @Test func theAuthorsDomainIsObeyedWhereItIsEnforced() async throws {
        let signed = Self.signed
        try await withChecks(.enforce) { node in
            let client = try open(node, from: "192.0.2.9")
            #expect(
                try send(client, Self.letter)
                    == "550 5.7.1 client.test asks to refuse mail that it does not vouch for (DMARC)")
            #expect(try letters(node).isEmpty)
            #expect(node.gateways.metrics[.smtp].rejects[.policy] == 1)
            // A signature is enough, and a domain that asks for nothing gets nothing; in the same session.
            #expect(try send(client, signed).hasPrefix("250"))
            let other = Self.letter.replacing("client.test", with: "nobody.test")
            #expect(try send(client, other).hasPrefix("250"))
            #expect(try letters(node).map { $0.contains("dmarc=none header.from=nobody.test") } == [false, true])
        }
    }

    @Test func theNullPathIsCheckedByItsName() async throws {
        try await withChecks(.record) { node in
            let client = try open(node, from: "192.0.2.1")
            #expect(try send(client, Self.letter, from: "").hasPrefix("250"))
            #expect(try letters(node)[0].contains("spf=none smtp.helo=mta.client.test;"))
        }
    }

    /// Enforced, and without an answer: the message is taken, and others are served meanwhile.
    @Test func aDNSThatIsSilentRefusesNothing() async throws {
        let signed = Self.signed
        try await withChecks(.enforce, MemoryNames([:], isSilent: true)) { node in
            let waiting = try open(node, from: "192.0.2.9")
            #expect(try waiting.command("MAIL FROM:<a@client.test>").hasPrefix("250"))
            #expect(try waiting.command("RCPT TO:<alice@example.test>").hasPrefix("250"))
            #expect(try waiting.command("DATA").hasPrefix("354"))
            try waiting.send(signed + ".\r\nNOOP\r\n")
            let other = try open(node, from: "192.0.2.8")
            #expect(try other.command("NOOP").hasPrefix("250"))
            #expect(try waiting.line().hasPrefix("250 2.6.0"))
            #expect(try waiting.line().hasPrefix("250 2.0.0"))
            let stored = try letters(node)[0]
            #expect(stored.contains("spf=temperror reason=\"no answer in time\" smtp.mailfrom=a@client.test;"))
            #expect(stored.contains("dkim=temperror reason=\"no answer in time\" header.d=client.test"))
            #expect(stored.contains("dmarc=temperror reason=\"no answer in time\" header.from=client.test"))
        }
    }

    @Test func whoIsTrustedIsNotChecked() async throws {
        let names = MemoryNames(Self.zone)
        try await withChecks(.enforce, names, trusted: TrustedPeers(networks: [IPNetwork("192.0.2.9")!])) {
            (node: TestNode) throws in
            for (address, name) in [("192.0.2.9", GatewayProtocol.smtp), ("127.0.0.1", .smtp), ("192.0.2.7", .lmtp)] {
                #expect(try send(try open(node, from: address, name), Self.letter).hasPrefix("250"))
            }
            #expect(try letters(node).allSatisfy { !$0.contains("Authentication-Results") })
        }
        #expect(names.questions == 0)
    }

    @Test func aHeaderThatIsNotReadIsRefused() async throws {
        let line = "X: " + String(repeating: "a", count: 900) + "\r\n"
        let long = String(repeating: line, count: CheckLimits.headerOctetsMax / line.utf8.count + 1)
        try await withChecks(.record) { node in
            let client = try open(node, from: "192.0.2.9")
            #expect(try send(client, long + Self.letter) == "552 5.3.4 Header over the size limit")
            // Nor is one with very many fields, behind which one could claim to be ours.
            let many = String(repeating: "X:\r\n", count: CheckLimits.headerFieldsMax)
            #expect(try send(client, many + Self.letter) == "552 5.3.4 Header over the size limit")
            #expect(try send(client, Self.letter).hasPrefix("250"))
        }
    }

    /// Above the limit of checks that have not ended a message is taken with what is not known.
    @Test func tooManyChecksAskNothing() async throws {
        let names = MemoryNames([:])
        let open = Counter()
        open.add(GatewayLimits.checksMax)
        let question = SPFQuestion(
            client: IPAddress("192.0.2.1")!, sender: Address("a@client.test"), helo: "x", receiver: "y", now: 0)
        let check = InboundCheck(question, names, open: open)
        var reading = MessageReading(now: 0)
        reading.update(Array(Self.letter.utf8))
        let message = reading.finish()
        let loop = NIOSingletons.posixEventLoopGroup.next()
        let verdict = await withCheckedContinuation { continuation in
            check.judge(message, timer: { loop.scheduleTask(in: .seconds(60), $0) }) {
                continuation.resume(returning: $0)
            }
        }
        #expect(verdict.spf?.result == .temperror && verdict.dmarc.result == .temperror)
        #expect(names.questions == 0)
    }
}
