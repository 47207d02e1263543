// Folding events into rows over one transaction: what a batch does, and what an open does with the end of the log.
//
// Invariants
// - Every row it sets goes into the unfolded rows of its view, and none into LMDB.
// - Account heads and mailbox rows are kept as values and turned into rows once, by `settle`: a batch of deliveries into
//   one mailbox encodes its row once.
import Digests
import EventFormat
import LMDB
import MailCore
import MailTypes
import Octets

class LocalEditor: LocalView, StateEditor {
    private var heads: [AccountID: StoredHead] = [:]
    private var dirtyHeads: Set<AccountID> = []
    private var boxes: [MailboxKey: MailboxRow?] = [:]
    private var dirtyBoxes: Set<MailboxKey> = []

    private struct MailboxKey: Hashable {
        var account: AccountID
        var mailbox: MailboxID
    }

    final func set(_ table: DerivedTable, _ key: [UInt8], _ value: [UInt8]?) {
        derived.unfolded.set(table, key, value)
    }

    /// Folds the event that record `lsn` holds; `before` is the account's head as it was.
    final func fold(
        _ event: Event, at context: EventContext, lsn: UInt64, hash: SHA256Digest, after before: StoredHead
    ) throws(StateFault) {
        try evolve(event, at: context, in: self)
        guard var after = heads[context.account] else {
            throw .inconsistent("event \(lsn) left account \(context.account.rawValue) without a head")
        }
        after.lastLSN = lsn
        after.chain = RecordCodec.chain(before.chain, adding: hash)
        heads[context.account] = after
        derived.unfolded.events += 1
    }

    /// Remembers a retryable command by the last of its events.
    final func remember(_ command: CommandID, _ context: EventContext, lsn: UInt64) {
        let key = DedupKey.encode(day: dayNumber(context.time), account: context.account, command: command)
        set(.dedup, key, DedupRow(lsn: lsn, aseq: context.aseq).encode())
    }

    // MARK: Kept rows

    private func keepHeads() {
        for account in dirtyHeads {
            if let head = heads[account] { set(.state, StateKey.head(account), StateValue.encode(head)) }
        }
    }

    private func keepBox(_ key: MailboxKey) {
        let row = boxes[key] ?? nil
        set(.state, StateKey.mailbox(key.account, key.mailbox), row.map { StateValue.encode($0) })
    }

    /// Turns the values kept so far into rows.
    func settle() {
        keepHeads()
        dirtyHeads = []
        for key in dirtyBoxes { keepBox(key) }
        dirtyBoxes = []
    }

    override func storedHead(_ account: AccountID) throws(StateFault) -> StoredHead? {
        if let kept = heads[account] { return kept }
        let stored = try super.storedHead(account)
        if let stored { heads[account] = stored }
        return stored
    }

    override func accounts(_ body: (AccountID, AccountHead) -> Bool) throws(StateFault) {
        keepHeads()
        try super.accounts(body)
    }

    override func mailbox(_ account: AccountID, _ mailbox: MailboxID) throws(StateFault) -> MailboxRow? {
        let key = MailboxKey(account: account, mailbox: mailbox)
        if let kept = boxes[key] { return kept }
        let row = try super.mailbox(account, mailbox)
        boxes[key] = .some(row)
        return row
    }

    override func mailboxes(_ account: AccountID, _ body: (MailboxID, MailboxRow) -> Bool) throws(StateFault) {
        for key in dirtyBoxes where key.account == account { keepBox(key) }
        try super.mailboxes(account, body)
    }

    // MARK: StateEditor

    private func put(_ key: [UInt8], _ value: [UInt8]) { set(.state, key, value) }
    private func remove(_ key: [UInt8]) { set(.state, key, nil) }

    /// Takes the reference count of a body.
    func setBlobRow(_ blob: BlobNumber, _ row: BlobRow) { set(.blob, BlobKey.encode(blob), row.encode()) }

    func setHead(_ account: AccountID, _ head: AccountHead) throws(StateFault) {
        if heads[account] == nil { _ = try storedHead(account) }
        if heads[account] == nil {
            heads[account] = StoredHead(head: head, lastLSN: 0, chain: .zero)
        } else {
            heads[account]?.head = head
        }
        dirtyHeads.insert(account)
    }

    func setNextAccount(_ account: AccountID) throws(StateFault) {
        put(StateKey.nextAccount, StateValue.encodeNextAccount(account))
    }

    func setOwner(ofAddress key: String, _ account: AccountID?) throws(StateFault) {
        if let account {
            put(StateKey.owner(key), StateValue.encodeOwner(account))
        } else {
            remove(StateKey.owner(key))
        }
    }

    func setAddress(_ account: AccountID, _ row: AddressRow) throws(StateFault) {
        put(StateKey.address(account, id: row.id), StateValue.encode(row))
    }

    func removeAddress(_ account: AccountID, id: UInt32) throws(StateFault) {
        remove(StateKey.address(account, id: id))
    }

