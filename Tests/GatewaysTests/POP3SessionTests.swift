// Mail out, by POP3, against a real engine.
import EventStore
import MailCore
import MailEngine
import MailTypes
import Synchronization
import Testing

@testable import Gateways

@Suite struct POP3SessionTests {
    private func letter(_ number: Int, lines: Int = 3) -> [UInt8] {
        Array(
            ("Subject: \(number)\r\n\r\n" + (0..<lines).map { ".line \($0) of \(number)\r\n" }.joined()).utf8)
    }

    @Test func aSessionReadsAndRemoves() async throws {
        try await withNode { node in
            for number in 1...3 { try node.deposit("alice@example.test", letter(number)) }
            let drop = try #require(try node.engine.maildrop(try node.account("alice@example.test")))
            let sizes = (1...3).map { letter($0).count }
            let client = try node.pop3("alice")
            #expect(try client.command("STAT") == "+OK 3 \(sizes.reduce(0, +))")
            #expect(try client.command("LIST 2") == "+OK 2 \(sizes[1])")
            #expect(try client.command("UIDL").hasPrefix("+OK"))
            func hexadecimal(_ value: UInt32) -> String {
                let digits = String(value, radix: 16)
                return String(repeating: "0", count: 8 - digits.count) + digits
            }
            let ids = drop.uids.map { hexadecimal($0) + hexadecimal(drop.uidValidity.rawValue) }
            #expect(try client.multiline() == ids.enumerated().map { "\($0 + 1) \($1)" })
            #expect(try client.command("RETR 2") == "+OK \(sizes[1]) octets")
            #expect(try client.multilineOctets() == letter(2))
            #expect(try client.command("TOP 3 1").hasPrefix("+OK"))
            #expect(try client.multiline() == ["Subject: 3", "", ".line 0 of 3"])
            #expect(try client.command("DELE 1").hasPrefix("+OK"))
            #expect(try client.command("DELE 3").hasPrefix("+OK"))
            #expect(try client.command("LIST").hasPrefix("+OK 1 messages"))
            #expect(try client.multiline() == ["2 \(sizes[1])"])
            #expect(try node.bodies("alice@example.test").count == 3)
            #expect(try client.command("QUIT").hasPrefix("+OK"))
            #expect(client.isClosed())
            #expect(try node.bodies("alice@example.test") == [letter(2)])
        }
    }

