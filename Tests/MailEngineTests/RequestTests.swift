// Items of a request that hang together.
import EventStore
import MailCore
import MailTypes
import Synchronization
import Testing

@testable import MailEngine

@Suite struct RequestTests {
    /// An engine with an account.
    private func site(
        _ store: MemoryStore = MemoryStore(),
        clock: @escaping @Sendable () -> Timestamp = { Timestamp(milliseconds: 1_000) }
    ) throws -> (MailEngine, AccountID, MailboxID) {
        let engine = MailEngine(store: store, options: EngineOptions(spoolDirectory: "/tmp"), clock: clock)
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

    private static func body(_ engine: MailEngine) throws -> any BodySource {
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

    /// A message bounces, and the report to its sender is part of the record: without it nobody would hear of the loss.
    @Test("a disk that fills in the middle of a request divides nothing that hangs together")
    func oneAnswerForARequest() throws {
        let engines = Mutex<MailEngine?>(nil)
        let time = Mutex(Timestamp(milliseconds: 1_000))
        let stores = Mutex<MemoryStore?>(nil)
        let others = Mutex<[CommandOutcome]>([])
        let store = MemoryStore { state in
            WatchedEditor(state) { entry in
                guard entry?.recipients[0].state == .bounced, others.withLock({ $0.isEmpty }),
                    let engine = engines.withLock({ $0 })
                else { return }
                // The record is made, its report is not. The other thread finds the disk full on behalf of another message.
                stores.withLock { $0?.setFreeBytes(2 << 30) }
                time.withLock { $0 = Timestamp(milliseconds: $0.rawValue + 2_000) }
                let enqueue = AccountCommand.enqueue(Enqueue(body: 0, mailFrom: "", recipients: ["x@example.test"]))
                guard let body = try? Self.body(engine) else { return }
                let request = Request([Request.Item(.queue, enqueue)], bodies: [body], origin: Origin())
                let outcomes = engine.begin(request).wait()
                others.withLock { $0 = outcomes }
            }
        }
        stores.withLock { $0 = store }
        let (engine, account, inbox) = try site(store) { time.withLock { $0 } }
        defer { engine.close() }
        let accepted = engine.performAndWait(
            Request([Request.Item(.queue, enqueue)], bodies: [try Self.body(engine)], origin: Origin()))
        guard case .done(.queued(let id), _) = accepted[0] else { throw StateFault.inconsistent("\(accepted)") }
        engines.withLock { $0 = engine }
        let result = QueueResult(id: id, recipients: [0], code: 550)
        let outcomes = engine.performAndWait(
            Request(
                [
                    Request.Item(.queue, .recordAttempt(QueueAttempt(result: result, outcome: .bounced))),
                    Request.Item(account, append(inbox), needsPrevious: true),
                    Request.Item(.queue, enqueue, standsIn: true),
                ], bodies: [try Self.body(engine)], origin: Origin()))
        guard case .failed(.full)? = others.withLock({ $0.first }) else {
            Issue.record("the disk was not found full: \(others.withLock { $0 })")
            return
        }
        #expect(outcomes.map(\.isDone) == [true, true, true])
        #expect(try counts(engine, account, inbox) == [1, 0])
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
                    ], bodies: [try Self.body(engine)], origin: Origin()))
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
