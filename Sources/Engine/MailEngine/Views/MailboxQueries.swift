// What a gateway asks about the mailboxes of an account, beside the view of the one it has selected.
import EventStore
import MailCore
import MailTypes

/// One mailbox as LIST and STATUS see it.
package struct MailboxListing: Sendable {
    package let id: MailboxID
    package let name: MailboxName
    package let row: MailboxRow
    package let hasChildren: Bool
}

extension StateReader {
    /// All mailboxes by name, INBOX first.
    package func mailboxList(_ account: AccountID) throws(StateFault) -> [MailboxListing] {
        var rows: [(MailboxID, MailboxRow)] = []
        try mailboxes(account) { id, row in
            rows.append((id, row))
            return true
        }
        let byID = Dictionary(rows.map { ($0.0, $0.1) }, uniquingKeysWith: { first, _ in first })
        let parents = Set(rows.map(\.1.parent))
        var list: [MailboxListing] = []
        for (id, row) in rows {
            var components = [row.leaf]
            var parent = row.parent
            while parent != .root, components.count < MailboxName.depthMax, let above = byID[parent] {
                components.append(above.leaf)
                parent = above.parent
            }
            guard parent == .root, let name = MailboxName(components: components.reversed()) else {
                throw .inconsistent("mailbox \(id.rawValue) of account \(account.rawValue) has no name")
            }
            list.append(MailboxListing(id: id, name: name, row: row, hasChildren: parents.contains(id)))
        }
        return list.sorted { a, b in
            if a.name.isInbox != b.name.isInbox { return a.name.isInbox }
            return a.name.components.lexicographicallyPrecedes(b.name.components)
        }
    }

    /// The keywords of an account in the order of their numbers, from the one after those that are known.
    package func keywords(_ account: AccountID, from first: Int, head: AccountHead) throws(StateFault) -> [Keyword] {
        var keywords: [Keyword] = []
        for id in first..<max(first, Int(head.nextKeyword)) {
            guard let keyword = try keyword(account, KeywordID(UInt16(id))) else {
                throw .inconsistent("keyword \(id) of account \(account.rawValue) is not there")
            }
            keywords.append(keyword)
        }
        return keywords
    }

    /// Those of some UIDs that have the flags or keyword bits, counted. O(messages of the set).
    package func count(
        _ account: AccountID, _ mailbox: MailboxID, from first: UID, where isCounted: (MessageRow) -> Bool
    ) throws(StateFault) -> Int {
        var count = 0
        try messages(account, mailbox, from: first) { _, row in
            if isCounted(row) { count += 1 }
            return true
        }
        return count
    }

    /// A message that the view still has though the mailbox has it no more (RFC 9051 section 7.5.1): until it is
    /// collected it can be read.
    package func lingering(
        _ account: AccountID, _ mailbox: MailboxID, _ uid: UID
    ) throws(StateFault) -> MessageRow? {
        if let row = try message(account, mailbox, uid) { return row }
        return try expunged(account, mailbox, uid)?.row
    }
}
