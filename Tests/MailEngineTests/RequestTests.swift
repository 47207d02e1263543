// Items of a request that hang together.
import EventStore
import MailCore
import MailTypes
import Testing

@testable import MailEngine

@Suite struct RequestTests {
    /// An engine with an account whose quota lets nothing in.
    private func site() throws -> (MailEngine, AccountID, MailboxID) {
        let engine = MailEngine(
            store: MemoryStore(), options: EngineOptions(spoolDirectory: "/tmp"),
            clock: { Timestamp(milliseconds: 1_000) })
        let address = try #require(Address("alice@example.test"))
        _ = engine.performAndWait(
            Request([Request.Item(Request.newAccount, .createAccount(NewAccount(address: address)))], origin: Origin()))
        let account = try #require(try engine.read { try $0.owner(ofAddress: "alice@example.test") })
        let inbox = try #require(try engine.read { try $0.mailboxID(account, named: .inbox) })
        return (engine, account, inbox)
    }

    private func append(_ inbox: MailboxID) -> AccountCommand {
        .append(
            AppendMessages(
                mailbox: inbox, messages: [NewMessage(body: 0)], origin: .smtp, envelopeFrom: "", envelopeTo: ""))
    }

    private let enqueue = AccountCommand.enqueue(Enqueue(body: 0, mailFrom: "", recipients: ["alice@example.test"]))

    private func body(_ engine: MailEngine) throws -> any BodySource {
        let body = engine.makeBody()
        try body.append(Array("Subject: x\r\n\r\n".utf8))
        return try body.finish()
    }

    private func counts(_ engine: MailEngine, _ account: AccountID, _ inbox: MailboxID) throws -> [Int] {
        try engine.read { state in
            var queued = 0
            try state.queue { _, _ in
                queued += 1
                return true
            }
            return [Int(try state.mailbox(account, inbox)?.exists ?? 0), queued]
        }
    }

    @Test("an item that stands in is done when the one before was refused, and only then")
    func standsIn() throws {
        let (engine, account, inbox) = try site()
        defer { engine.close() }
        func perform(first: AccountCommand) throws -> [CommandOutcome] {
            engine.performAndWait(
                Request(
                    [
                        Request.Item(account, first), Request.Item(account, append(inbox), needsPrevious: true),
                        Request.Item(.queue, enqueue, standsIn: true),
                        Request.Item(account, .setSetting(key: "k", value: "v"), needsPrevious: true),
                    ], bodies: [try body(engine)], origin: Origin()))
        }
        let open = AccountCommand.setSetting(key: "a", value: "b")
        #expect(try perform(first: open).allSatisfy { $0.isDone })
        #expect(try counts(engine, account, inbox) == [1, 0])
        _ = engine.performAndWait(
            Request([Request.Item(account, .setQuota(Quota(bytes: 1, messages: 0)))], origin: Origin()))
        let outcomes = try perform(first: open)
        #expect(outcomes.map(\.isDone) == [true, false, true, true])
        #expect(try counts(engine, account, inbox) == [1, 1])
        // Left out is not refused: nothing stands in for what never was to be.
        #expect(try perform(first: .revokeCredential(id: 99)).allSatisfy { !$0.isDone })
        #expect(try counts(engine, account, inbox) == [1, 1])
    }
}
