// `bench`: what the engine does on this machine, with the configuration a node would have. No setting exists for
// benches alone. F is taken before and after in the same run, since neighbours on a shared disk change it.
import EventStore
import Foundation
import MailCore
import MailEngine
import MailTypes
import Synchronization

package struct EngineBench: Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        /// Messages into INBOXes, each its own command.
        case deliver
        /// Messages into one mailbox of one account, each its own command.
        case append
        /// One flag of one message, each its own command.
        case flags
        /// A session's view brought up to date after one change in a large mailbox.
        case resync
        /// The whole log replayed and compared with the live state.
        case rebuild
    }

    package var kind: Kind
    /// Clients that each wait for the answer before they ask again: threads, and for `flags`, where a thread would cost
    /// more than the change, callers on one thread.
    package var producers: Int
    package var messages: Int
    /// Octets of a message.
    package var size: Int
    package var accounts: Int

    package init(kind: Kind, producers: Int?, messages: Int?, size: Int?, accounts: Int?) {
        self.kind = kind
        self.producers = producers ?? (kind == .flags ? 128 : kind == .resync || kind == .rebuild ? 1 : 64)
        self.messages = messages ?? (kind == .resync ? 1_000_000 : kind == .rebuild ? 200_000 : 20_000)
        self.size = size ?? 10_240
        self.accounts = accounts ?? (kind == .append ? 1 : kind == .rebuild ? 1000 : 100)
    }

    /// Runs it, and answers its figures in the order in which they are to be read.
    /// - Parameter store: nil takes a fresh one that is removed afterwards.
    package func run(
        store directory: String?, configuration: NodeConfiguration, progress: @escaping @Sendable (Int, Int) -> Void
    ) throws -> [(key: String, value: JSONValue)] {
        let store = try BenchStore(directory, configuration: configuration)
        defer { store.close() }
        var fields: [(String, JSONValue)] = [
            ("bench", .string(kind.rawValue)), ("producers", .count(producers)), ("messages", .count(messages)),
            ("size", .count(size)), ("accounts", .count(accounts)),
        ]
        let before = try FlushTime.median(store.directory)
        switch kind {
        case .deliver: fields += try deliver(store, progress, origin: .lmtp)
        case .append: fields += try deliver(store, progress, origin: .append)
        case .flags: fields += try flags(store, progress)
        case .resync: fields += try resync(store, progress)
        case .rebuild: fields += try rebuild(store, progress)
        }
        fields.append(("f_before_ms", .number(before * 1000)))
        fields.append(("f_after_ms", .number(try FlushTime.median(store.directory) * 1000)))
        return fields.map { (key: $0.0, value: $0.1) }
    }

    // MARK: Kinds

    private func deliver(
        _ store: BenchStore, _ progress: @escaping @Sendable (Int, Int) -> Void, origin: MessageOrigin
    ) throws -> [(String, JSONValue)] {
        let targets = try store.accounts(accounts)
        let latencies = LatencyLog()
        let measure = BenchMeasure(store)
        try SharedWork.run(messages, threads: producers) { [messages, size] number in
            let (account, inbox) = targets[number % targets.count]
            let append = AppendMessages(
                mailbox: inbox, messages: [NewMessage(body: 0)], origin: origin,
                envelopeFrom: "sender@bench.invalid", envelopeTo: "receiver@bench.invalid")
            let start = ContinuousClock.now
            let request = Request(
                [Request.Item(account, .append(append))], bodies: [try store.message(number, size: size)],
                origin: Origin(gateway: .bench))
            _ = try store.engine.performAndWait(request)[0].result()
            latencies.add(ContinuousClock.now - start)
            progress(number + 1, messages)
        }
        return measure.finish(messages, latencies: latencies.all)
    }

    /// Fills INBOXes, many messages to a command and one body for all of them.
    private func fill(
        _ store: BenchStore, _ targets: [(account: AccountID, inbox: MailboxID)], _ count: Int,
        _ progress: (Int, Int) -> Void
    ) throws {
        let body = try store.message(0, size: 512)
        var done = 0
        while done < count {
            let (account, inbox) = targets[(done / DomainLimits.appendMessagesMax) % targets.count]
            let chunk = min(DomainLimits.appendMessagesMax, count - done)
            let append = AppendMessages(
                mailbox: inbox, messages: (0..<chunk).map { _ in NewMessage(body: 0) }, origin: .append)
            let request = Request(
                [Request.Item(account, .append(append))], bodies: [body], origin: Origin(gateway: .bench))
            _ = try store.engine.performAndWait(request)[0].result()
            done += chunk
            progress(done, count)
        }
    }

    private func flags(
        _ store: BenchStore, _ progress: @escaping @Sendable (Int, Int) -> Void
    ) throws -> [(String, JSONValue)] {
        let targets = try store.accounts(accounts)
        try fill(store, targets, max(1000 * accounts, 1000), { _, _ in })
        let rows = try targets.map { target in
            try store.engine.read { try $0.mailbox(target.account, target.inbox)?.uidNext ?? 2 }
        }
        let measure = BenchMeasure(store)
        let driver = BenchDriver(store.engine, count: messages, progress: progress) { number in
            let index = number % targets.count
            let (account, inbox) = targets[index]
            let round = UInt32(number / targets.count)
            let change = ChangeFlags(
                mailbox: inbox, uids: UIDSet(UID(round % (rows[index] - 1) + 1)),
                operation: round / (rows[index] - 1) % 2 == 0 ? .add : .remove, flags: .flagged)
            return Request([Request.Item(account, .changeFlags(change))], origin: Origin(gateway: .bench))
        }
        let latencies = try driver.run(producers: producers)
        return measure.finish(messages, latencies: latencies)
    }

    private func resync(
        _ store: BenchStore, _ progress: @escaping @Sendable (Int, Int) -> Void
    ) throws -> [(String, JSONValue)] {
        let rounds = 200
        let target = try store.accounts(1)
        let (account, inbox) = target[0]
        let exists = try store.engine.read { try $0.mailbox(account, inbox)?.exists ?? 0 }
        try fill(store, target, max(0, messages - Int(exists)), progress)
        guard var view = try store.engine.read({ try MailboxView($0, account, inbox) }) else { return [] }
        let latencies = LatencyLog()
        let measure = BenchMeasure(store)
        for round in 0..<rounds {
            let uid = UID(UInt32(1 + round * max(1, messages / rounds)))
            let change = ChangeFlags(mailbox: inbox, uids: UIDSet(uid), operation: .add, flags: .answered)
            let request = Request([Request.Item(account, .changeFlags(change))], origin: Origin(gateway: .bench))
            _ = try store.engine.performAndWait(request)[0].result()
            let start = ContinuousClock.now
            _ = try store.engine.read { try view.sync($0, tellsGone: true) }
            latencies.add(ContinuousClock.now - start)
        }
        return measure.finish(rounds, latencies: latencies.all)
    }

    private func rebuild(
        _ store: BenchStore, _ progress: @escaping @Sendable (Int, Int) -> Void
    ) throws -> [(String, JSONValue)] {
        let targets = try store.accounts(accounts)
        try fill(store, targets, messages / 2, progress)
        try mixedChanges(store, targets, count: messages / 2)
        let total = try store.engine.read { Int(clamping: $0.head.rawValue) }
        let measure = BenchMeasure(store)
        let report: ReplayReport
        do {
            report = try store.backend.store.compareStateWithReplay { progress($0, total) }
        } catch let difference as StateDifference {
            throw AdministrationFailure("the state differs from the log: \(difference)")
        }
        return measure.finish(report.events) + [("rows", .count(report.rows))]
    }

    /// Flags, copies and expunges, over all accounts, so that the log is not one kind of event.
    private func mixedChanges(
        _ store: BenchStore, _ targets: [(account: AccountID, inbox: MailboxID)], count: Int
    ) throws {
        try SharedWork.run(count, threads: 128) { number in
            let (account, inbox) = targets[number % targets.count]
            let uid = UID(UInt32(number / targets.count % 400 + 1))
            let command: AccountCommand =
                switch number / targets.count % 10 {
                case 0: .copy(CopyMessages(source: inbox, destination: inbox, uids: UIDSet(uid)))
                case 1: .expunge(Expunge(mailbox: inbox, uids: UIDSet(uid), onlyDeleted: false, reason: .expunge))
                case let kind:
                    .changeFlags(
                        ChangeFlags(
                            mailbox: inbox, uids: UIDSet(uid), operation: kind % 2 == 0 ? .add : .remove,
                            flags: kind < 6 ? .seen : .flagged))
                }
            let request = Request([Request.Item(account, command)], origin: Origin(gateway: .bench))
            _ = try store.engine.performAndWait(request)[0].result()
        }
    }
}
