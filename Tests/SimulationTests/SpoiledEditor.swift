// A state editor that does one thing wrong: the simulator must notice each of them.
import EventStore
import MailCore
import MailTypes

enum Spoiling: CaseIterable, Sendable {
    case dropsChangeRow, forgetsModseq, countsTwice, forgetsUnseen, leaksReference, losesReference, keepsExpunged
    case forgetsSpill, leavesName, forgetsSchedule, keepsSchedule, reusesUID, forgetsHead, overstatesUse, lowersHighest
    case losesSubscription, changesEmail, forgetsLastExpunge, forgetsUIDL, keepsUIDL
}

/// Spoils one of `period` calls, so that what was right before and after hides it.
final class SpoiledEditor: StateEditor, MemoryBacked {
    let state: MemoryState
    private let spoiling: Spoiling
    private let period: Int
    private var calls = 0

    init(_ state: MemoryState, _ spoiling: Spoiling, period: Int = 3) {
        self.state = state
        self.spoiling = spoiling
        self.period = period
    }

    private func spoils(_ kind: Spoiling) -> Bool {
        guard kind == spoiling else { return false }
        calls += 1
        return calls % period == 0
    }

    func setMailbox(_ account: AccountID, _ mailbox: MailboxID, _ row: MailboxRow?) {
        guard var row else { return state.setMailbox(account, mailbox, nil) }
        if row.exists > 0, spoils(.countsTwice) { row.exists += 1 }
        if row.unseen > 0, spoils(.forgetsUnseen) { row.unseen -= 1 }
        if row.uidNext > 2, spoils(.reusesUID) { row.uidNext -= 1 }
        if row.highestModSeq.rawValue > 5, spoils(.lowersHighest) { row.highestModSeq = ModSeq(4) }
        if row.lastExpunge > .zero, spoils(.forgetsLastExpunge) { row.lastExpunge = .zero }
        state.setMailbox(account, mailbox, row)
    }

    func setMessage(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: MessageRow, isNew: Bool)
        throws(StateFault)
    {
        var row = row
        if let old = state.message(account, mailbox, uid), spoils(.forgetsModseq) { row.modSeq = old.modSeq }
        if isNew, spoils(.changesEmail) { row.email = EmailID(row.email.rawValue + 1000) }
        try state.setMessage(account, mailbox, uid, row, isNew: isNew)
    }

    func setExpunged(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: ExpungedRow?) {
        if row == nil, spoils(.keepsExpunged) { return }
        state.setExpunged(account, mailbox, uid, row)
    }

    func addChange(_ account: AccountID, _ mailbox: MailboxID, _ position: ModSeq, _ row: ChangeRow)
        throws(StateFault)
    {
        if spoils(.dropsChangeRow) { return }
        try state.addChange(account, mailbox, position, row)
    }

    func setSpilledKeywords(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ ids: [KeywordID]) {
        if !ids.isEmpty, spoils(.forgetsSpill) { return }
        state.setSpilledKeywords(account, mailbox, uid, ids)
    }

    func setUIDL(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ uidl: String?) {
        var isThere = false
        state.uidls(account, mailbox) { found, _ in
            isThere = isThere || found == uid
            return !isThere
        }
        if uidl == nil ? isThere && spoils(.keepsUIDL) : spoils(.forgetsUIDL) { return }
        state.setUIDL(account, mailbox, uid, uidl)
    }

    func adjustReferences(_ blob: BlobNumber, by delta: Int) throws(StateFault) {
        if delta < 0, spoils(.leaksReference) { return }
        if delta > 0, spoils(.losesReference) { return }
        try state.adjustReferences(blob, by: delta)
    }

    func scheduleCollection(day: UInt32, _ account: AccountID, _ mailbox: MailboxID, _ uid: UID) {
        if spoils(.forgetsSchedule) { return }
        state.scheduleCollection(day: day, account, mailbox, uid)
    }

    func cancelCollection(day: UInt32, _ account: AccountID, _ mailbox: MailboxID, _ uid: UID) {
        if spoils(.keepsSchedule) { return }
        state.cancelCollection(day: day, account, mailbox, uid)
    }

    func setMailboxID(_ account: AccountID, parent: MailboxID, leaf: String, _ mailbox: MailboxID?) {
        if mailbox == nil, spoils(.leavesName) { return }
        state.setMailboxID(account, parent: parent, leaf: leaf, mailbox)
    }

    func setHead(_ account: AccountID, _ head: AccountHead) {
        if head.aseq.rawValue > 4, spoils(.forgetsHead) { return }
        var head = head
        if spoils(.overstatesUse) { head.used.bytes += 1 }
        state.setHead(account, head)
    }

    func setSubscription(_ account: AccountID, _ name: String, _ on: Bool) {
        if spoils(.losesSubscription) { return }
        state.setSubscription(account, name, on)
    }

    // What is never spoiled.

    func setNextAccount(_ account: AccountID) { state.setNextAccount(account) }
    func setOwner(ofAddress key: String, _ account: AccountID?) { state.setOwner(ofAddress: key, account) }
    func setAddress(_ account: AccountID, _ row: AddressRow) { state.setAddress(account, row) }
    func removeAddress(_ account: AccountID, id: UInt32) { state.removeAddress(account, id: id) }
    func setCredential(_ account: AccountID, _ row: CredentialRow) { state.setCredential(account, row) }
    func removeCredential(_ account: AccountID, id: UInt32) { state.removeCredential(account, id: id) }
    func setSetting(_ account: AccountID, _ key: String, _ value: String?) { state.setSetting(account, key, value) }
    func setTombstone(_ account: AccountID, _ mailbox: MailboxID, _ row: MailboxTombstone?) {
        state.setTombstone(account, mailbox, row)
    }
    func removeMessage(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) throws(StateFault) {
        try state.removeMessage(account, mailbox, uid)
    }
    func setKeyword(_ account: AccountID, _ id: KeywordID, _ keyword: Keyword) {
        state.setKeyword(account, id, keyword)
    }
    func setQueueEntry(_ id: QueueID, _ entry: QueueEntry?) { state.setQueueEntry(id, entry) }
}

/// A disk of which one commit was never there, although it was acknowledged.
final class LyingDisk: SimulatedDisk {
    private var memory = MemoryStore()
    var store: any ShardStore { memory }

    func failNextCommit(_ fault: CommitFault) -> Bool { false }

    func reopen() { memory = memory.reopened() }

    func references(_ blob: BlobNumber) -> UInt32? { nil }

    func lieOnce() { memory.failNextCommit(.forgotten) }
}
