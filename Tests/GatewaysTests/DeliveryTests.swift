// Mail in, by SMTP and LMTP: what is stored, what is refused, and with which words.
import MailCore
import MailEngine
import MailTypes
import Testing

@testable import Gateways

@Suite struct DeliveryTests {
    let letter = "From: a@client.test\r\nSubject: hello\r\n\r\nFirst line\r\n.stuffed\r\nend\r\n"
    /// As it goes over the wire.
    var stuffed: String { letter.replacing("\r\n.", with: "\r\n..") + ".\r\n" }

    @Test func lmtpStoresTheBytesBehindTheTrace() async throws {
        try await withNode { node in
            let client = try node.lmtp()
            #expect(try client.command("MAIL FROM:<a@client.test>") == "250 2.1.0 Sender accepted")
            #expect(try client.command("RCPT TO:<alice@example.test>") == "250 2.1.5 Recipient accepted")
            #expect(try client.command("DATA").hasPrefix("354 "))
            try client.send(stuffed)
            #expect(try client.line().hasPrefix("250 2.1.5 Stored as "))
            #expect(try client.command("QUIT").hasPrefix("221 "))
            #expect(client.isClosed())

            let stored = try #require(try node.letters("alice@example.test").first)
            #expect(stored.hasSuffix("\r\n" + letter))
            let trace = stored.dropLast(letter.count).replacing("\r\n\t", with: " ").split(separator: "\r\n")
            #expect(trace.count == 2)
            #expect(trace[0] == "Return-Path: <a@client.test>")
            let received = String(trace[1])
            #expect(received.hasPrefix("Received: from client.test ([127.0.0.1]) by mx.example.test with LMTP id "))
            #expect(received.hasSuffix(" +0000"))
            #expect(!received.contains("alice"))
        }
    }

