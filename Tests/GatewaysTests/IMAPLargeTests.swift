import EventStore
import Foundation
import MailCore
import MailEngine
import MailTypes
import Projections
import Testing

@testable import Gateways

/// More messages than a reading thread puts in order in one step.
private let count = GatewayLimits.imapInlineOrderMax + 500

@Suite("IMAP: answers that grow with the mailbox")
struct IMAPLargeTests {
    /// One body for all; the later a message came, the earlier its date.
    private func fill(_ node: TestNode) throws {
        let account = try node.account("alice@example.test")
        let inbox = try #require(try node.engine.read { try $0.mailboxID(account, named: .inbox) })
        var done = 0
        while done < count {
            let body = node.engine.makeBody()
            try body.append(Array(letter.utf8))
            let messages = (0..<min(DomainLimits.appendMessagesMax, count - done)).map { index in
                NewMessage(
                    body: 0, flags: (done + index) % 2 == 0 ? [] : .seen,
                    internalDate: InternalDate(
                        time: Timestamp(milliseconds: Int64(1_000_000 - done - index) * 60_000)))
            }
            let append = AppendMessages(mailbox: inbox, messages: messages, origin: .append)
            let outcome = node.engine.performAndWait(
                Request([Request.Item(account, .append(append))], bodies: [try body.finish()], origin: Origin()))[0]
            guard case .done = outcome else { throw ClientError.system("\(outcome)") }
            done += messages.count
        }
    }

    private func numbers(_ range: some Sequence<Int>) -> String { range.map { " \($0)" }.joined() }

    @Test("SEARCH, SORT, THREAD and STORE over thousands of messages")
    func large() async throws {
        try await withNode { node in
            try await onOwnThread {
                try fill(node)
                let client = try node.imap("alice")
                #expect(try client.run("SELECT INBOX").untagged.contains("* \(count) EXISTS"))
                // Compared before they are expected: a difference would be printed whole.
                func answers(_ command: String, _ expected: String) throws {
                    let isExpected = try client.run(command).untagged == [expected]
                    #expect(isExpected, "\(command)")
                }
                let odd = stride(from: 1, through: count, by: 2)
                try answers("SEARCH UNSEEN", "* SEARCH" + numbers(odd))
                try answers("SEARCH SUBJECT one", "* SEARCH" + numbers(1...count))
                #expect(try client.run("SEARCH RETURN (ALL) ALL").untagged.first?.hasSuffix(" ALL 1:\(count)") == true)
                try answers("SORT (ARRIVAL) UTF-8 ALL", "* SORT" + numbers((1...count).reversed()))
                try answers("UID SORT (SUBJECT REVERSE ARRIVAL) UTF-8 UNSEEN", "* SORT" + numbers(odd))
                // The first by date, which is the one that came last, and all others below it.
                let siblings = (1..<count).reversed().map { "(\($0))" }.joined()
                try answers("THREAD ORDEREDSUBJECT UTF-8 ALL", "* THREAD (\(count) \(siblings))")
                let stored = try client.run("STORE 1:* FLAGS (\\Flagged)")
                #expect(stored.untagged.count == count)
                for (index, line) in stored.untagged.enumerated() {
                    #expect(line.hasPrefix("* \(index + 1) FETCH ") && line.contains("\\Flagged"))
                }
                let expunged = try client.run("STORE 2:\(count) +FLAGS.SILENT (\\Deleted)")
                #expect(expunged.isOK)
                #expect(try client.run("EXPUNGE").untagged.count == count - 1)
                #expect(try client.run("FETCH 1:* UID").untagged == ["* 1 FETCH (UID 1)"])
            }
        }
    }

    @Test("what the cache knows of an account goes when the account is removed")
    func removedAccount() async throws {
        let directory = NSTemporaryDirectory() + "letterlog-cache-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let cache = try MessageCache(directory: directory, octetsMax: 1 << 20)
        try await withNode(options: { $0.cache = cache }) { node in
            let (alice, bob) = (try node.account("alice@example.test"), try node.account("bob@example.test"))
            try await onOwnThread {
                for user in ["alice", "bob"] {
                    try node.deposit("\(user)@example.test", Array(letter.utf8))
                    let client = try node.imap(user)
                    try client.run("SELECT INBOX")
                    #expect(try client.run("FETCH 1 ENVELOPE").isOK)
                }
            }
            #expect(cache.known(alice, [EmailID(1)])[0] != nil)
            #expect(cache.known(bob, [EmailID(1)])[0] != nil)
            node.perform(alice, .removeAccount)
            #expect(await eventually { cache.known(alice, [EmailID(1)])[0] == nil })
            #expect(cache.known(bob, [EmailID(1)])[0] != nil)
        }
        cache.close()
    }
}
