// Writing to the derived tables what the log implies, and reading the end of the log that they do not know yet.
//
// Invariants
// - The rows of all tables and the mark go in with one transaction, so the tables are those of one LSN at every moment.
// - The mark names a seal. What is behind it is found again by the same evolve, at the next open.
// - How much can be behind it is bounded by rows, octets and events; so is the time an open takes.
import EventFormat
import LMDB
import MailCore
import MailTypes

/// Up to where the derived tables are folded.
struct FoldMark: Equatable {
    /// A seal's, or 0.
    var lsn: UInt64

    static func read(_ environment: Environment, _ tables: LocalTables) throws -> FoldMark {
        try environment.read { transaction in
            guard let row = try transaction.get(tables.meta, FoldRow.key, { try FoldRow.decode($0) }) else {
                throw StoreError.damaged("nothing says through which record the rows are folded")
            }
            let last = try transaction.last(tables.log) { key, _ in try LogKey.parse(key) } ?? 0
            guard row.lsn <= last else {
                throw StoreError.damaged("the rows are folded through record \(row.lsn), the log ends at \(last)")
            }
            return FoldMark(lsn: row.lsn)
        }
    }

    func write(_ environment: Environment, _ tables: LocalTables) throws {
        try environment.write { try write($0, tables) }
    }

    func write(_ write: WriteTransaction, _ tables: LocalTables) throws(LMDBError) {
        try write.put(tables.meta, FoldRow.key, FoldRow(lsn: lsn).encode())
    }
}

/// Folds the records behind the mark.
enum TailReplay {
    static func run(_ environment: Environment, _ tables: LocalTables, after mark: UInt64) throws -> UnfoldedRows {
        guard mark < .max else { return UnfoldedRows() }
        return try environment.read { transaction in
            let editor = LocalEditor(
                DerivedRows(transaction: transaction, tables: tables, unfolded: UnfoldedRows()))
            var since: Timestamp?
            try transaction.scan(tables.log, from: LogKey.encode(mark + 1)) { key, value in
                let lsn = try LogKey.parse(key)
                let record = try RecordCodec.decode(value, lsn: lsn)
                if since == nil { since = record.header.time }
                if case .event(let event) = record.content { try take(event, record, lsn, editor) }
                return true
            }
            editor.settle()
            var unfolded = editor.derived.unfolded
            unfolded.since = since
            return unfolded
        }
    }

    private static func take(_ event: Event, _ record: DecodedRecord, _ lsn: UInt64, _ editor: LocalEditor) throws {
        let header = record.header
        let before = try editor.storedHead(header.account) ?? StoredHead(head: AccountHead(), lastLSN: 0, chain: .zero)
        guard header.aseq == before.head.aseq.next, header.previousLSN == before.lastLSN else {
            throw StoreError.damaged(
                "record \(lsn) of account \(header.account.rawValue) does not follow what its rows are folded through")
        }
        let context = EventContext(account: header.account, aseq: header.aseq, time: header.time)
        try editor.fold(event, at: context, lsn: lsn, hash: record.hash, after: before)
        if record.retryable, let command = record.command { editor.remember(command, context, lsn: lsn) }
    }
}

extension LMDBStore {
    /// A snapshot of the derived tables with the rows that lie over them.
    func readDerived<R>(_ body: (DerivedRows) throws -> R) throws -> R {
        try environment.read(pairing: published.pair) { transaction, unfolded in
            try body(DerivedRows(transaction: transaction, tables: tables, unfolded: unfolded))
        }
    }

    /// Whether the batch that made `unfolded` has to fold them.
    func isFoldDue(_ unfolded: UnfoldedRows, at time: Timestamp) -> Bool {
        if unfolded.count >= limits.unfoldedRowsMax || unfolded.events >= limits.unfoldedEventsMax
            || unfolded.octets >= limits.unfoldedOctetsMax
        {
            return true
        }
        guard let since = unfolded.since else { return false }
        return time.rawValue - since.rawValue >= Int64(limits.unfoldedMillisecondsMax)
    }

    /// Writes all rows, and that they are there through record `lsn`.
    func fold(_ unfolded: UnfoldedRows, into write: WriteTransaction, through lsn: UInt64) throws(LMDBError) {
        for table in DerivedTable.allCases {
            let database = tables[table]
            try unfolded[table].forEach { row throws(LMDBError) in
                if let value = row.value {
                    try write.put(database, row.key.octets, value)
                } else {
                    try write.delete(database, row.key.octets)
                }
            }
        }
        try pruneDedup(unfolded, write)
        try FoldMark(lsn: lsn).write(write, tables)
        noteFold()
    }

    /// Drops remembered commands of days that are out of the window.
    private func pruneDedup(_ unfolded: UnfoldedRows, _ write: WriteTransaction) throws(LMDBError) {
        guard let newest = unfolded[.dedup].lastPresent,
            let day = try? newest.key.octets.withUnsafeBytes({ try DedupKey.parse($0).day })
        else { return }
        let oldest = day > dedupWindowDays ? day - dedupWindowDays : 0
        let end = DedupKey.encode(day: oldest, account: AccountID(0), command: CommandID(high: 0, low: 0))
        _ = try write.deleteRange(tables.dedup, from: [], to: end, limit: limits.dedupPrunedPerBatchMax)
    }

    package var isSettled: Bool { published.current.isEmpty || failure != nil }

    /// Folds what waits, in a transaction of its own.
    package func settle() throws(StoreError) {
        guard !isSettled else { return }
        try allocateAhead()
        let write: WriteTransaction
        do { write = try environment.beginWrite() } catch { throw .failed("\(error)") }
        do {
            try fold(published.current, into: write, through: logEnd.lsn)
        } catch {
            write.abort()
            throw error.isNoSpace || error.isMapFull ? .full : .failed("\(error)")
        }
        try commit(write, UnfoldedRows())
    }
}
