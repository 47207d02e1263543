// Reading of the in-memory state. Callbacks run on copies, so they may not disturb the rows they walk over.
import MailCore
import MailTypes

extension MemoryState {
    package func head(_ account: AccountID) -> AccountHead? { rows(account)?.head }

    package func accounts(_ body: (AccountID, AccountHead) -> Bool) {
        for raw in accountOrder {
            guard let head = accounts[raw]?.head else { continue }
            if !body(AccountID(raw), head) { return }
        }
    }

    package func nextAccount() -> AccountID { following }

    package func owner(ofAddress key: String) -> AccountID? { directory[OctetText(key)] }

    package func addresses(_ account: AccountID) -> [AddressRow] { rows(account)?.addresses ?? [] }

    package func credentials(_ account: AccountID) -> [CredentialRow] { rows(account)?.credentials ?? [] }

    package func setting(_ account: AccountID, _ key: String) -> String? { rows(account)?.settings[OctetText(key)] }

    /// In the order of their octets.
    package func subscriptions(_ account: AccountID) -> [String] {
        rows(account)?.subscriptions.sorted().map(\.text) ?? []
    }

    package func mailbox(_ account: AccountID, _ mailbox: MailboxID) -> MailboxRow? { rows(account, mailbox)?.row }

    package func mailboxID(_ account: AccountID, parent: MailboxID, leaf: String) -> MailboxID? {
        rows(account)?.names[ChildName(parent: parent.rawValue, leaf: OctetText(leaf))]
    }

    package func mailboxes(_ account: AccountID, _ body: (MailboxID, MailboxRow) -> Bool) {
        guard let rows = rows(account) else { return }
        for raw in rows.liveMailboxes {
            guard let row = rows.mailboxes[raw]?.row else { continue }
            if !body(MailboxID(raw), row) { return }
        }
    }

    package func tombstone(_ account: AccountID, _ mailbox: MailboxID) -> MailboxTombstone? {
        rows(account, mailbox)?.tombstone
    }

    package func message(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) -> MessageRow? {
        rows(account, mailbox)?.message(uid)
    }

    package func messages(
        _ account: AccountID, _ mailbox: MailboxID, from first: UID, _ body: (UID, MessageRow) -> Bool
    ) {
        guard let rows = rows(account, mailbox) else { return }
        let slots = rows.slots
        for index in rows.lowerBound(first.rawValue)..<slots.count where slots[index].isLive {
            if !body(UID(slots[index].uid), slots[index].row) { return }
        }
    }

    package func expunged(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) -> ExpungedRow? {
        rows(account, mailbox)?.expunged[uid.rawValue]
    }

    package func changes(
        _ account: AccountID, _ mailbox: MailboxID, after position: ModSeq, _ body: (ModSeq, ChangeRow) -> Bool
    ) {
        guard let rows = rows(account, mailbox) else { return }
        let changes = rows.changes
        for index in rows.firstChange(after: position)..<changes.count {
            if !body(changes[index].position, changes[index].row) { return }
        }
    }

    package func keyword(_ account: AccountID, _ id: KeywordID) -> Keyword? { rows(account)?.keywords[id.rawValue] }

    package func keywordID(_ account: AccountID, _ keyword: Keyword) -> KeywordID? {
        rows(account)?.keywordIDs[keyword]
    }

    package func spilledKeywords(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) -> [KeywordID] {
        rows(account, mailbox)?.spilled[uid.rawValue] ?? []
    }

    package func uidls(_ account: AccountID, _ mailbox: MailboxID, _ body: (UID, String) -> Bool) {
        guard let uidls = rows(account, mailbox)?.uidls else { return }
        for (uid, uidl) in uidls.sorted(by: { $0.key < $1.key }) where !body(UID(uid), uidl) { return }
    }

    package func queueEntry(_ id: QueueID) -> QueueEntry? { queueEntries[id] }

    /// Entries due at the same moment come by identifier.
    package func queue(_ body: (QueueID, QueueEntry) -> Bool) {
        let byAttempt = queueEntries.sorted {
            $0.value.nextAttempt == $1.value.nextAttempt
                ? $0.key < $1.key : $0.value.nextAttempt < $1.value.nextAttempt
        }
        for (id, entry) in byAttempt where !body(id, entry) { return }
    }

    package func collectable(through day: UInt32, _ body: (UInt32, AccountID, MailboxID, UID) -> Bool) {
        var days: Set<UInt32> = []
        for rows in accounts.values { days.formUnion(rows.due.keys.lazy.filter { $0 <= day }) }
        for due in days.sorted() {
            for raw in accountOrder {
                guard let packed = accounts[raw]?.due[due] else { continue }
                for item in packed.sorted() {
                    let mailbox = MailboxID(UInt32(item >> 32))
                    let uid = UID(UInt32(truncatingIfNeeded: item))
                    if !body(due, AccountID(raw), mailbox, uid) { return }
                }
            }
        }
    }
}