    /// RFC 3030 section 4.2; one more chunk after a RSET, whose octets are not taken for commands.
    @Test func chunksAreOneLetter() async throws {
        try await withNode { node in
            let client = try node.smtp()
            try client.send("MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\n")
            for _ in 0..<2 { #expect(try client.line().hasPrefix("250 ")) }
            let octets = Array(letter.utf8)
            let halves = [octets[..<20], octets[20...]].map { String(decoding: $0, as: UTF8.self) }
            try client.send("BDAT 20\r\n" + halves[0] + "BDAT \(octets.count - 20) LAST\r\n" + halves[1])
            #expect(try client.line() == "250 2.0.0 Chunk taken, 20 octets so far")
            #expect(try client.line().hasPrefix("250 2.6.0 "))
            #expect(try client.command("BDAT 6\r\nQUIT").hasPrefix("503 5.5.1 "))
            #expect(try client.command("RSET").hasPrefix("250 "))
            #expect(try node.letters("alice@example.test").map { $0.hasSuffix("\r\n" + letter) } == [true])
        }
    }

    @Test func theEventTellsTheEnvelopeAndTheSession() async throws {
        try await withNode { node in
            let client = try node.smtp()
            try client.send("MAIL FROM:<>\r\nRCPT TO:<Bob@Example.Test>\r\nDATA\r\n")
            for expected in ["250", "250", "354"] { #expect(try client.line().hasPrefix(expected)) }
            try client.send(stuffed)
            #expect(try client.line().hasPrefix("250 2.6.0 "))
            let bob = try node.account("bob@example.test")
            var found: (MessageAppended, Origin)?
            try node.engine.read { state in
                try state.history(bob) { logged in
                    if case .messageAppended(let event) = logged.event { found = (event, logged.origin) }
                    return found == nil
                }
            }
            let (event, origin) = try #require(found)
            #expect(event.origin == .smtp)
            #expect(event.envelopeFrom == "")
            #expect(event.envelopeTo == "Bob@example.test")
            #expect(origin.gateway == .smtp)
            #expect(origin.session != nil)
            #expect(try node.letters("bob@example.test")[0].hasPrefix("Return-Path: <>\r\n"))
        }
    }

    @Test func lmtpAnswersEachRecipient() async throws {
        try await withNode { node in
            let carol = try node.account("carol@example.test")
            let client = try node.lmtp()
            let rcpt = ["alice@example.test", "carol@example.test", "nobody@example.test", "ALICE+x@example.test"]
            try client.send("MAIL FROM:<a@client.test>\r\n")
            #expect(try client.line().hasPrefix("250"))
            let replies = try rcpt.map { try client.command("RCPT TO:<\($0)>") }
            #expect(replies.map { $0.prefix(9) } == ["250 2.1.5", "250 2.1.5", "550 5.1.1", "250 2.1.5"])
            // Disabled between RCPT and the end of the body.
            node.perform(carol, .setStatus(.disabled))
            #expect(try client.command("DATA").hasPrefix("354"))
            try client.send(stuffed)
            #expect(try (0..<3).map { _ in try client.line().prefix(9) } == ["250 2.1.5", "550 5.2.1", "250 2.1.5"])
            // Two recipients that are one account: one copy.
            #expect(try node.bodies("alice@example.test").count == 1)
            #expect(try node.bodies("carol@example.test").isEmpty)
            #expect(try client.command("NOOP").hasPrefix("250"))
        }
    }

    @Test(arguments: [
        ("someone@elsewhere.test", "550 5.7.1"),
        ("nobody@example.test", "550 5.1.1"),
        ("alice@example.test", "250 2.1.5"),
        ("alice+news@example.test", "250 2.1.5"),
        ("nobody+alice@example.test", "550 5.1.1"),
        ("+alice@example.test", "550 5.1.1"),
        ("anything@catchall.test", "250 2.1.5"),
        ("nobody@configured.test", "550 5.1.1"),
        ("postmaster@configured.test", "250 2.1.5"),
        ("sales@alias.test", "250 2.1.5"),
        ("carol@example.test", "550 5.2.1"),
        ("bob@example.test", "452 4.2.2"),
        ("Postmaster", "250 2.1.5"),
    ])
    func recipients(_ address: String, _ expected: String) async throws {
        try await withNode(options: { $0.isLocalDomain = { $0 == "configured.test" } }) { node in
            let alice = try node.account("alice@example.test")
            node.perform(alice, .addAddress(Address("x@catchall.test")!, .catchAll))
            node.perform(alice, .addAddress(Address("sales@alias.test")!, .alias))
            node.perform(try node.account("carol@example.test"), .setStatus(.disabled))
            try node.deposit("bob@example.test", Array("Subject: x\r\n\r\n0123456789\r\n".utf8))
            node.perform(try node.account("bob@example.test"), .setQuota(Quota(bytes: 10)))
            let client = try node.smtp()
            #expect(try client.command("MAIL FROM:<a@client.test>").hasPrefix("250"))
            #expect(try client.command("RCPT TO:<\(address)>").hasPrefix(expected))
        }
    }

    @Test func aMessageThatWouldNotFitIsRefusedBeforeItIsSent() async throws {
        try await withNode { node in
            node.perform(try node.account("bob@example.test"), .setQuota(Quota(bytes: 1_000)))
            let client = try node.smtp()
            #expect(try client.command("MAIL FROM:<a@client.test> SIZE=5000").hasPrefix("250"))
            #expect(try client.command("RCPT TO:<bob@example.test>").hasPrefix("452 4.2.2"))
            #expect(try client.command("RCPT TO:<alice@example.test>").hasPrefix("250"))
            // Without SIZE it is found at the end.
            #expect(try client.command("RSET").hasPrefix("250"))
            #expect(try client.command("MAIL FROM:<a@client.test>").hasPrefix("250"))
            #expect(try client.command("RCPT TO:<bob@example.test>").hasPrefix("250"))
            #expect(try client.command("DATA").hasPrefix("354"))
            try client.send(String(repeating: "0123456789abcdef\r\n", count: 100) + ".\r\n")
            #expect(try client.line().hasPrefix("452 4.2.2"))
            #expect(try node.bodies("bob@example.test").isEmpty)
        }
    }

    @Test func pipelinedTransactionsKeepTheirOrder() async throws {
        try await withNode { node in
            let client = try node.lmtp()
            var script = ""
            for number in 1...50 {
                script +=
                    "MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<nobody@example.test>\r\n"
                    + "DATA\r\nSubject: \(number)\r\n\r\nbody\r\n.\r\n"
            }
            try client.send(script + "QUIT\r\n")
            for _ in 1...50 {
                let codes = try (0..<5).map { _ in try client.line().prefix(3) }
                #expect(codes == ["250", "250", "550", "354", "250"])
            }
            #expect(try client.line().hasPrefix("221"))
            #expect(client.isClosed())
            let subjects = try node.letters("alice@example.test").map { letter in
                letter.split(separator: "\r\n").first { $0.hasPrefix("Subject") } ?? ""
            }
            #expect(subjects == (1...50).map { "Subject: \($0)" })
        }
    }

    @Test func manySessionsAtOnce() async throws {
        try await withNode { node in
            let clients = try (0..<32).map { _ in try node.lmtp() }
            for client in clients {
                try client.send(
                    "MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n" + stuffed + "QUIT\r\n")
            }
            for client in clients {
                let codes = try (0..<5).map { _ in try client.line().prefix(3) }
                #expect(codes == ["250", "250", "354", "250", "221"])
            }
            #expect(try node.bodies("alice@example.test").count == 32)
            #expect(node.gateways.metrics[.lmtp].deliveries == 32)
        }
    }

    @Test func aFullQueueIsToldBeforeTheBody() async throws {
        try await withNode(engine: { $0.queueOctetsMax = 0 }) { node in
            let client = try node.smtp()
            #expect(try client.command("MAIL FROM:<a@client.test>").hasPrefix("250"))
            #expect(try client.command("RCPT TO:<alice@example.test>").hasPrefix("250"))
            #expect(try client.command("DATA").hasPrefix("451 4.3.1"))
            #expect(try client.command("QUIT").hasPrefix("221"))
        }
    }

    @Test func aFailedCommitIsATemporaryFailure() async throws {
        try await withNode { node in
            let client = try node.lmtp()
            node.store?.failNextCommit(.lost)
            try client.send("MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n" + stuffed)
            let codes = try (0..<4).map { _ in try client.line().prefix(9) }
            #expect(codes == ["250 2.1.0", "250 2.1.5", "354 End d", "451 4.3.0"])
            #expect(node.engine.statistics.stopped != nil)
            #expect(try node.bodies("alice@example.test").isEmpty)
        }
    }

    @Test func aFullDiskIsTold() async throws {
        try await withNode { node in
            let client = try node.lmtp()
            node.store?.failNextCommit(.full)
            try client.send("MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n" + stuffed)
            let codes = try (0..<4).map { _ in try client.line().prefix(9) }
            #expect(codes.last == "452 4.3.1")
            try client.send("MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n" + stuffed)
            #expect(try (0..<4).map { _ in try client.line().prefix(3) } == ["250", "250", "354", "250"])
        }
    }
}
