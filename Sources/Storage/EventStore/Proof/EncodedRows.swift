// Rows of a replayed state in the bytes of the `state` tree, in key order.
import EventFormat
import MailCore
import MailTypes

/// Gives every row of a replay its key and value and hands them on.
struct EncodedRows: RowVisitor {
    let replay: StateReplay
    let emit: (_ key: [UInt8], _ value: [UInt8]) throws(StateFault) -> Void

    func head(_ account: AccountID, _ row: AccountHead) throws(StateFault) {
        guard let stored = replay.storedHead(account) else {
            throw .inconsistent("account \(account.rawValue) has a head and no record")
        }
        try emit(StateKey.head(account), StateValue.encode(stored))
    }

    func mailbox(_ account: AccountID, _ mailbox: MailboxID, _ row: MailboxRow) throws(StateFault) {
        try emit(StateKey.mailbox(account, mailbox), StateValue.encode(row))
    }

    func message(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: MessageRow) throws(StateFault) {
        try emit(StateKey.message(account, mailbox, uid), StateValue.encode(row))
    }

    func change(
        _ account: AccountID, _ mailbox: MailboxID, _ position: ModSeq, _ row: ChangeRow
    ) throws(StateFault) {
        for (part, value) in StateValue.encodeChange(row).enumerated() {
            try emit(StateKey.change(account, mailbox, position, part: UInt8(part)), value)
        }
    }

    func expunged(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: ExpungedRow) throws(StateFault) {
        try emit(StateKey.expunged(account, mailbox, uid), StateValue.encode(row))
    }

    func name(_ account: AccountID, parent: MailboxID, leaf: String, _ mailbox: MailboxID) throws(StateFault) {
        try emit(StateKey.name(account, parent: parent, leaf: leaf), StateValue.encodeMailboxID(mailbox))
    }

    func keyword(_ account: AccountID, _ id: KeywordID, _ keyword: Keyword) throws(StateFault) {
        try emit(StateKey.keyword(account, id), StateValue.encodeKeyword(keyword))
    }

    func keywordID(_ account: AccountID, _ keyword: Keyword, _ id: KeywordID) throws(StateFault) {
        try emit(StateKey.keywordName(account, keyword), StateValue.encodeKeywordID(id))
    }

    func subscription(_ account: AccountID, _ name: String) throws(StateFault) {
        try emit(StateKey.subscription(account, name), StateValue.encodeSubscription(name))
    }

    func credential(_ account: AccountID, _ row: CredentialRow) throws(StateFault) {
        try emit(StateKey.credential(account, id: row.id), StateValue.encode(row))
    }

    func address(_ account: AccountID, _ row: AddressRow) throws(StateFault) {
        try emit(StateKey.address(account, id: row.id), StateValue.encode(row))
    }

    func setting(_ account: AccountID, _ key: String, _ value: String) throws(StateFault) {
        try emit(StateKey.setting(account, key), StateValue.encodeSetting(value))
    }

    func spilledKeywords(
        _ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ ids: [KeywordID]
    ) throws(StateFault) {
        try emit(StateKey.spill(account, mailbox, uid), StateValue.encodeSpill(ids))
    }

    func uidl(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ uidl: String) throws(StateFault) {
        try emit(StateKey.uidl(account, mailbox, uid), StateValue.encodeUIDL(uidl))
    }

    func tombstone(_ account: AccountID, _ mailbox: MailboxID, _ row: MailboxTombstone) throws(StateFault) {
        try emit(StateKey.tombstone(account, mailbox), StateValue.encode(row))
    }

    func nextAccount(_ account: AccountID) throws(StateFault) {
        try emit(StateKey.nextAccount, StateValue.encodeNextAccount(account))
    }

    func owner(ofAddress key: String, _ account: AccountID) throws(StateFault) {
        try emit(StateKey.owner(key), StateValue.encodeOwner(account))
    }

    func queueEntry(_ id: QueueID, _ entry: QueueEntry) throws(StateFault) {
        try emit(StateKey.queueEntry(id), StateValue.encode(entry))
        try emit(StateKey.queueDue(entry.nextAttempt, id), [])
    }
}
