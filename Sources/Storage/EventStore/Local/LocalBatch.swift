// One batch in one LMDB write transaction: records appended, folded at once, closed by a seal.
//
// Invariants
// - LSNs are gapless: a batch takes them from the store's end and gives them back when it does not commit.
// - Account heads and mailbox rows are kept as values while the batch is open and written once, at the end: a batch
//   of deliveries into one mailbox writes its row once.
// - A body is written to the `blob` table only when an event of the batch refers to it; a refused command's body stays
//   in its segment without a row and counts as dead.
import Digests
import EventFormat
import LMDB
import MailCore
import MailTypes
import Octets

final class LocalBatch: LocalView, StateEditor, ShardBatch {
    private let store: LMDBStore
    private let write: WriteTransaction
    private let time: Timestamp
    private let clockStep: UInt64
    private var nextLSN: UInt64
    private let firstLSN: UInt64
    private var recordHashes = SHA256Hasher()
    private var count: UInt32 = 0
    private var heads: [AccountID: StoredHead] = [:]
    private var dirtyHeads: Set<AccountID> = []
    private var boxes: [MailboxKey: MailboxRow?] = [:]
    private var dirtyBoxes: Set<MailboxKey> = []
    private var staged: [BlobNumber: BlobRow] = [:]
    private var lastDedupDay: UInt32?
    private var random = SystemRandom()
    /// The transaction is gone, committed or not.
    private var hasEnded = false

    private struct MailboxKey: Hashable {
        var account: AccountID
        var mailbox: MailboxID
    }

    init(_ store: LMDBStore, _ write: WriteTransaction, end: LogEnd, now: Timestamp) {
        self.store = store
        self.write = write
        time = max(now, end.time)
        clockStep = now < end.time ? UInt64(end.time.rawValue - now.rawValue) : 0
        firstLSN = end.lsn + 1
        nextLSN = firstLSN
        super.init(write, store.tables)
    }

    // MARK: ShardBatch

    func register(_ body: StagedBody) throws(StateFault) {
        staged[body.reference.blob] = BlobRow(
            segment: body.segment, offset: body.offset, storedOctets: UInt64(body.reference.size),
            rawOctets: UInt64(body.reference.size), references: 0, hash: body.reference.hash)
    }

    func append(_ append: Append) throws(StateFault) -> ModSeq {
        let current = try storedHead(append.account)?.head.aseq ?? .zero
        guard current == append.expected else {
            throw .inconsistent(
                "account \(append.account.rawValue) is at \(current.rawValue), not at \(append.expected.rawValue)")
        }
        if append.events.isEmpty { return current }
        if count == 0, store.noteClock(step: clockStep) {
            _ = try put(
                .clockStepped(backMilliseconds: clockStep), of: .system,
                Append(
                    account: .system, expected: .zero, events: [], origin: Origin(gateway: .engine)))
        }
        var position = current
        for event in append.events { position = try put(event, of: append.account, append) }
        if append.retryable, let command = append.command {
            try remember(command, append.account, position)
        }
        return position
    }

    private func put(_ event: Event, of account: AccountID, _ append: Append) throws(StateFault) -> ModSeq {
        let before = try storedHead(account) ?? StoredHead(head: AccountHead(), lastLSN: 0, chain: .zero)
        let context = EventContext(account: account, aseq: before.head.aseq.next, time: time)
        let lsn = nextLSN
        let record = try faulting("record \(lsn)") {
            let record = try RecordCodec.encode(
                event, at: context, lsn: lsn, previousLSN: before.lastLSN, origin: append.origin,
                command: append.command, retryable: append.retryable, salt: (random.next(), random.next()))
            try write.append(tables.log, LogKey.encode(lsn), record.bytes)
            return record
        }
        nextLSN += 1
        count += 1
        recordHashes.update(record.hash)
        try evolve(event, at: context, in: self)
        guard var after = heads[account] else {
            throw .inconsistent("event \(lsn) left account \(account.rawValue) without a head")
        }
        after.lastLSN = lsn
        after.chain = RecordCodec.chain(before.chain, adding: record.hash)
        heads[account] = after
        return context.aseq
    }

