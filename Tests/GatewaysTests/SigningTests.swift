// What is handed in by submission is signed with the keys of its author's domain, before it is stored.
import Digests
import MailCore
import MailTypes
import MessageAuthentication
import Octets
import Testing

@testable import Gateways

@Suite struct SigningTests {
    private static let keys = [("r", SigningKey.generate(.rsa)), ("e", SigningKey.generate(.ed25519))]

    private func setKeys(_ node: TestNode, _ keys: [(String, SigningKey)]) {
        let rows = keys.map { selector, key in
            DKIMSetting.Key(
                selector: selector, created: wallClock(), secret: SecretOctets(Array(Base64.encode(key.secret).utf8)))
        }
        let commands: [AccountCommand] = [
            .openShard(ShardOpened(shard: 0, storeUUID: String(repeating: "0", count: 32))),
            .setSetting(key: DKIMSetting.key("example.test"), value: DKIMSetting.value(rows)),
            .setSetting(key: DKIMSetting.domainsKey, value: keys.isEmpty ? nil : "example.test"),
        ]
        for command in commands {
            guard case .done = node.perform(.system, command) else {
                Issue.record("a setting is refused")
                return
            }
        }
    }

    private func submit(_ node: TestNode, _ message: String) throws {
        let client = try node.submission("alice")
        #expect(try client.command("MAIL FROM:<alice@example.test>").hasPrefix("250"))
        #expect(try client.command("RCPT TO:<bob@example.test>").hasPrefix("250"))
        #expect(try client.command("DATA").hasPrefix("354"))
        #expect(try client.command(message + ".").hasPrefix("250 2.6.0"))
    }

    private func verdicts(_ letter: [UInt8]) async -> [DKIMVerdict] {
        let records = Self.keys.map { ("\($0)._domainkey.example.test", DKIMKeyRecord.text($1.verifyingKey)) }
        var reading = MessageReading(now: wallClock().seconds)
        reading.update(letter)
        return await reading.finish().verify(MemoryNames(Dictionary(uniqueKeysWithValues: records)))
    }

    private static let letter =
        "From: Alice <alice@example.test>\r\nDate: Tue, 1 Jul 2025 10:00:00 +0000\r\nMessage-ID: <1@example.test>\r\n"
        + "Subject: x\r\n\r\nbody\r\n"

    @Test(arguments: [nil, 10])
    func everyKeySigns(_ threshold: Int?) async throws {
        try await withNode(
            listeners: [(.submission, .tcp(host: "127.0.0.1", port: 0))],
            engine: { if let threshold { $0.spoolThresholdOctets = threshold } }
        ) { node in
            setKeys(node, Self.keys)
            try await onOwnThread { try submit(node, Self.letter) }
            let stored = try #require(try node.bodies("bob@example.test").first)
            let found = await verdicts(stored)
            #expect(found.map(\.result) == [.pass, .pass])
            #expect(found.map(\.selector) == ["r", "e"] && found.allSatisfy { $0.domain == "example.test" })
            let text = String(decoding: stored, as: UTF8.self)
            #expect(text.hasPrefix("Return-Path: <alice@example.test>\r\nReceived: "))
            #expect(text.hasSuffix(Self.letter))
        }
    }

    @Test func keysComeAndGoWithoutARestart() async throws {
        try await withNode(listeners: [(.submission, .tcp(host: "127.0.0.1", port: 0))]) { node in
            for keys in [[], [Self.keys[1]], Self.keys, []] {
                setKeys(node, keys)
                try await onOwnThread { try submit(node, Self.letter) }
                let last = try #require(try node.bodies("bob@example.test").last)
                #expect(await verdicts(last).map(\.selector) == keys.map(\.0))
            }
        }
    }

    /// Another domain's author is not ours to vouch for, and mail by port 25 is not signed.
    @Test func onlyOurOwnIsSigned() async throws {
        try await withNode { node in
            setKeys(node, Self.keys)
            try await onOwnThread {
                let client = try node.smtp()
                #expect(try client.command("MAIL FROM:<alice@example.test>").hasPrefix("250"))
                #expect(try client.command("RCPT TO:<bob@example.test>").hasPrefix("250"))
                #expect(try client.command("DATA").hasPrefix("354"))
                #expect(try client.command(Self.letter + ".").hasPrefix("250"))
            }
            #expect(await verdicts(try node.bodies("bob@example.test")[0]).isEmpty)
        }
    }
}
