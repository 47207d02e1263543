// What happened to a mailbox since a position: the answer to every resync, in time proportional to the changes.
import EventStore
import MailCore
import MailTypes

/// The net effect of the events behind a position, as a client that stood there must learn it.
package struct MailboxChanges: Equatable, Sendable {
    /// There now, not there then.
    package var arrived = UIDSet()
    /// There then and now, with other flags.
    package var changed = UIDSet()
    /// There then, not now. When the history was not asked row by row it may also name UIDs that came and went.
    package var gone = UIDSet()
    /// Neither there then nor now: came and went meanwhile. A client may know them all the same, for it sees more than the
    /// last HIGHESTMODSEQ that it was told; so a resync names them with those that are gone (RFC 7162 section 3.2.5).
    package var passed = UIDSet()
    /// There then and now, changed by silenced events alone.
    package var silenced = UIDSet()
    /// The account's position these changes lead to.
    package var position: ModSeq
    /// Messages that a view has to look at to follow.
    package var count: Int { arrived.count + changed.count + gone.count + silenced.count }
    package var isEmpty: Bool { arrived.isEmpty && changed.isEmpty && gone.isEmpty }

    package init(position: ModSeq) { self.position = position }

    mutating func apply(_ row: ChangeRow, isSilenced: Bool = false) {
        let others = row.changed.subtracting(arrived)
        if isSilenced { silenced.formUnion(others) } else { changed.formUnion(others) }
        arrived.formUnion(row.arrived)
        guard !row.gone.isEmpty else { return }
        gone.formUnion(row.gone.subtracting(arrived))
        passed.formUnion(row.gone.intersection(arrived))
        arrived.subtract(row.gone)
        changed.subtract(row.gone)
        silenced.subtract(row.gone)
    }
}

extension StateReader {
    /// Net changes of a live mailbox behind `position`.
    ///
    /// Reads one row per event; flags changed by a `silenced` event are set apart (a session's own change, which its reply
    /// has told).
    /// - Returns: nil when there are more rows than `rowsMax`, or `position` is below the history that is kept; the
    ///   caller then compares with the rows of the mailbox.
    package func changes(
        _ account: AccountID, _ mailbox: MailboxID, since position: ModSeq, now: ModSeq, silenced: Set<ModSeq> = [],
        rowsMax: Int = .max
    ) throws(StateFault) -> MailboxChanges? {
        var result = MailboxChanges(position: now)
        var rows = 0
        var overflow = false
        try changes(account, mailbox, after: position) { at, row in
            rows += 1
            overflow = rows > rowsMax
            if !overflow { result.apply(row, isSilenced: silenced.contains(at)) }
            return !overflow
        }
        result.silenced.subtract(result.changed)
        return overflow ? nil : result
    }
}
