// Where mail to an address goes, and what an unknown one is told.
import MailCore
import MailTypes
import Testing

@testable import Gateways

@Suite struct DirectoryTests {
    private func rcpt(_ node: TestNode, _ address: String) throws -> String {
        let client = try node.smtp()
        _ = try client.command("MAIL FROM:<a@client.test>")
        return try client.command("RCPT TO:<\(address)>")
    }

    @Test func aDomainIsOursAsLongAsAnAccountHasAnAddressInIt() async throws {
        try await withNode { node async throws in
            let alice = try node.account("alice@example.test")
            #expect(try rcpt(node, "nobody@new.test").hasPrefix("550 5.7.1"))
            node.perform(alice, .addAddress(Address("alice@new.test")!, .alias))
            #expect(try await eventually { try rcpt(node, "nobody@new.test").hasPrefix("550 5.1.1") })
            node.perform(alice, .addAddress(Address("*@all.test")!, .catchAll))
            #expect(try rcpt(node, "whoever@all.test").hasPrefix("250"))
            node.perform(alice, .removeAddress(Address("alice@new.test")!))
            #expect(try await eventually { try rcpt(node, "nobody@new.test").hasPrefix("550 5.7.1") })
        }
    }

    @Test func aDomainCanBeNamed() async throws {
        try await withNode { node async throws in
            let opened = ShardOpened(shard: 0, storeUUID: String(repeating: "0", count: 32))
            let named = DomainSetting.value(["b.test", "a.test"])
            for command in [AccountCommand.openShard(opened), .setSetting(key: DomainSetting.key, value: named)] {
                let outcome = node.perform(.system, command)
                guard case .done = outcome else { throw ClientError.system("\(outcome)") }
            }
            #expect(try await eventually { try rcpt(node, "nobody@a.test").hasPrefix("550 5.1.1") })
            #expect(try rcpt(node, "nobody@b.test").hasPrefix("550 5.1.1"))
            // Its postmaster is the default domain's.
            #expect(try rcpt(node, "postmaster@b.test").hasPrefix("250"))
            node.perform(.system, .setSetting(key: DomainSetting.key, value: nil))
            #expect(try await eventually { try rcpt(node, "nobody@a.test").hasPrefix("550 5.7.1") })
        }
    }

    @Test("a domain in another script is one domain, in U-labels and in A-labels")
    func aDomainInAnotherScript() async throws {
        try await withNode { node async throws in
            let alice = try node.account("alice@example.test")
            node.perform(alice, .addAddress(Address("alice@bücher.test")!, .alias))
            func answer(_ address: String) throws -> String {
                let client = try node.smtp()
                _ = try client.command("MAIL FROM:<a@client.test> SMTPUTF8")
                return try client.command("RCPT TO:<\(address)>")
            }
            for domain in ["bücher.test", "BÜCHER.test", "xn--bcher-kva.test", "XN--BCHER-KVA.TEST"] {
                #expect(try answer("alice@" + domain).hasPrefix("250"))
                #expect(try answer("alice+x@" + domain).hasPrefix("250"))
                #expect(try await eventually { try answer("nobody@" + domain).hasPrefix("550 5.1.1") })
            }
            #expect(try answer("alice@bucher.test").hasPrefix("550 5.7.1"))
        }
    }

    private func mailboxes(_ node: TestNode) throws -> (inbox: UInt32, lists: UInt32) {
        let alice = try node.account("alice@example.test")
        return try node.engine.read { state in
            func count(_ name: String) throws -> UInt32 {
                guard let id = try state.mailboxID(alice, named: MailboxName(name)!) else { return 0 }
                return try state.mailbox(alice, id)?.exists ?? 0
            }
            return (try count("INBOX"), try count("lists"))
        }
    }

    private func send(_ node: TestNode, to address: String) throws -> String {
        let client = try node.lmtp()
        _ = try client.command("MAIL FROM:<a@client.test>")
        let answer = try client.command("RCPT TO:<\(address)>")
        guard answer.hasPrefix("250") else { return answer }
        _ = try client.command("DATA")
        return try client.command("Subject: x\r\n\r\nbody\r\n.")
    }

    @Test(arguments: [
        (DetailDelivery.inbox, "alice+lists@example.test", true, 1, 0),
        (.folder, "alice+lists@example.test", true, 0, 1), (.folder, "alice+other@example.test", true, 1, 0),
        (.folder, "Alice+@example.test", true, 1, 0), (.folder, "alice+a//b@example.test", true, 1, 0),
        (.folder, "alice+LISTS@example.test", true, 1, 0), (.folder, "alice@example.test", true, 1, 0),
        (.off, "alice+lists@example.test", false, 0, 0), (.off, "alice@example.test", true, 1, 0),
        (.folder, "+lists@example.test", false, 0, 0),
    ])
    func details(
        _ detail: DetailDelivery, _ address: String, _ isTaken: Bool, _ inbox: UInt32, _ lists: UInt32
    ) async throws {
        try await withNode(options: { $0.detail = detail }) { node in
            let alice = try node.account("alice@example.test")
            node.perform(alice, .createMailbox(NewMailbox(name: MailboxName("lists")!)))
            #expect(try send(node, to: address).hasPrefix(isTaken ? "250" : "550 5.1.1"))
            let found = try mailboxes(node)
            #expect(found == (inbox, lists))
        }
    }

    /// An address of its own wins over the account before the plus.
    @Test func anAliasWithAPlusIsAnAddressOfItsOwn() async throws {
        try await withNode(options: { $0.detail = .folder }) { node in
            node.perform(try node.account("bob@example.test"), .addAddress(Address("alice+bob@example.test")!, .alias))
            #expect(try send(node, to: "alice+bob@example.test").hasPrefix("250"))
            #expect(try node.bodies("bob@example.test").count == 1)
            #expect(try node.bodies("alice@example.test").isEmpty)
        }
    }
}
