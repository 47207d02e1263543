// A message whose 250 was lost comes again and is delivered once; what only looks alike is delivered.
import EventStore
import MailCore
import MailEngine
import MailTypes
import Testing

@testable import Gateways

@Suite struct RepeatTests {
    private static let received =
        "Received: from a by relay.test with ESMTP id 4Yx1; Tue, 1 Jul 2003 10:52:37 +0200\r\n"

    private static func send(
        _ client: TestClient, _ letter: String, from sender: String = "a@client.test",
        to recipients: [String] = ["alice"],
        forward: String? = nil
    ) throws -> [String] {
        if let forward { #expect(try client.command("XFORWARD IDENT=\(forward)").hasPrefix("250")) }
        #expect(try client.command("MAIL FROM:<\(sender)>").hasPrefix("250"))
        for recipient in recipients {
            #expect(try client.command("RCPT TO:<\(recipient)@example.test>").hasPrefix("250"))
        }
        #expect(try client.command("DATA").hasPrefix("354"))
        try client.send(letter + "\r\n.\r\n")
        return try recipients.map { _ in String(try client.line().prefix(9)) }
    }

    @Test func thatOfARelayIsDeliveredOnce() async throws {
        try await withNode { node in
            try await onOwnThread {
                let client = try node.lmtp()
                let letter = Self.received + "Subject: one\r\n\r\ntext"
                for _ in 0..<3 {
                    #expect(try Self.send(client, letter, to: ["alice", "bob"]) == ["250 2.1.5", "250 2.1.5"])
                }
                #expect(try node.bodies("alice@example.test").count == 1)
                // One that was left out the first time gets it.
                #expect(try Self.send(client, letter, to: ["bob", "carol"]) == ["250 2.1.5", "250 2.1.5"])
                #expect(try node.bodies("bob@example.test").count == 1)
                #expect(try node.bodies("carol@example.test").count == 1)
                // Another sender, another recipient, another text, another name: others.
                _ = try Self.send(client, letter, from: "b@client.test")
                _ = try Self.send(client, letter, to: ["alice+detail"])
                _ = try Self.send(client, letter + " more")
                _ = try Self.send(client, letter.replacing("4Yx1", with: "4Yx2"))
                #expect(try node.bodies("alice@example.test").count == 5)
            }
        }
    }

    @Test func whatHasNoNameIsNeverTakenForAnother() async throws {
        try await withNode { node in
            try await onOwnThread {
                let client = try node.lmtp()
                let far =
                    "X: " + String(repeating: "x", count: GatewayLimits.repeatHeaderOctetsMax) + "\r\n" + Self.received
                for letter in ["Subject: two\r\n\r\ntext", far + "\r\ntext"] {
                    for _ in 0..<2 { _ = try Self.send(client, letter) }
                }
                #expect(try node.bodies("alice@example.test").count == 4)
            }
        }
    }

    @Test func theNameInThePeersQueue() async throws {
        let local = TrustedPeers(networks: [IPNetwork("127.0.0.1")!])
        try await withNode(options: { $0.clientsFrom = local }) { node in
            try await onOwnThread {
                let client = try node.lmtp()
                for name in ["A1", "A1", "A2"] { _ = try Self.send(client, "Subject: x\r\n\r\n", forward: name) }
                // It names one message, not those after it.
                for _ in 0..<2 { _ = try Self.send(client, "Subject: x\r\n\r\n") }
                #expect(try node.bodies("alice@example.test").count == 4)
            }
        }
    }

    /// A recipient with a report goes by the queue, which knows it too.
    @Test func onTheWayThroughTheQueue() async throws {
        try await withNode(options: { $0.sending.isOpen = true }) { node in
            try await onOwnThread {
                let client = try node.lmtp()
                for _ in 0..<3 {
                    #expect(try client.command("MAIL FROM:<a@client.test>").hasPrefix("250"))
                    #expect(try client.command("RCPT TO:<alice@example.test> NOTIFY=SUCCESS").hasPrefix("250"))
                    #expect(try client.command("DATA").hasPrefix("354"))
                    #expect(try client.command(Self.received + "Subject: r\r\n\r\n.").hasPrefix("250"))
                }
            }
            var accepted = 0
            try node.engine.read { state in
                try state.history(.queue) { logged in
                    if case .queueAccepted = logged.event { accepted += 1 }
                    return true
                }
            }
            #expect(accepted == 1)
        }
    }

    /// The client goes between commit and reply, and never reads.
    @Test func aClientThatWentComesBack() async throws {
        try await withNode { node in
            try await onOwnThread {
                let letter = Self.received + "Subject: three\r\n\r\ntext"
                for _ in 0..<5 {
                    let client = try node.lmtp()
                    #expect(try client.command("MAIL FROM:<>").hasPrefix("250"))
                    #expect(try client.command("RCPT TO:<alice@example.test>").hasPrefix("250"))
                    #expect(try client.command("DATA").hasPrefix("354"))
                    try client.send(letter + "\r\n.\r\n")
                    client.resetAtEnd()
                }
                _ = try Self.send(try node.lmtp(), letter, from: "")
                #expect(try node.bodies("alice@example.test").count == 1)
            }
        }
    }
}