    func setCredential(_ account: AccountID, _ row: CredentialRow) throws(StateFault) {
        put(StateKey.credential(account, id: row.id), StateValue.encode(row))
    }

    func removeCredential(_ account: AccountID, id: UInt32) throws(StateFault) {
        remove(StateKey.credential(account, id: id))
    }

    func setSetting(_ account: AccountID, _ key: String, _ value: String?) throws(StateFault) {
        if let value {
            put(StateKey.setting(account, key), StateValue.encodeSetting(value))
        } else {
            remove(StateKey.setting(account, key))
        }
    }

    func setSubscription(_ account: AccountID, _ name: String, _ on: Bool) throws(StateFault) {
        let key = StateKey.subscription(account, name)
        if on { put(key, StateValue.encodeSubscription(name)) } else { remove(key) }
    }

    func setMailbox(_ account: AccountID, _ mailbox: MailboxID, _ row: MailboxRow?) throws(StateFault) {
        let key = MailboxKey(account: account, mailbox: mailbox)
        boxes[key] = .some(row)
        dirtyBoxes.insert(key)
    }

    func setMailboxID(
        _ account: AccountID, parent: MailboxID, leaf: String, _ mailbox: MailboxID?
    ) throws(StateFault) {
        let key = StateKey.name(account, parent: parent, leaf: leaf)
        if let mailbox { put(key, StateValue.encodeMailboxID(mailbox)) } else { remove(key) }
    }

    func setTombstone(_ account: AccountID, _ mailbox: MailboxID, _ row: MailboxTombstone?) throws(StateFault) {
        let key = StateKey.tombstone(account, mailbox)
        if let row { put(key, StateValue.encode(row)) } else { remove(key) }
    }

    func setMessage(
        _ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: MessageRow, isNew: Bool
    ) throws(StateFault) {
        put(StateKey.message(account, mailbox, uid), StateValue.encode(row))
    }

    func removeMessage(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) throws(StateFault) {
        remove(StateKey.message(account, mailbox, uid))
    }

    func setExpunged(
        _ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: ExpungedRow?
    ) throws(StateFault) {
        let key = StateKey.expunged(account, mailbox, uid)
        if let row { put(key, StateValue.encode(row)) } else { remove(key) }
    }

    func addChange(
        _ account: AccountID, _ mailbox: MailboxID, _ position: ModSeq, _ row: ChangeRow
    ) throws(StateFault) {
        for (part, value) in StateValue.encodeChange(row).enumerated() {
            put(StateKey.change(account, mailbox, position, part: UInt8(part)), value)
        }
    }

    func setKeyword(_ account: AccountID, _ id: KeywordID, _ keyword: Keyword) throws(StateFault) {
        put(StateKey.keyword(account, id), StateValue.encodeKeyword(keyword))
        put(StateKey.keywordName(account, keyword), StateValue.encodeKeywordID(id))
    }

    func setSpilledKeywords(
        _ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ ids: [KeywordID]
    ) throws(StateFault) {
        let key = StateKey.spill(account, mailbox, uid)
        if ids.isEmpty { remove(key) } else { put(key, StateValue.encodeSpill(ids)) }
    }

    /// Few messages have one: what is not there costs a look, not a row to be folded.
    func setUIDL(
        _ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ uidl: String?
    ) throws(StateFault) {
        let key = StateKey.uidl(account, mailbox, uid)
        if let uidl {
            put(key, StateValue.encodeUIDL(uidl))
        } else if try row(key, "UIDL", { try StateValue.decodeUIDL($0) }) != nil {
            remove(key)
        }
    }

    func adjustReferences(_ blob: BlobNumber, by delta: Int) throws(StateFault) {
        guard var row = try blobRow(blob) else {
            throw .inconsistent("reference to body \(blob.rawValue), which is not stored")
        }
        let references = Int(row.references) + delta
        guard references >= 0 else { throw .inconsistent("body \(blob.rawValue) would have \(references) references") }
        row.references = UInt32(references)
        setBlobRow(blob, row)
    }

    func scheduleCollection(
        day: UInt32, _ account: AccountID, _ mailbox: MailboxID, _ uid: UID
    ) throws(StateFault) {
        let key = CollectionKey.encode(day: day, account: account, mailbox: mailbox, uid: uid)
        set(.gc, key, [])
    }

    func cancelCollection(
        day: UInt32, _ account: AccountID, _ mailbox: MailboxID, _ uid: UID
    ) throws(StateFault) {
        let key = CollectionKey.encode(day: day, account: account, mailbox: mailbox, uid: uid)
        set(.gc, key, nil)
    }

    func setQueueEntry(_ id: QueueID, _ entry: QueueEntry?) throws(StateFault) {
        if let old = try queueEntry(id) { remove(StateKey.queueDue(old.nextAttempt, id)) }
        if let entry {
            put(StateKey.queueEntry(id), StateValue.encode(entry))
            put(StateKey.queueDue(entry.nextAttempt, id), [])
        } else {
            remove(StateKey.queueEntry(id))
        }
    }
}
