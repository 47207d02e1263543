// Every row of an in-memory state, in the order of the keys of the `state` tree (docs/formats/event-log.md), so that a
// rebuild can put them at the end of a new tree one after the other, and a comparison can walk two states side by side.
import MailCore
import MailTypes

/// Receives the rows of a state; the calls are listed in the order in which they come for one account.
package protocol RowVisitor {
    /// Type 00.
    mutating func head(_ account: AccountID, _ row: AccountHead) throws(StateFault)
    /// Type 01, by mailbox.
    mutating func mailbox(_ account: AccountID, _ mailbox: MailboxID, _ row: MailboxRow) throws(StateFault)
    /// Type 02, by mailbox and UID.
    mutating func message(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: MessageRow)
        throws(StateFault)
    /// Type 03, by mailbox and position.
    mutating func change(_ account: AccountID, _ mailbox: MailboxID, _ position: ModSeq, _ row: ChangeRow)
        throws(StateFault)
    /// Type 05, by mailbox and UID.
    mutating func expunged(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: ExpungedRow)
        throws(StateFault)
    /// Type 06, by parent and octets of the leaf.
    mutating func name(_ account: AccountID, parent: MailboxID, leaf: String, _ mailbox: MailboxID)
        throws(StateFault)
    /// Type 07, by identifier.
    mutating func keyword(_ account: AccountID, _ id: KeywordID, _ keyword: Keyword) throws(StateFault)
    /// Type 08, by the octets of the keyword without case.
    mutating func keywordID(_ account: AccountID, _ keyword: Keyword, _ id: KeywordID) throws(StateFault)
    /// Type 09, by the octets of the name.
    mutating func subscription(_ account: AccountID, _ name: String) throws(StateFault)
    /// Type 0A: credentials, then addresses, both by identifier, then settings by the octets of their keys.
    mutating func credential(_ account: AccountID, _ row: CredentialRow) throws(StateFault)
    mutating func address(_ account: AccountID, _ row: AddressRow) throws(StateFault)
    mutating func setting(_ account: AccountID, _ key: String, _ value: String) throws(StateFault)
    /// Type 0B, by mailbox and UID.
    mutating func spilledKeywords(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ ids: [KeywordID])
        throws(StateFault)
    /// Type 0C, by mailbox and UID.
    mutating func uidl(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ uidl: String) throws(StateFault)
    /// Type 0E, by mailbox.
    mutating func tombstone(_ account: AccountID, _ mailbox: MailboxID, _ row: MailboxTombstone) throws(StateFault)
    /// After the rows of account 0.
    mutating func nextAccount(_ account: AccountID) throws(StateFault)
    /// Type 10 of account 0, by the octets of the address.
    mutating func owner(ofAddress key: String, _ account: AccountID) throws(StateFault)
    /// After the other rows of account 1, by identifier.
    mutating func queueEntry(_ id: QueueID, _ entry: QueueEntry) throws(StateFault)
}

extension MemoryState {
    /// Every account that has rows, ascending: a dump can be shared out between threads by account once the state is
    /// frozen.
    package var accountIDs: [AccountID] { accountOrder.map { AccountID($0) } }

    /// All rows of the `state` tree, ascending by key.
    package func forEachRow(_ visitor: inout some RowVisitor) throws(StateFault) {
        // The shared rows stand between accounts even when account 0 or 1 has none of its own.
        for account in Set(accountIDs + [.system, .queue]).sorted() { try forEachRow(of: account, &visitor) }
    }

    /// The rows under one account; with those of the shard under account 0 and those of the queue under account 1.
    package func forEachRow(of account: AccountID, _ visitor: inout some RowVisitor) throws(StateFault) {
        if let rows = rows(account) {
            if let head = rows.head { try visitor.head(account, head) }
            try mailRows(rows, &visitor)
            try ownRows(rows, &visitor)
            try lateMailRows(rows, &visitor)
        }
        if account == .system {
            // The row comes with the first event; an empty log has folded into no row at all.
            if !accountIDs.isEmpty { try visitor.nextAccount(following) }
            for (key, owner) in directory.sorted(by: { $0.key < $1.key }) {
                try visitor.owner(ofAddress: key.text, owner)
            }
        }
        if account == .queue {
            for (id, entry) in queueEntries.sorted(by: { $0.key < $1.key }) { try visitor.queueEntry(id, entry) }
        }
    }

