// One batch in one LMDB write transaction: records appended, folded in memory at once, closed by a seal.
//
// Invariants
// - LSNs are gapless: a batch takes them from the store's end and gives them back when it does not commit.
// - The transaction gets the records, the seal and the places of new bodies. Rows are written by a fold, which is this
//   same transaction when it is time for one: then all rows that are not in LMDB go in, and the mark that says so.
// - A body is written to the `blob` table only when an event of the batch refers to it; a refused command's body stays
//   in its segment without a row and counts as dead. References are rows like others: the body's row says 0 until a fold.
import Digests
import EventFormat
import LMDB
import MailCore
import MailTypes
import Octets

final class LocalBatch: LocalEditor, ShardBatch {
    private let store: LMDBStore
    private let write: WriteTransaction
    private let time: Timestamp
    private let clockStep: UInt64
    private var nextLSN: UInt64
    private let firstLSN: UInt64
    private var recordHashes = SHA256Hasher()
    private var count: UInt32 = 0
    private var staged: [BlobNumber: BlobRow] = [:]
    private var random = SystemRandom()
    /// The transaction is gone, committed or not.
    private var hasEnded = false

    init(
        _ store: LMDBStore, _ write: WriteTransaction, _ unfolded: UnfoldedRows, end: LogEnd, now: Timestamp
    ) {
        self.store = store
        self.write = write
        time = max(now, end.time)
        clockStep = now < end.time ? UInt64(end.time.rawValue - now.rawValue) : 0
        firstLSN = end.lsn + 1
        nextLSN = firstLSN
        super.init(DerivedRows(transaction: write, tables: store.tables, unfolded: unfolded))
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
            remember(
                command, EventContext(account: append.account, aseq: position, time: time), lsn: nextLSN - 1)
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
        try fold(event, at: context, lsn: lsn, hash: record.hash, after: before)
        return context.aseq
    }

    func commit() throws(StoreError) -> CommitReceipt {
        guard count > 0 else {
            abort()
            return CommitReceipt(head: Cursor(firstLSN - 1), events: 0)
        }
        let end: LogEnd
        do {
            settle()
            try writePlaces()
            end = try seal()
            if derived.unfolded.since == nil { derived.unfolded.since = time }
            if store.isFoldDue(derived.unfolded, at: time) {
                try store.fold(derived.unfolded, into: write, through: end.lsn)
                derived.unfolded = UnfoldedRows()
            }
        } catch {
            abort()
            if case .full? = error as? StateFault { throw .full }
            throw .failed("\(error)")
        }
        // Also a commit that fails ends the transaction.
        hasEnded = true
        return try store.commit(write, end: end, unfolded: derived.unfolded, events: Int(count))
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

    /// Where the new bodies lie, which no replay of the log could tell.
    private func writePlaces() throws {
        for (blob, row) in staged.sorted(by: { $0.key < $1.key }) where row.references > 0 {
            set(.blob, BlobKey.encode(blob), row.encode())
            var place = row
            place.references = 0
            try write.append(tables.blob, BlobKey.encode(blob), place.encode())
        }
    }

    override func blobRow(_ blob: BlobNumber) throws(StateFault) -> BlobRow? {
        if let row = staged[blob] { return row }
        return try super.blobRow(blob)
    }

    override func setBlobRow(_ blob: BlobNumber, _ row: BlobRow) {
        if staged[blob] != nil { staged[blob] = row } else { super.setBlobRow(blob, row) }
    }
}