    private func remember(_ command: CommandID, _ account: AccountID, _ position: ModSeq) throws(StateFault) {
        let day = dayNumber(time)
        let lsn = nextLSN - 1
        try faulting("remembered command") {
            if lastDedupDay != day {
                let oldest = day > dedupWindowDays ? day - dedupWindowDays : 0
                let end = DedupKey.encode(day: oldest, account: AccountID(0), command: CommandID(high: 0, low: 0))
                _ = try write.deleteRange(tables.dedup, from: [], to: end, limit: store.limits.dedupPrunedPerBatchMax)
                lastDedupDay = day
            }
            let key = DedupKey.encode(day: day, account: account, command: command)
            try write.put(tables.dedup, key, DedupRow(lsn: lsn, aseq: position).encode())
        }
    }

    func commit() throws(StoreError) -> CommitReceipt {
        guard count > 0 else {
            abort()
            return CommitReceipt(head: Cursor(firstLSN - 1), events: 0)
        }
        let end: LogEnd
        do {
            try flush()
            end = try seal()
        } catch {
            abort()
            if case .full? = error as? StateFault { throw .full }
            throw .failed("\(error)")
        }
        // Also a commit that fails ends the transaction.
        hasEnded = true
        return try store.commit(write, end: end, events: Int(count))
    }

    func abort() {
        guard !hasEnded else { return }
        hasEnded = true
        write.abort()
    }

    private func seal() throws -> LogEnd {
        let end = store.logEnd
        let tail = store.syncedBodies
        let seal = Seal.make(
            firstLSN: firstLSN, count: count, timeline: end.timeline, writer: store.writerInstance,
            segment: tail.segment, offset: tail.offset, nextBlob: tail.nextBlob,
            recordsHash: recordHashes.finalize(), previous: end.seal, time: time)
        let lsn = nextLSN
        try write.append(tables.log, LogKey.encode(lsn), seal.encode(lsn: lsn))
        return LogEnd(lsn: lsn, time: time, seal: seal.seal, timeline: end.timeline)
    }

    private func flush() throws {
        try writeHeads()
        for key in dirtyBoxes { try writeBox(key) }
        dirtyBoxes = []
        for (blob, row) in staged.sorted(by: { $0.key < $1.key }) where row.references > 0 {
            try write.append(tables.blob, BlobKey.encode(blob), row.encode())
        }
    }

    // MARK: Kept rows

    private func writeHeads() throws(LMDBError) {
        for account in dirtyHeads.sorted() {
            guard let head = heads[account] else { continue }
            try write.put(tables.state, StateKey.head(account), StateValue.encode(head))
        }
    }

    private func writeBox(_ key: MailboxKey) throws(LMDBError) {
        let rowKey = StateKey.mailbox(key.account, key.mailbox)
        if let row = boxes[key] ?? nil {
            try write.put(tables.state, rowKey, StateValue.encode(row))
        } else {
            try write.delete(tables.state, rowKey)
        }
    }

    override func storedHead(_ account: AccountID) throws(StateFault) -> StoredHead? {
        if let kept = heads[account] { return kept }
        let stored = try super.storedHead(account)
        if let stored { heads[account] = stored }
        return stored
    }

    override func accounts(_ body: (AccountID, AccountHead) -> Bool) throws(StateFault) {
        try faulting("account heads") { try writeHeads() }
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
        try faulting("mailbox rows") {
            for key in dirtyBoxes where key.account == account { try writeBox(key) }
        }
        try super.mailboxes(account, body)
    }

    override func blobRow(_ blob: BlobNumber) throws(StateFault) -> BlobRow? {
        if let row = staged[blob] { return row }
        return try super.blobRow(blob)
    }

    // MARK: StateEditor

    private func put(_ key: [UInt8], _ value: [UInt8]) throws(StateFault) {
        try faulting("state row") { try write.put(tables.state, key, value) }
    }

