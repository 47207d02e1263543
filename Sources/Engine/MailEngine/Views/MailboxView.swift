// A session's view of the mailbox it has selected, and how it moves forward at sync points.
//
// Invariants
// - Between two sync points the view does not change: a sequence number means the same message.
// - `position` never jumps: everything at or below it has been told or is pending.
// - Expunges that may not be told yet stay pending and keep their sequence numbers; HIGHESTMODSEQ is then reported as
//   of the last sync that told all (RFC 7162 section 3.2.6 and erratum: a client must not be past an expunge it has
//   not heard of).
// - What is new for a sync is read from the change rows of one snapshot; nothing is queued in between.
import EventStore
import MailCore
import MailTypes

/// What a session has to tell its client at a sync point, in this order.
package struct SyncReport: Sendable {
    /// With the sequence numbers to send, one after the other, as RFC 9051 section 7.5.1 counts them.
    package var gone: [(sequenceNumber: UInt32, uid: UID)] = []
    /// The new EXISTS, when it rose.
    package var exists: UInt32?
    package var arrived = UIDSet()
    /// Flags are to be read in the same snapshot.
    package var changed = UIDSet()
    package var highestModSeq = ModSeq.zero
    package var end: End?

    package enum End: Sendable {
        case mailboxDeleted
        case uidValidityChanged(UIDValidity)
        /// Disabled or removed by the administrator.
        case accountClosed
    }
}

