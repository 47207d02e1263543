// Submission: what people who have logged in may send, to whom, and what becomes of it on the way.
import Glibc
import MailCore
import MailEngine
import MailTypes
import MessageAuthentication
import NIOCore
import Synchronization
import Testing

@testable import Gateways

@Suite struct SubmissionTests {
    private func withSubmission(
        _ sending: SendingOptions = SendingOptions(),
        _ body: @escaping @Sendable (TestNode, TestClient) throws -> Void,
        then check: (TestNode) throws -> Void
    ) async throws {
        try await withNode(
            listeners: [
                (.submission, .tcp(host: "127.0.0.1", port: 0)), (.smtp, .tcp(host: "127.0.0.1", port: 0)),
                (.lmtp, .tcp(host: "127.0.0.1", port: 0)),
            ],
            options: { options in
                options.sending = sending
                options.sending.isOpen = true
            }
        ) { node in
            try await onOwnThread {
                try body(node, try node.submission("alice"))
            }
            try check(node)
        }
    }

    private func queue(_ node: TestNode) throws -> [QueueEntry] {
        try node.engine.read { state in
            var entries: [QueueEntry] = []
            try state.queue { _, entry in
                entries.append(entry)
                return true
            }
            return entries
        }
    }

    private func text(_ node: TestNode, _ blob: BlobNumber) throws -> String {
        String(decoding: try node.octets(blob), as: UTF8.self)
    }

