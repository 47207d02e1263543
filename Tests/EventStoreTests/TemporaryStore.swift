import EventStore
import Foundation
import MailCore
import MailTypes
import Testing

/// A store in a directory of its own, removed with the object.
final class TemporaryStore {
    let directory: String
    private(set) var store: LMDBStore
    var now = Timestamp(seconds: 1_800_000_000)

    static var options: LMDBStoreOptions {
        var options = LMDBStoreOptions()
        options.segments.segmentOctets = 1 << 20
        options.segments.ballastOctets = 0
        return options
    }

    private let options: LMDBStoreOptions

    convenience init(unfoldedRowsMax: Int) throws {
        var options = Self.options
        options.limits.unfoldedRowsMax = unfoldedRowsMax
        options.limits.unfoldedMillisecondsMax = 3_600_000
        try self.init(options: options)
    }

    init(options: LMDBStoreOptions = TemporaryStore.options) throws {
        self.options = options
        directory = NSTemporaryDirectory() + "letterlog-store-" + UUID().uuidString
        try LMDBStore.create(directory, options: options)
        store = try LMDBStore(directory, options: options)
    }

    deinit {
        store.close()
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// Closes the store, lets `change` work on its files, and opens it again.
    func reopen(folding: Bool = true, _ change: (String) throws -> Void = { _ in }) throws {
        // Without it the object just goes, as in a crash.
        if folding { store.close() }
        store = try swap { try change($0) }
    }

    private func swap(_ change: (String) throws -> Void) throws -> LMDBStore {
        // The lock goes with the object, so it must be gone before the next one opens.
        final class Holder { var store: LMDBStore? }
        let placeholder = NSTemporaryDirectory() + "letterlog-store-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: placeholder) }
        try LMDBStore.create(placeholder, options: Self.options)
        store = try LMDBStore(placeholder, options: Self.options)
        try change(directory)
        return try LMDBStore(directory, options: options)
    }

    /// One command in one batch.
    @discardableResult
    func run(
        _ command: AccountCommand, _ account: AccountID, bodies: [[UInt8]] = [], id: CommandID? = nil
    ) throws -> CommandResult {
        now = Timestamp(rawValue: now.rawValue + 10)
        let staged = try bodies.map { try store.stage(MemoryBody($0)) }
        try store.syncBodies()
        let batch = try store.beginBatch(now: now)
        do {
            for body in staged { try batch.register(body) }
            let context = DecideContext(account: account, now: now, bodies: staged.map(\.reference))
            let decision = try decide(command, context, batch)
            let append = Append(
                account: account, expected: try batch.head(account)?.aseq ?? .zero, events: decision.events,
                origin: Origin(gateway: .admin), command: id, retryable: id != nil)
            _ = try batch.append(append)
            _ = try batch.commit()
            return decision.result
        } catch {
            batch.abort()
            throw error
        }
    }

    static let inbox = MailboxID(1)

    /// The shard's own account and one person's.
    @discardableResult
    func populate(messages: Int = 0) throws -> AccountID {
        let opened = ShardOpened(shard: 0, storeUUID: String(repeating: "0", count: 32))
        try run(.openShard(opened), .system)
        let address = try #require(Address("ann@example.test"))
        try run(.createAccount(NewAccount(address: address)), .firstPersonal)
        for number in 0..<messages { try deliver(Self.body(number)) }
        return .firstPersonal
    }

    func deliver(_ body: [UInt8]) throws {
        let append = AppendMessages(
            mailbox: Self.inbox, messages: [NewMessage(body: 0)], origin: .lmtp, envelopeFrom: "sender@example.test",
            envelopeTo: "ann@example.test")
        try run(.append(append), .firstPersonal, bodies: [body])
    }

    static func body(_ number: Int) -> [UInt8] {
        Array("Subject: message \(number)\r\n\r\n\(String(repeating: "text \(number)\r\n", count: number % 300))".utf8)
    }
}
