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

    /// Opens the mailbox as it stands in this snapshot. O(messages).
    package init?(_ state: any StateReader, _ account: AccountID, _ mailbox: MailboxID) throws(StateFault) {
        guard let head = try state.head(account), let row = try state.mailbox(account, mailbox) else { return nil }
        self.account = account
        self.mailbox = mailbox
        uidValidity = row.uidValidity
        position = head.aseq
        lastFullModSeq = row.highestModSeq
        var live: [UID] = []
        live.reserveCapacity(Int(row.exists))
        try state.messages(account, mailbox, from: UID(1)) { uid, _ in
            live.append(uid)
            return true
        }
        uids = UIDMap(live)
    }

    /// Moves the view to the snapshot's state.
    ///
    /// - Parameters:
    ///   - tellsGone: whether EXPUNGE may be sent now (RFC 9051 section 7.5.1: not while FETCH, STORE or SEARCH run).
    ///   - silenced: positions of the session's own changes, whose flags its reply has told.
    package mutating func sync(
        _ state: any StateReader, tellsGone: Bool, silenced: Set<ModSeq> = []
    ) throws(StateFault) -> SyncReport {
        var report = SyncReport()
        guard let head = try state.head(account), let row = try state.mailbox(account, mailbox) else {
            report.end = .mailboxDeleted
            return report
        }
        guard row.uidValidity == uidValidity else {
            report.end = .uidValidityChanged(row.uidValidity)
            return report
        }
        if row.highestModSeq > position || !pendingGone.isEmpty {
            let rowsMax = max(1024, Int(row.exists))
            let changes: MailboxChanges
            if position >= head.historyFloor,
                let found = try state.changes(
                    account, mailbox, since: position, now: head.aseq, silenced: silenced, rowsMax: rowsMax)
            {
                changes = found
            } else {
                changes = try compare(state, now: head.aseq)
            }
            apply(changes, tellsGone: tellsGone, &report)
        }
        position = head.aseq
        if pendingGone.isEmpty { lastFullModSeq = row.highestModSeq }
        report.highestModSeq = lastFullModSeq
        return report
    }

    private mutating func apply(_ changes: MailboxChanges, tellsGone: Bool, _ report: inout SyncReport) {
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
            uids.insert(changes.arrived)
            report.exists = UInt32(uids.count)
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
