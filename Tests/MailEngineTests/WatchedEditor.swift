// A state editor that does what it is told, and lets a test act in the middle of a batch.
import EventStore
import MailCore
import MailTypes

final class WatchedEditor: StateEditor, MemoryBacked {
    let state: MemoryState
    private let onQueueEntry: @Sendable (QueueEntry?) -> Void

    /// - Parameter onQueueEntry: called on the writer's thread after each change of a queue entry.
    init(_ state: MemoryState, onQueueEntry: @escaping @Sendable (QueueEntry?) -> Void) {
        self.state = state
        self.onQueueEntry = onQueueEntry
    }

    func setQueueEntry(_ id: QueueID, _ entry: QueueEntry?) {
        state.setQueueEntry(id, entry)
        onQueueEntry(entry)
    }

    func setHead(_ account: AccountID, _ head: AccountHead) { state.setHead(account, head) }
    func setNextAccount(_ account: AccountID) { state.setNextAccount(account) }
    func setOwner(ofAddress key: String, _ account: AccountID?) { state.setOwner(ofAddress: key, account) }
    func setAddress(_ account: AccountID, _ row: AddressRow) { state.setAddress(account, row) }
    func removeAddress(_ account: AccountID, id: UInt32) { state.removeAddress(account, id: id) }
    func setCredential(_ account: AccountID, _ row: CredentialRow) { state.setCredential(account, row) }
    func removeCredential(_ account: AccountID, id: UInt32) { state.removeCredential(account, id: id) }
    func setSetting(_ account: AccountID, _ key: String, _ value: String?) { state.setSetting(account, key, value) }
    func setSubscription(_ account: AccountID, _ name: String, _ on: Bool) {
        state.setSubscription(account, name, on)
    }
    func setMailbox(_ account: AccountID, _ mailbox: MailboxID, _ row: MailboxRow?) {
        state.setMailbox(account, mailbox, row)
    }
    func setMailboxID(_ account: AccountID, parent: MailboxID, leaf: String, _ mailbox: MailboxID?) {
        state.setMailboxID(account, parent: parent, leaf: leaf, mailbox)
    }
    func setTombstone(_ account: AccountID, _ mailbox: MailboxID, _ row: MailboxTombstone?) {
        state.setTombstone(account, mailbox, row)
    }
    func setMessage(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: MessageRow, isNew: Bool)
        throws(StateFault)
    {
        try state.setMessage(account, mailbox, uid, row, isNew: isNew)
    }
    func removeMessage(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) throws(StateFault) {
        try state.removeMessage(account, mailbox, uid)
    }
    func setExpunged(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: ExpungedRow?) {
        state.setExpunged(account, mailbox, uid, row)
    }
    func addChange(_ account: AccountID, _ mailbox: MailboxID, _ position: ModSeq, _ row: ChangeRow)
        throws(StateFault)
    {
        try state.addChange(account, mailbox, position, row)
    }
    func setKeyword(_ account: AccountID, _ id: KeywordID, _ keyword: Keyword) {
        state.setKeyword(account, id, keyword)
    }
    func setSpilledKeywords(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ ids: [KeywordID]) {
        state.setSpilledKeywords(account, mailbox, uid, ids)
    }
    func setUIDL(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ uidl: String?) {
        state.setUIDL(account, mailbox, uid, uidl)
    }
    func adjustReferences(_ blob: BlobNumber, by delta: Int) throws(StateFault) {
        try state.adjustReferences(blob, by: delta)
    }
    func scheduleCollection(day: UInt32, _ account: AccountID, _ mailbox: MailboxID, _ uid: UID) {
        state.scheduleCollection(day: day, account, mailbox, uid)
    }
    func cancelCollection(day: UInt32, _ account: AccountID, _ mailbox: MailboxID, _ uid: UID) {
        state.cancelCollection(day: day, account, mailbox, uid)
    }
}