package struct MailboxView: Sendable {
    package let account: AccountID
    package let mailbox: MailboxID
    package let uidValidity: UIDValidity
    package private(set) var uids: UIDMap
    /// The account's position up to which changes have been seen.
    package private(set) var position: ModSeq
    /// HIGHESTMODSEQ of the last sync that held nothing back.
    package private(set) var lastFullModSeq: ModSeq
    /// Gone from the mailbox, still in the view.
    package private(set) var pendingGone = UIDSet()
    /// Keywords that some message has or had, as in `MessageRow.keywordBits`.
    package private(set) var keywordBits: UInt64

    /// Opens the mailbox as it stands in this snapshot: O(messages), or O(changes) when `indexes` knows the mailbox.
    package init?(
        _ state: any StateReader, _ account: AccountID, _ mailbox: MailboxID, sharing indexes: MailboxIndexes? = nil
    ) throws(StateFault) {
        guard let head = try state.head(account), let row = try state.mailbox(account, mailbox) else { return nil }
        var index: MailboxIndex
        if var known = indexes?.index(account, mailbox), try known.advance(state, account, mailbox, head, row) {
            index = known
        } else {
            index = try MailboxIndex(state, account, mailbox, head, row)
        }
        index.position = head.aseq
        indexes?.keep(index, account, mailbox)
        self.account = account
        self.mailbox = mailbox
        uidValidity = row.uidValidity
        position = head.aseq
        lastFullModSeq = row.highestModSeq
        uids = index.uids
        keywordBits = index.keywordBits
    }

    /// Whether a sync with this state would find nothing.
    package func isCurrent(_ state: any StateReader) throws(StateFault) -> Bool {
        guard let head = try state.head(account), let row = try state.mailbox(account, mailbox) else { return false }
        return head.status == .active && row.uidValidity == uidValidity && row.highestModSeq <= position
    }

    /// Moves the view to the snapshot's state.
    ///
    /// - Parameters:
    ///   - tellsGone: whether EXPUNGE may be sent now (RFC 9051 section 7.5.1: not while FETCH, STORE or SEARCH run).
    ///   - silenced: positions of the session's own changes, whose flags its reply has told.
    ///   - indexes: what other sessions know, so that views at the same position are one.
    package mutating func sync(
        _ state: any StateReader, tellsGone: Bool, silenced: Set<ModSeq> = [], sharing indexes: MailboxIndexes? = nil
    ) throws(StateFault) -> SyncReport {
        try sync(state, tellsGone: tellsGone, silenced: silenced, sharing: indexes, messagesMax: .max) ?? SyncReport()
    }

    /// The same if at most so many rows of changes are to be read and so many messages have changed; otherwise nil, and the
    /// view stays as it is.
    package mutating func sync(
        _ state: any StateReader, tellsGone: Bool, silenced: Set<ModSeq>, sharing indexes: MailboxIndexes?,
        messagesMax: Int
    ) throws(StateFault) -> SyncReport? {
        var report = SyncReport()
        guard let head = try state.head(account), head.status == .active else {
            report.end = .accountClosed
            return report
        }
        guard let row = try state.mailbox(account, mailbox) else {
            report.end = .mailboxDeleted
            return report
        }
        guard row.uidValidity == uidValidity else {
            report.end = .uidValidityChanged(row.uidValidity)
            return report
        }
        guard row.highestModSeq.rawValue <= position.rawValue + UInt64(messagesMax) else { return nil }
        if row.highestModSeq > position || !pendingGone.isEmpty {
            let rowsMax = changeRowsMax(of: row)
            let changes: MailboxChanges
            if position >= head.historyFloor,
                let found = try state.changes(
                    account, mailbox, since: position, now: head.aseq, silenced: silenced, rowsMax: rowsMax)
            {
                changes = found
            } else {
                changes = try compare(state, now: head.aseq)
            }
            guard changes.count <= messagesMax else { return nil }
            tell(changes, tellsGone: tellsGone, &report)
            let shared = pendingGone.isEmpty ? indexes?.index(account, mailbox) : nil
            if let shared, shared.isCurrent(head, row) {
                uids = shared.uids
                keywordBits |= shared.keywordBits
                position = head.aseq
            } else {
                uids.insert(changes.arrived)
                let marked = changes.changed.union(changes.silenced).union(changes.arrived)
                try uids.mark(marked, &keywordBits, state, account, mailbox)
                position = head.aseq
                if pendingGone.isEmpty { indexes?.keep(MailboxIndex(self), account, mailbox) }
            }
        }
        position = head.aseq
        if pendingGone.isEmpty { lastFullModSeq = row.highestModSeq }
        report.highestModSeq = lastFullModSeq
        return report
    }

    /// This view moved to where another one of its mailbox, which began at the same position, has come; nil while something
    /// is pending.
    func followed(to other: MailboxView) -> MailboxView? {
        guard pendingGone.isEmpty else { return nil }
        var next = other
        next.keywordBits |= keywordBits
        return next
    }

    /// Writes down what the client has to hear. What is told to be gone leaves the view; what arrived is not in it yet.
    private mutating func tell(_ changes: MailboxChanges, tellsGone: Bool, _ report: inout SyncReport) {
        pendingGone.formUnion(uids.intersection(changes.gone))
        if tellsGone, !pendingGone.isEmpty {
            var told: UInt32 = 0
            for uid in pendingGone {
                guard let number = uids.sequenceNumber(of: uid) else { continue }
                report.gone.append((number - told, uid))
                told += 1
            }
            uids.remove(pendingGone)
            pendingGone = UIDSet()
        }
        if !changes.arrived.isEmpty {
            report.exists = UInt32(uids.count + changes.arrived.count)
            report.arrived = changes.arrived
        }
        report.changed = changes.changed.subtracting(pendingGone)
    }

    /// When the rows are many or the history is gone: hold the view against the messages. O(messages).
    private func compare(_ state: any StateReader, now: ModSeq) throws(StateFault) -> MailboxChanges {
        var changes = MailboxChanges(position: now)
        var live = UIDSet()
        try state.messages(account, mailbox, from: UID(1)) { uid, row in
            live.insertAtEnd(uid)
            if !uids.contains(uid) {
                changes.arrived.insertAtEnd(uid)
            } else if row.modSeq > position {
                changes.changed.insertAtEnd(uid)
            }
            return true
        }
        changes.gone = uids.uids.subtracting(live).subtracting(pendingGone)
        return changes
    }
}