    @Test func quitIsOneRequestThatNamesTheSession() async throws {
        try await withNode { node in
            for number in 1...3 { try node.deposit("alice@example.test", letter(number)) }
            let client = try node.pop3("alice@example.test")
            try client.send("DELE 1\r\nDELE 2\r\nQUIT\r\n")
            for _ in 0..<3 { #expect(try client.line().hasPrefix("+OK")) }
            let alice = try node.account("alice@example.test")
            var newest: [Event] = []
            try node.engine.read { state in
                try state.history(alice) { logged in
                    newest.append(logged.event)
                    return newest.count < 2
                }
            }
            guard case .messagesExpunged(let expunged) = newest[0], case .sessionOpened(let opened) = newest[1] else {
                Issue.record("not an expunge after a session: \(newest)")
                return
            }
            #expect(expunged.reason == .pop3)
            #expect(expunged.uids.description == "1:2")
            #expect(opened.gateway == .pop3)
            #expect(opened.clientAddress == "127.0.0.1")
        }
    }

    @Test func aSessionThatDiesRemovesNothingAndFreesTheMaildrop() async throws {
        try await withNode { node in
            try node.deposit("alice@example.test", letter(1))
            do {
                let client = try node.pop3("alice")
                #expect(try client.command("DELE 1").hasPrefix("+OK"))
            }
            // The lease goes with the connection; until the node has seen its end, the maildrop is in use.
            var client = try node.client(.pop3)
            #expect(try client.line().hasPrefix("+OK"))
            while true {
                #expect(try client.command("USER alice").hasPrefix("+OK"))
                let reply = try client.command("PASS \(password)")
                if reply.hasPrefix("+OK") { break }
                #expect(reply.hasPrefix("-ERR [IN-USE]"))
                client = try node.client(.pop3)
                #expect(try client.line().hasPrefix("+OK"))
            }
            #expect(try client.command("STAT") == "+OK 1 \(letter(1).count)")
        }
    }

    @Test func aHalfClosedSessionWithoutQuitRemovesNothing() async throws {
        try await withNode { node in
            try node.deposit("alice@example.test", letter(1))
            let client = try node.pop3("alice")
            try client.send("DELE 1\r\nSTAT\r\n")
            client.endSending()
            #expect(try client.line().hasPrefix("+OK"))
            #expect(try client.line() == "+OK 0 0")
            #expect(client.isClosed())
            #expect(try node.bodies("alice@example.test").count == 1)
        }
    }

    @Test func aHalfClosedSessionGetsItsAnswers() async throws {
        try await withNode { node in
            try node.deposit("alice@example.test", letter(1, lines: 20_000))
            let client = try node.client(.pop3)
            try client.send("USER alice\r\nPASS \(password)\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n")
            client.endSending()
            for _ in 0..<4 { #expect(try client.line().hasPrefix("+OK")) }
            #expect(try client.multilineOctets() == letter(1, lines: 20_000))
            for _ in 0..<2 { #expect(try client.line().hasPrefix("+OK")) }
            #expect(client.isClosed())
            #expect(try node.bodies("alice@example.test").isEmpty)
        }
    }

    @Test func oneSessionAtATime() async throws {
        try await withNode { node in
            let first = try node.pop3("alice")
            let second = try node.client(.pop3)
            #expect(try second.line().hasPrefix("+OK"))
            #expect(try second.command("USER alice").hasPrefix("+OK"))
            #expect(try second.command("PASS \(password)").hasPrefix("-ERR [IN-USE]"))
            _ = try node.pop3("bob")
            #expect(try first.command("QUIT").hasPrefix("+OK"))
            #expect(try second.command("USER alice").hasPrefix("+OK"))
            #expect(try second.command("PASS \(password)").hasPrefix("+OK"))
            #expect(node.gateways.metrics[.pop3].rejects[.inUse] == 1)
        }
    }

    @Test func aMessageExpungedElsewhereCanStillBeRead() async throws {
        try await withNode { node in
            try node.deposit("alice@example.test", letter(1))
            let client = try node.pop3("alice")
            let alice = try node.account("alice@example.test")
            let inbox = try #require(try node.engine.read { try $0.mailboxID(alice, named: .inbox) })
            node.perform(
                alice, .expunge(Expunge(mailbox: inbox, uids: UIDSet(UID(1)), onlyDeleted: false, reason: .expunge)))
            #expect(try node.bodies("alice@example.test").isEmpty)
            #expect(try client.command("RETR 1").hasPrefix("+OK"))
            #expect(try client.multilineOctets() == letter(1))
            #expect(try client.command("DELE 1").hasPrefix("+OK"))
            #expect(try client.command("QUIT").hasPrefix("+OK"))
        }
    }

    /// Small bodies are read on the event loop, large ones by a thread.
    @Test(arguments: [3, 20_000])
    func aBodyThatCannotBeReadIsAnErrorAndTheSessionGoesOn(_ lines: Int) async throws {
        let store = UnreadableStore()
        try await withNode(store: store) { node in
            try node.deposit("alice@example.test", letter(1, lines: lines))
            let client = try node.pop3("alice")
            store.isUnreadable.withLock { $0 = true }
            #expect(try client.command("RETR 1").hasPrefix("-ERR [SYS/TEMP]"))
            store.isUnreadable.withLock { $0 = false }
            #expect(try client.command("RETR 1").hasPrefix("+OK"))
            #expect(try client.multilineOctets() == letter(1, lines: lines))
        }
    }

    @Test(arguments: [
        ("alice", "wrong"), ("nobody", password), ("carol", password), ("postmaster@elsewhere.test", password),
        ("alice", "\u{7}"), ("*", password),
    ])
    func deniedLoginsLookAlike(_ user: String, _ given: String) async throws {
        try await withNode { node in
            node.perform(try node.account("carol@example.test"), .setStatus(.disabled))
            let client = try node.client(.pop3)
            #expect(try client.line().hasPrefix("+OK"))
            #expect(try client.command("USER \(user)") == "+OK Send PASS")
            #expect(try client.command("PASS \(given)") == "-ERR [AUTH] Wrong name or password")
            #expect(node.gateways.metrics[.pop3].loginsDenied == 1)
        }
    }

    @Test func largeListings() async throws {
        try await withNode { node in
            for number in 1...3_000 { try node.deposit("alice@example.test", letter(number, lines: 1)) }
            let client = try node.pop3("alice")
            try client.send("UIDL\r\nLIST\r\nSTAT\r\n")
            #expect(try client.line().hasPrefix("+OK"))
            #expect(try client.multiline().count == 3_000)
            #expect(try client.line().hasPrefix("+OK"))
            #expect(try client.multiline().last == "3000 \(letter(3_000, lines: 1).count)")
            #expect(try client.line().hasPrefix("+OK 3000 "))
        }
    }
}

/// A store whose bodies can be made unreadable.
private final class UnreadableStore: ShardStore {
    let memory = MemoryStore()
    let isUnreadable = Mutex(false)

    func read<R>(_ body: (any ShardReader) throws -> R) throws -> R { try memory.read(body) }
    func beginBatch(now: Timestamp) throws(StoreError) -> any ShardBatch { try memory.beginBatch(now: now) }
    func stage(_ source: any BodySource) throws(StoreError) -> StagedBody { try memory.stage(source) }
    func syncBodies() throws(StoreError) { memory.syncBodies() }
    func openBody(_ blob: BlobNumber) throws(StoreError) -> any BodyHandle {
        if isUnreadable.withLock({ $0 }) { throw .failed("a test") }
        return try memory.openBody(blob)
    }
    func freeBytes() throws(StoreError) -> UInt64 { memory.freeBytes() }
    var statistics: StoreStatistics { memory.statistics }
    func close() { memory.close() }
}