    private func remove(_ key: [UInt8]) throws(StateFault) {
        try faulting("state row") { _ = try write.delete(tables.state, key) }
    }

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
        try put(StateKey.nextAccount, StateValue.encodeNextAccount(account))
    }

    func setOwner(ofAddress key: String, _ account: AccountID?) throws(StateFault) {
        if let account {
            try put(StateKey.owner(key), StateValue.encodeOwner(account))
        } else {
            try remove(StateKey.owner(key))
        }
    }

    func setAddress(_ account: AccountID, _ row: AddressRow) throws(StateFault) {
        try put(StateKey.address(account, id: row.id), StateValue.encode(row))
    }

    func removeAddress(_ account: AccountID, id: UInt32) throws(StateFault) {
        try remove(StateKey.address(account, id: id))
    }

    func setCredential(_ account: AccountID, _ row: CredentialRow) throws(StateFault) {
        try put(StateKey.credential(account, id: row.id), StateValue.encode(row))
    }

    func removeCredential(_ account: AccountID, id: UInt32) throws(StateFault) {
        try remove(StateKey.credential(account, id: id))
    }

    func setSetting(_ account: AccountID, _ key: String, _ value: String?) throws(StateFault) {
        if let value {
            try put(StateKey.setting(account, key), StateValue.encodeSetting(value))
        } else {
            try remove(StateKey.setting(account, key))
        }
    }

    func setSubscription(_ account: AccountID, _ name: String, _ on: Bool) throws(StateFault) {
        let key = StateKey.subscription(account, name)
        if on { try put(key, StateValue.encodeSubscription(name)) } else { try remove(key) }
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
        if let mailbox { try put(key, StateValue.encodeMailboxID(mailbox)) } else { try remove(key) }
    }

    func setTombstone(_ account: AccountID, _ mailbox: MailboxID, _ row: MailboxTombstone?) throws(StateFault) {
        let key = StateKey.tombstone(account, mailbox)
        if let row { try put(key, StateValue.encode(row)) } else { try remove(key) }
    }

    func setMessage(
        _ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: MessageRow, isNew: Bool
    ) throws(StateFault) {
        try put(StateKey.message(account, mailbox, uid), StateValue.encode(row))
    }

    func removeMessage(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) throws(StateFault) {
        try remove(StateKey.message(account, mailbox, uid))
    }

    func setExpunged(
        _ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: ExpungedRow?
    ) throws(StateFault) {
        let key = StateKey.expunged(account, mailbox, uid)
        if let row { try put(key, StateValue.encode(row)) } else { try remove(key) }
    }

    func addChange(
        _ account: AccountID, _ mailbox: MailboxID, _ position: ModSeq, _ row: ChangeRow
    ) throws(StateFault) {
        for (part, value) in StateValue.encodeChange(row).enumerated() {
            try put(StateKey.change(account, mailbox, position, part: UInt8(part)), value)
        }
    }

    func setKeyword(_ account: AccountID, _ id: KeywordID, _ keyword: Keyword) throws(StateFault) {
        try put(StateKey.keyword(account, id), StateValue.encodeKeyword(keyword))
        try put(StateKey.keywordName(account, keyword), StateValue.encodeKeywordID(id))
    }

    func setSpilledKeywords(
        _ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ ids: [KeywordID]
    ) throws(StateFault) {
        let key = StateKey.spill(account, mailbox, uid)
        if ids.isEmpty { try remove(key) } else { try put(key, StateValue.encodeSpill(ids)) }
    }

    func adjustReferences(_ blob: BlobNumber, by delta: Int) throws(StateFault) {
        guard var row = try blobRow(blob) else {
            throw .inconsistent("reference to body \(blob.rawValue), which is not stored")
        }
        let references = Int(row.references) + delta
        guard references >= 0 else { throw .inconsistent("body \(blob.rawValue) would have \(references) references") }
        row.references = UInt32(references)
        if staged[blob] != nil {
            staged[blob] = row
        } else {
            try faulting("body row") { try write.put(tables.blob, BlobKey.encode(blob), row.encode()) }
        }
    }

    func scheduleCollection(
        day: UInt32, _ account: AccountID, _ mailbox: MailboxID, _ uid: UID
    ) throws(StateFault) {
        let key = CollectionKey.encode(day: day, account: account, mailbox: mailbox, uid: uid)
        try faulting("collection row") { try write.put(tables.gc, key, []) }
    }

    func cancelCollection(
        day: UInt32, _ account: AccountID, _ mailbox: MailboxID, _ uid: UID
    ) throws(StateFault) {
        let key = CollectionKey.encode(day: day, account: account, mailbox: mailbox, uid: uid)
        try faulting("collection row") { _ = try write.delete(tables.gc, key) }
    }

    func setQueueEntry(_ id: QueueID, _ entry: QueueEntry?) throws(StateFault) {
        if let old = try queueEntry(id) { try remove(StateKey.queueDue(old.nextAttempt, id)) }
        if let entry {
            try put(StateKey.queueEntry(id), StateValue.encode(entry))
            try put(StateKey.queueDue(entry.nextAttempt, id), [])
        } else {
            try remove(StateKey.queueEntry(id))
        }
    }
}
