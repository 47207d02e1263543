// What a mailbox holds at one position of its account, shared by all sessions that look at it.
//
// Invariants
// - An index equals the mailbox at `position`, and at every later position up to the mailbox's next change.
// - It moves forward by change rows; only when they are too many or too old is it made anew from the messages.
// - The cache holds values: a session that falls behind keeps its own copy, whose blocks it shares as far as they agree.
//
// So the first SELECT of a mailbox costs its messages and every further one what changed in between.
import EventStore
import MailCore
import MailTypes
import Synchronization

struct MailboxIndex: Sendable {
    let uidValidity: UIDValidity
    var position: ModSeq
    var uids: UIDMap
    /// Keywords that some message had when it was looked at, as in `MessageRow.keywordBits`. Only grows.
    var keywordBits: UInt64 = 0

    /// O(messages).
    init(
        _ state: any StateReader, _ account: AccountID, _ mailbox: MailboxID, _ head: AccountHead, _ row: MailboxRow
    ) throws(StateFault) {
        uidValidity = row.uidValidity
        position = head.aseq
        var map = UIDMap()
        var bits: UInt64 = 0
        try state.messages(account, mailbox, from: UID(1)) { uid, message in
            map.append(uid, seen: message.flags.contains(.seen), deleted: message.flags.contains(.deleted))
            bits |= message.keywordBits
            return true
        }
        map.endAppending()
        uids = map
        keywordBits = bits
    }

    init(_ view: MailboxView) {
        uidValidity = view.uidValidity
        position = view.position
        uids = view.uids
        keywordBits = view.keywordBits
    }

    /// Whether it is the mailbox as this state has it.
    func isCurrent(_ head: AccountHead, _ row: MailboxRow) -> Bool {
        uidValidity == row.uidValidity && position >= row.highestModSeq && position <= head.aseq
    }

    /// Moves to the state's position; false when it must be made anew.
    mutating func advance(
        _ state: any StateReader, _ account: AccountID, _ mailbox: MailboxID, _ head: AccountHead, _ row: MailboxRow
    ) throws(StateFault) -> Bool {
        if isCurrent(head, row) { return true }
        guard uidValidity == row.uidValidity, position <= head.aseq, position >= head.historyFloor,
            let changes = try state.changes(
                account, mailbox, since: position, now: head.aseq, rowsMax: changeRowsMax(of: row))
        else { return false }
        uids.remove(uids.intersection(changes.gone))
        uids.insert(changes.arrived)
        try uids.mark(changes.arrived.union(changes.changed), &keywordBits, state, account, mailbox)
        position = head.aseq
        return true
    }
}

/// With more change rows than this, the messages themselves are the shorter way.
func changeRowsMax(of row: MailboxRow) -> Int { max(1024, Int(row.exists)) }

extension UIDMap {
    /// Notes the flags that the messages of a set have now.
    mutating func mark(
        _ set: UIDSet, _ keywordBits: inout UInt64, _ state: any StateReader, _ account: AccountID,
        _ mailbox: MailboxID
    ) throws(StateFault) {
        guard let first = set.first else { return }
        var map = self
        var bits = keywordBits
        self = UIDMap()
        try state.messages(account, mailbox, in: set, from: first) { uid, row in
            map.mark(uid, seen: row.flags.contains(.seen), deleted: row.flags.contains(.deleted))
            bits |= row.keywordBits
            return true
        }
        self = map
        keywordBits = bits
    }
}

/// Names a mailbox where those of all accounts are kept together.
struct MailboxKey: Hashable {
    let account: AccountID
    let mailbox: MailboxID
}

/// The indexes of mailboxes that were looked at lately.
package final class MailboxIndexes: Sendable {
    private struct Entry {
        var index: MailboxIndex
        var used: UInt64
    }

    private struct State {
        var entries: [MailboxKey: Entry] = [:]
        var octets = 0
        var clock: UInt64 = 0
    }

    private let octetsMax: Int
    private let state = Mutex(State())

    /// - Parameter octetsMax: the octets of the indexes it keeps; what was used longest ago goes first.
    package init(octetsMax: Int = 64 << 20) { self.octetsMax = octetsMax }

    func index(_ account: AccountID, _ mailbox: MailboxID) -> MailboxIndex? {
        state.withLock { state in
            state.clock += 1
            let key = MailboxKey(account: account, mailbox: mailbox)
            state.entries[key]?.used = state.clock
            return state.entries[key]?.index
        }
    }

    /// Whether opening that mailbox takes at most so many change rows.
    package func isNear(_ account: AccountID, _ mailbox: MailboxID, _ row: MailboxRow, rowsMax: Int) -> Bool {
        guard let index = index(account, mailbox), index.uidValidity == row.uidValidity else { return false }
        return row.highestModSeq.rawValue <= index.position.rawValue &+ UInt64(rowsMax)
    }

    /// Keeps an index unless it has a later one.
    func keep(_ index: MailboxIndex, _ account: AccountID, _ mailbox: MailboxID) {
        state.withLock { state in
            let key = MailboxKey(account: account, mailbox: mailbox)
            let old = state.entries[key]?.index
            if let old, old.position > index.position, old.uidValidity >= index.uidValidity { return }
            state.clock += 1
            state.octets += index.uids.octets - (old?.uids.octets ?? 0)
            state.entries[key] = Entry(index: index, used: state.clock)
            while state.octets > octetsMax, state.entries.count > 1,
                let oldest = state.entries.min(by: { $0.value.used < $1.value.used })
            {
                state.octets -= oldest.value.index.uids.octets
                state.entries[oldest.key] = nil
            }
        }
    }
}