    @Test("one message for mailboxes here and elsewhere is one commit: copies here, one entry of the queue")
    func mixed() async throws {
        try await withSubmission { (_: TestNode, client: TestClient) throws in
            #expect(try client.command("MAIL FROM:<alice@example.test>").hasPrefix("250"))
            for recipient in ["bob@example.test", "x@there.test", "carol@example.test", "y@else.test"] {
                #expect(try client.command("RCPT TO:<\(recipient)>").hasPrefix("250 2.1.5"))
            }
            #expect(try client.command("DATA").hasPrefix("354"))
            #expect(
                try client.command(
                    "From: Alice <alice+a@example.test>\r\nBcc: y@else.test\r\nTo: bob\r\n\r\nhello\r\n."
                ).hasPrefix("250 2.6.0"))
        } then: { (node: TestNode) throws in
            let entries = try queue(node)
            #expect(entries.map { $0.recipients.map(\.address) } == [["x@there.test", "y@else.test"]])
            #expect(entries.map(\.mailFrom) == ["alice@example.test"])
            let sent = try text(node, entries[0].blob)
            #expect(try node.letters("bob@example.test") == [sent])
            #expect(try node.letters("carol@example.test") == [sent])
            #expect(!sent.contains("Bcc"))
            #expect(sent.contains("\r\nDate: "))
            #expect(sent.contains("\r\nMessage-ID: <") && sent.contains("@example.test>\r\nFrom: Alice"))
            #expect(sent.hasSuffix("\r\nTo: bob\r\n\r\nhello\r\n"))
            #expect(sent.contains("([127.0.0.1])"))
            var commits: Set<Timestamp> = []
            try node.engine.read { state in
                try state.log(after: .start) { logged in
                    switch logged.event {
                    case .messageAppended, .queueAccepted: commits.insert(logged.context.time)
                    default: break
                    }
                    return true
                }
            }
            #expect(commits.count == 1)
        }
    }

    @Test("port 25 and LMTP relay for nobody")
    func noRelay() async throws {
        try await withSubmission { (node: TestNode, _: TestClient) throws in
            for client in [try node.smtp(), try node.lmtp()] {
                #expect(try client.command("MAIL FROM:<alice@example.test>").hasPrefix("250"))
                #expect(try client.command("RCPT TO:<x@there.test>").hasPrefix("550 5.7.1"))
            }
        } then: { (node: TestNode) throws in
            #expect(try queue(node).isEmpty)
        }
    }

    @Test(
        "whose name stands in the header",
        arguments: [
            ("From: alice@example.test\r\n", "250 2.6.0"), ("From: bob@example.test\r\n", "550 5.7.1"),
            ("From: alice@example.test, bob@example.test\r\n", "550 5.7.1"),
            ("From: alice@example.test\r\nFrom: bob@example.test\r\n", "550 5.7.1"),
            ("From: alice@example.test\r\nSender: bob@example.test\r\n", "550 5.7.1"),
            ("From: \"alice@example.test\" <bob@example.test>\r\n", "550 5.7.1"),
            ("From: nobody in particular\r\n", "550 5."), ("Subject: x\r\n", "250 2.6.0"),
            ("From: bob\r\n", "550 5."),
        ])
    func author(_ header: String, _ reply: String) async throws {
        try await withSubmission { (_: TestNode, client: TestClient) throws in
            #expect(try client.command("MAIL FROM:<alice@example.test>").hasPrefix("250"))
            #expect(try client.command("RCPT TO:<x@there.test>").hasPrefix("250"))
            #expect(try client.command("DATA").hasPrefix("354"))
            #expect(try client.command("\(header)\r\nhello\r\n.").hasPrefix(reply), "\(header)")
            #expect(try client.command("NOOP").hasPrefix("250"))
        } then: { (node: TestNode) throws in
            #expect(try queue(node).count == (reply.hasPrefix("250") ? 1 : 0))
        }
    }

    @Test("a site may let people write under any name, and hide where they are")
    func lenient() async throws {
        var lenient = SendingOptions()
        lenient.checksSender = false
        lenient.hidesClient = true
        try await withSubmission(lenient) { (_: TestNode, client: TestClient) throws in
            #expect(try client.command("MAIL FROM:<list@there.test>").hasPrefix("250"))
            #expect(try client.command("RCPT TO:<x@there.test>").hasPrefix("250"))
            #expect(try client.command("DATA").hasPrefix("354"))
            #expect(try client.command("From: bob@example.test\r\n\r\nhello\r\n.").hasPrefix("250"))
        } then: { (node: TestNode) throws in
            let sent = try text(node, try queue(node)[0].blob)
            #expect(!sent.contains("127.0.0.1") && !sent.contains("client.test"))
        }
    }

    @Test("an account has its share of the hour")
    func rate() async throws {
        var narrow = SendingOptions()
        narrow.recipientsPerHourMax = 3
        try await withSubmission(narrow) { (_: TestNode, client: TestClient) throws in
            func message(_ second: String) throws {
                #expect(try client.command("MAIL FROM:<alice@example.test>").hasPrefix("250"))
                #expect(try client.command("RCPT TO:<x@there.test>").hasPrefix("250"))
                #expect(try client.command("RCPT TO:<y@there.test>").hasPrefix(second))
                // Mail that stays here is not counted.
                #expect(try client.command("RCPT TO:<bob@example.test>").hasPrefix("250"))
            }
            try message("250")
            #expect(try client.command("DATA").hasPrefix("354"))
            #expect(try client.command("From: alice@example.test\r\n\r\nhello\r\n.").hasPrefix("250"))
            try message("450 4.7.1")
        } then: { _ in
        }
    }

    @Test("an address of one's own is that in both forms of its domain, in the envelope and in From")
    func senderInAnotherScript() async throws {
        try await withSubmission { (node: TestNode, client: TestClient) throws in
            node.perform(
                try node.account("alice@example.test"), .addAddress(Address("alice@xn--bcher-kva.test")!, .alias))
            for (sender, from) in [("bücher", "xn--bcher-kva"), ("xn--bcher-kva", "bücher"), ("BÜCHER", "Bücher")] {
                #expect(try client.command("MAIL FROM:<alice@\(sender).test> SMTPUTF8").hasPrefix("250"))
                #expect(try client.command("RCPT TO:<x@there.test>").hasPrefix("250"))
                #expect(try client.command("DATA").hasPrefix("354"))
                #expect(try client.command("From: alice@\(from).test\r\n\r\nhello\r\n.").hasPrefix("250"))
            }
            #expect(try client.command("MAIL FROM:<alice@bucher.test>").hasPrefix("553 5.7.1"))
            #expect(try client.command("MAIL FROM:<bob@bücher.test> SMTPUTF8").hasPrefix("553 5.7.1"))
        } then: { (node: TestNode) throws in
            #expect(try queue(node).map(\.mailFrom) == Array(repeating: "alice@xn--bcher-kva.test", count: 3))
        }
    }

    @Test("many sessions at once get no more than one; who gives up, and what stays here, is not counted")
    func rateOfSessions() async throws {
        var narrow = SendingOptions()
        narrow.recipientsPerHourMax = 3
        try await withSubmission(narrow) { (node: TestNode, first: TestClient) throws in
            let second = try node.submission("alice")
            for client in [first, second] {
                #expect(try client.command("MAIL FROM:<alice@example.test>").hasPrefix("250"))
                // It waits in the queue for its report, and stays here all the same.
                #expect(try client.command("RCPT TO:<bob@example.test> NOTIFY=SUCCESS").hasPrefix("250"))
            }
            for name in ["x", "y", "z"] {
                #expect(try first.command("RCPT TO:<\(name)@there.test>").hasPrefix("250"))
            }
            #expect(try second.command("RCPT TO:<x@there.test>").hasPrefix("450 4.7.1"))
            #expect(try first.command("RSET").hasPrefix("250"))
            #expect(try first.command("MAIL FROM:<alice@example.test>").hasPrefix("250"))
            #expect(try first.command("RCPT TO:<x@there.test>").hasPrefix("250"))
            #expect(try second.command("RCPT TO:<x@there.test>").hasPrefix("250"))
            #expect(try second.command("RCPT TO:<y@there.test>").hasPrefix("250"))
            #expect(try second.command("RCPT TO:<z@there.test>").hasPrefix("450 4.7.1"))
            #expect(try second.command("DATA").hasPrefix("354"))
            #expect(try second.command("From: alice@example.test\r\n\r\nhello\r\n.").hasPrefix("250"))
            #expect(try second.command("MAIL FROM:<alice@example.test>").hasPrefix("250"))
            #expect(try second.command("RCPT TO:<x@there.test>").hasPrefix("450 4.7.1"))
        } then: { (node: TestNode) throws in
            let entries = try queue(node)
            let addresses = entries.map { $0.recipients.map(\.address) }
            #expect(addresses == [["bob@example.test"], ["x@there.test", "y@there.test"]])
            // What is to stay here has an entry that does, whoever sent it.
            #expect(entries.map { $0.wishes.flags.contains(.inward) } == [true, false])
        }
    }

    @Test("a header that does not end is given up at its limit")
    func endlessHeader() async throws {
        try await withSubmission { (_: TestNode, client: TestClient) throws in
            #expect(try client.command("MAIL FROM:<alice@example.test>").hasPrefix("250"))
            #expect(try client.command("RCPT TO:<x@there.test>").hasPrefix("250"))
            #expect(try client.command("DATA").hasPrefix("354"))
            let line = "X: " + String(repeating: "x", count: 900) + "\r\n"
            for _ in 0..<1_300 { try client.send(line) }
            #expect(try client.command(".").hasPrefix("552 5.3.4"))
        } then: { (node: TestNode) throws in
            #expect(try queue(node).isEmpty)
        }
    }

    @Test("a mailbox here that cannot take its copy gets another try by the queue")
    func refusedHere() async throws {
        try await withSubmission { (node: TestNode, client: TestClient) throws in
            #expect(try client.command("MAIL FROM:<alice@example.test>").hasPrefix("250"))
            for recipient in ["bob@example.test", "x@there.test"] {
                #expect(try client.command("RCPT TO:<\(recipient)>").hasPrefix("250"))
            }
            #expect(try client.command("DATA").hasPrefix("354"))
            node.perform(try node.account("bob@example.test"), .setQuota(Quota(bytes: 10, messages: 0)))
            #expect(try client.command("From: alice@example.test\r\n\r\nhello\r\n.").hasPrefix("250 2.6.0"))
        } then: { (node: TestNode) throws in
            #expect(
                try queue(node).map { $0.recipients.map(\.address) } == [["x@there.test"], ["bob@example.test"]])
        }
    }
    @Test("what senders want told goes into the queue with a recipient here whose mailbox is full")
    func refusedHereWithWishes() async throws {
        try await withSubmission { (node: TestNode, client: TestClient) throws in
            #expect(try client.command("MAIL FROM:<alice@example.test>").hasPrefix("250"))
            #expect(try client.command("RCPT TO:<x@there.test>").hasPrefix("250"))
            #expect(
                try client.command("RCPT TO:<bob@example.test> NOTIFY=NEVER ORCPT=rfc822;b@else.test").hasPrefix("250"))
            #expect(try client.command("DATA").hasPrefix("354"))
            node.perform(try node.account("bob@example.test"), .setQuota(Quota(bytes: 10, messages: 0)))
            #expect(try client.command("From: alice@example.test\r\n\r\nhello\r\n.").hasPrefix("250 2.6.0"))
        } then: { (node: TestNode) throws in
            let recipients = try queue(node).flatMap(\.recipients)
            #expect(recipients.map(\.address) == ["x@there.test", "bob@example.test"])
            #expect(recipients.map(\.notify) == [[], .never])
            #expect(recipients.map(\.original) == ["", "rfc822;b@else.test"])
        }
    }

    /// The message was handed over with its last octet (RFC 5321 section 4.5.4.1 calls that the client's doubt, not ours):
    /// it goes on with the envelope it came in.
    @Test("a client that goes while its message is checked leaves it whole")
    func goneBeforeTheReply() async throws {
        let names = SlowAuthor()
        try await withNode(
            listeners: [(.smtp, .tcp(host: "127.0.0.1", port: 0))],
            options: {
                $0.sending.isOpen = true
                $0.proxyFrom = TrustedPeers(networks: [IPNetwork("127.0.0.1")!])
                $0.checks.policy = .record
                $0.checks.names = names
                $0.checks.waitMax = .milliseconds(500)
            }
        ) { node in
            try await onOwnThread {
                let client = try node.client(.smtp)
                try client.send("PROXY TCP4 192.0.2.9 127.0.0.1 40000 25\r\n")
                _ = try client.reply()
                #expect(try client.command("EHLO mta.client.test").hasPrefix("250"))
                #expect(try client.command("MAIL FROM:<a@client.test>").hasPrefix("250"))
                #expect(try client.command("RCPT TO:<alice@example.test> NOTIFY=SUCCESS").hasPrefix("250"))
                #expect(try client.command("RCPT TO:<bob@example.test>").hasPrefix("250"))
                #expect(try client.command("DATA").hasPrefix("354"))
                client.resetAtEnd()
                try client.send("From: a@client.test\r\n\r\nhello\r\n.\r\n")
                while !names.isAsked { usleep(1_000) }
            }
            #expect(try await eventually { try queue(node).count == 1 })
            let entry = try queue(node)[0]
            #expect(entry.mailFrom == "a@client.test" && entry.recipients.map(\.address) == ["alice@example.test"])
            #expect(try await eventually { try node.letters("bob@example.test").count == 1 })
            var senders: [String] = []
            let bob = try node.account("bob@example.test")
            try node.engine.read { state in
                try state.history(bob) { logged in
                    if case .messageAppended(let event) = logged.event { senders.append(event.envelopeFrom ?? "") }
                    return true
                }
            }
            #expect(senders == ["a@client.test"])
        }
    }
}

/// A DNS that knows nothing, and takes its time where the author's policy is asked for: when a message is whole.
private final class SlowAuthor: MailNames {
    private let asked = Atomic<Bool>(false)
    var isAsked: Bool { asked.load(ordering: .sequentiallyConsistent) }

    func texts(of name: String) async -> NameAnswer<[UInt8]> {
        guard name.hasPrefix("_dmarc") else { return .noName }
        asked.store(true, ordering: .sequentiallyConsistent)
        try? await Task.sleep(for: .seconds(60))
        return .noName
    }
    func addresses(of name: String, isV6: Bool) async -> NameAnswer<IPAddress> { .noName }
    func exchangers(of name: String) async -> NameAnswer<String> { .noName }
    func pointers(of address: IPAddress) async -> NameAnswer<String> { .noName }
}
