// The change feed: edge notifications after a commit. Nothing is queued per subscriber, so an idle session costs a
// closure however busy the mailbox is; what changed is read from the change rows at the next sync point.
import EventStore
import MailTypes
import Synchronization

final class Feed: Sendable {
    private struct Subscribers {
        var next: UInt64 = 0
        var byAccount: [AccountID: [UInt64: @Sendable (Cursor) -> Void]] = [:]
        var all: [UInt64: @Sendable (Cursor) -> Void] = [:]
        var standings: [UInt64: @Sendable ([StandingChange]) -> Void] = [:]
    }

    private let subscribers = Mutex(Subscribers())

    func subscribe(_ account: AccountID, _ notify: @escaping @Sendable (Cursor) -> Void) -> Subscription {
        let id = subscribers.withLock { subscribers in
            subscribers.next += 1
            subscribers.byAccount[account, default: [:]][subscribers.next] = notify
            return subscribers.next
        }
        return Subscription { [weak self] in
            self?.subscribers.withLock { subscribers in
                subscribers.byAccount[account]?[id] = nil
                if subscribers.byAccount[account]?.isEmpty == true { subscribers.byAccount[account] = nil }
            }
        }
    }

    func subscribeAll(_ notify: @escaping @Sendable (Cursor) -> Void) -> Subscription {
        let id = subscribers.withLock { subscribers in
            subscribers.next += 1
            subscribers.all[subscribers.next] = notify
            return subscribers.next
        }
        return Subscription { [weak self] in self?.subscribers.withLock { $0.all[id] = nil } }
    }

    func subscribeStandings(_ notify: @escaping @Sendable ([StandingChange]) -> Void) -> Subscription {
        let id = subscribers.withLock { subscribers in
            subscribers.next += 1
            subscribers.standings[subscribers.next] = notify
            return subscribers.next
        }
        return Subscription { [weak self] in self?.subscribers.withLock { $0.standings[id] = nil } }
    }

    func publishStandings(_ changes: [StandingChange]) {
        let notifies = subscribers.withLock { Array($0.standings.values) }
        for notify in notifies { notify(changes) }
    }

    func publish(_ accounts: Set<AccountID>, head: Cursor) {
        let (some, all) = subscribers.withLock { subscribers in
            (
                accounts.flatMap { subscribers.byAccount[$0].map { Array($0.values) } ?? [] },
                Array(subscribers.all.values)
            )
        }
        for notify in some { notify(head) }
        for notify in all { notify(head) }
    }
}

/// What a commit changed of an account's standing among others, or what an operator wants of the queue.
package struct StandingChange: Hashable, Sendable {
    package struct Kinds: OptionSet, Hashable, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        /// Status or credentials: who may log in.
        package static let access = Kinds(rawValue: 1)
        package static let addressAdded = Kinds(rawValue: 2)
        package static let addressRemoved = Kinds(rawValue: 4)
        package static let setting = Kinds(rawValue: 8)
        /// Of messages in the queue: they are to be tried now.
        package static let retry = Kinds(rawValue: 16)
    }

    package var account: AccountID
    package var kinds: Kinds
}

/// Ends when it is cancelled or released.
package final class Subscription: Sendable {
    private let end: Mutex<(@Sendable () -> Void)?>

    init(_ end: @escaping @Sendable () -> Void) { self.end = Mutex(end) }

    package func cancel() {
        let end = end.withLock { end in
            defer { end = nil }
            return end
        }
        end?()
    }

    deinit { cancel() }
}