    private func mailRows(_ rows: AccountRows, _ visitor: inout some RowVisitor) throws(StateFault) {
        let mailboxes = rows.mailboxes.values.sorted { $0.id < $1.id }
        for box in mailboxes {
            if let row = box.row { try visitor.mailbox(rows.id, box.id, row) }
        }
        for box in mailboxes {
            for slot in box.slots where slot.isLive { try visitor.message(rows.id, box.id, UID(slot.uid), slot.row) }
        }
        for box in mailboxes {
            for change in box.changes { try visitor.change(rows.id, box.id, change.position, change.row) }
        }
        for box in mailboxes {
            for (uid, row) in box.expunged.sorted(by: { $0.key < $1.key }) {
                try visitor.expunged(rows.id, box.id, UID(uid), row)
            }
        }
    }

    private func ownRows(_ rows: AccountRows, _ visitor: inout some RowVisitor) throws(StateFault) {
        for (name, mailbox) in rows.names.sorted(by: { $0.key < $1.key }) {
            try visitor.name(rows.id, parent: MailboxID(name.parent), leaf: name.leaf.text, mailbox)
        }
        for (id, keyword) in rows.keywords.sorted(by: { $0.key < $1.key }) {
            try visitor.keyword(rows.id, KeywordID(id), keyword)
        }
        let keywords = rows.keywordIDs.map { (OctetText($0.key.folded), $0.key, $0.value) }
        for (_, keyword, id) in keywords.sorted(by: { $0.0 < $1.0 }) { try visitor.keywordID(rows.id, keyword, id) }
        for name in rows.subscriptions.sorted() { try visitor.subscription(rows.id, name.text) }
        for row in rows.credentials { try visitor.credential(rows.id, row) }
        for row in rows.addresses { try visitor.address(rows.id, row) }
        for (key, value) in rows.settings.sorted(by: { $0.key < $1.key }) {
            try visitor.setting(rows.id, key.text, value)
        }
    }

    private func lateMailRows(_ rows: AccountRows, _ visitor: inout some RowVisitor) throws(StateFault) {
        let mailboxes = rows.mailboxes.values.sorted { $0.id < $1.id }
        for box in mailboxes {
            for (uid, ids) in box.spilled.sorted(by: { $0.key < $1.key }) {
                try visitor.spilledKeywords(rows.id, box.id, UID(uid), ids)
            }
        }
        for box in mailboxes {
            for (uid, uidl) in box.uidls.sorted(by: { $0.key < $1.key }) {
                try visitor.uidl(rows.id, box.id, UID(uid), uidl)
            }
        }
        for box in mailboxes {
            if let tombstone = box.tombstone { try visitor.tombstone(rows.id, box.id, tombstone) }
        }
    }

    /// Bodies that are referred to, ascending, with their counts.
    package func forEachReference(_ body: (BlobNumber, UInt32) throws(StateFault) -> Void) throws(StateFault) {
        for number in referencePages.keys.sorted() {
            guard let page = referencePages[number] else { continue }
            for (index, count) in page.counts.enumerated() where count > 0 {
                try body(BlobNumber(number * UInt64(ReferencePage.bodies) + UInt64(index)), count)
            }
        }
    }

    /// Retryable commands still remembered on `day`, in the order of the `dedup` keys: day, account, command.
    package func forEachRemembered(
        on day: UInt32, _ body: (UInt32, AccountID, CommandID, ModSeq) throws(StateFault) -> Void
    ) throws(StateFault) {
        let inWindow = remembered.filter { $0.value.day + Self.rememberedDays >= day }
        let ordered = inWindow.sorted {
            ($0.value.day, $0.key.account.rawValue, $0.key.command.high, $0.key.command.low)
                < ($1.value.day, $1.key.account.rawValue, $1.key.command.high, $1.key.command.low)
        }
        for (key, value) in ordered { try body(value.day, key.account, key.command, value.position) }
    }
}
