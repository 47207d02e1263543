// rebuild --projection state: the state tree anew from the log, beside the live one (`check`) or in its place.
import Digests
import EventFormat
import LMDB
import MailCore
import MailTypes
import Octets

extension LMDBStore {
    /// Records folded, or rows compared, per read snapshot: well under its 2 seconds.
    private static let recordsPerSnapshotMax = 50_000

    /// Replays the whole log in memory and compares every live row with it, byte for byte, while the store is in use. Of
    /// rows from before format 3 every byte they have is compared, and the report counts them, as it does UIDLs that a
    /// program before format 4 made no rows of, where the store does not say that it has them all.
    ///
    /// Memory: about 150 octets per message of the store.
    /// - Throws: `StateDifference` at the first difference.
    package func compareStateWithReplay(progress: (Int) -> Void = { _ in }) throws -> ReplayReport {
        let replay = try replayLog(progress: progress)
        var next: UInt64? = 0
        while let account = next {
            next = try readDerived { rows in
                try catchUp(replay, rows.transaction)
                try compare(AccountID(UInt32(account)), replay, rows)
                return try accountAfter(UInt32(account), replay, rows).map { UInt64($0) }
            }
        }
        try readDerived { rows in
            try catchUp(replay, rows.transaction)
            try compareBodies(replay, rows)
            try compareCollection(replay, rows)
            try compareDedup(replay, rows)
        }
        return replay.report
    }

    private func replayLog(progress: (Int) -> Void) throws -> StateReplay {
        let replay = StateReplay()
        var more = true
        while more {
            more = try environment.read { try replay.advance($0, tables, limit: Self.recordsPerSnapshotMax) }
            progress(replay.report.events)
        }
        return replay
    }

    private func catchUp(_ replay: StateReplay, _ transaction: Transaction) throws {
        while try replay.advance(transaction, tables, limit: Self.recordsPerSnapshotMax) {}
    }

    private func compare(_ account: AccountID, _ replay: StateReplay, _ rows: DerivedRows) throws {
        let comparer = RowComparer(rows, mayLackUIDLs: try !tables.hasAllUIDLs(rows.transaction))
        var encoded = EncodedRows(replay: replay, emit: comparer.compare)
        do {
            try replay.state.forEachRow(of: account, &encoded)
        } catch {
            throw comparer.failure ?? error
        }
        let expected = comparer.count
        let prefix = StateKey.account(account)
        var live = 0
        try rows.scan(.state, from: prefix) { key, _ in
            guard key.prefix(prefix.count).elementsEqual(prefix) else { return false }
            live += 1
            return true
        }
        guard live == expected else {
            throw StateDifference(
                place: "state of account \(account.rawValue)", expected: "\(expected) rows", found: "\(live) rows")
        }
        replay.count(rows: expected, accounts: 1, unsaved: comparer.unsaved, withoutUIDL: comparer.withoutUIDL)
    }

    /// The next account that has rows on either side.
    private func accountAfter(
        _ account: UInt32, _ replay: StateReplay, _ rows: DerivedRows
    ) throws -> UInt32? {
        guard account < .max else { return nil }
        var live: UInt32?
        try rows.scan(.state, from: StateKey.account(AccountID(account + 1))) { key, _ in
            var reader = ByteReader(key)
            live = try reader.be(UInt32.self)
            return false
        }
        let folded = replay.state.accountIDs.first { $0.rawValue > account }?.rawValue
        return [live, folded].compactMap { $0 }.min()
    }

    private func compareBodies(_ replay: StateReplay, _ rows: DerivedRows) throws {
        var expected: [BlobNumber: UInt32] = [:]
        try replay.state.forEachReference { (blob, count) throws(StateFault) in expected[blob] = count }
        try rows.scan(.blob, from: []) { key, value in
            let blob = try BlobKey.parse(key)
            let references = try BlobRow.decode(value).references
            let wanted = expected.removeValue(forKey: blob) ?? 0
            guard references == wanted else {
                throw StateDifference(
                    place: "body \(blob.rawValue)", expected: "\(wanted) references", found: "\(references)")
            }
            replay.count(rows: 1)
            return true
        }
        if let missing = expected.keys.min() {
            throw StateDifference(place: "body \(missing.rawValue)", expected: "a row", found: "none")
        }
    }

    private func compareCollection(_ replay: StateReplay, _ rows: DerivedRows) throws {
        var expected: [[UInt8]] = []
        replay.state.collectable(through: .max) { day, account, mailbox, uid in
            expected.append(CollectionKey.encode(day: day, account: account, mailbox: mailbox, uid: uid))
            return true
        }
        expected.sort { $0.lexicographicallyPrecedes($1) }
        try compareKeys(.gc, expected.map { ($0, []) }, "collection", from: [], replay, rows)
    }

    private func compareDedup(_ replay: StateReplay, _ rows: DerivedRows) throws {
        let day = dayNumber(replay.lastTime)
        let oldest = day > dedupWindowDays ? day - dedupWindowDays : 0
        let start = DedupKey.encode(day: oldest, account: AccountID(0), command: CommandID(high: 0, low: 0))
        let expected = replay.dedup.filter { !$0.key.lexicographicallyPrecedes(start) }
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }
        try compareKeys(
            .dedup, expected.map { ($0.key, $0.value) }, "remembered command", from: start, replay, rows)
    }

    private func compareKeys(
        _ table: DerivedTable, _ expected: [([UInt8], [UInt8])], _ name: String, from start: [UInt8],
        _ replay: StateReplay, _ rows: DerivedRows
    ) throws {
        var index = 0
        try rows.scan(table, from: start) { key, value in
            let wanted = index < expected.count ? expected[index] : nil
            guard let wanted, key.elementsEqual(wanted.0), value.elementsEqual(wanted.1) else {
                throw StateDifference(
                    place: name, expected: wanted.map { Hex.encode($0.0) } ?? "no further row", found: Hex.encode(key))
            }
            index += 1
            replay.count(rows: 1)
            return true
        }
        guard index == expected.count else {
            throw StateDifference(place: name, expected: Hex.encode(expected[index].0), found: "no further row")
        }
    }

    /// Builds `state`, `gc`, `dedup` and the reference counts anew from the log and puts them in the place of the live
    /// ones. For a store that no node serves; the caller owns it by having opened it.
    ///
    /// The new tree is filled under another name in bounded transactions and takes over in the last one, so a crash in
    /// between leaves the old tree in use.
    package func rebuildState(progress: (Int) -> Void = { _ in }) throws -> ReplayReport {
        try settle()
        let replay = try replayLog(progress: progress)
        let name = LocalTables.otherStateName(than: tables.stateName)
        let green = try environment.openDatabase(name, create: true)
        try environment.write { try $0.drop(green, delete: false) }
        let loader = BulkLoader(environment, green, rowsMax: Self.recordsPerSnapshotMax)
        var rows = EncodedRows(replay: replay) { (key, value) throws(StateFault) in
            do { try loader.append(key, value) } catch { throw .storage("\(error)") }
        }
        try replay.state.forEachRow(&rows)
        try loader.finish()
        try environment.write { write in
            try rewriteReferences(replay, write)
            try rewriteSmallTables(replay, write)
            try write.put(tables.meta, LocalTables.stateNameKey, Array(name.utf8))
            try FoldMark(lsn: replay.lsn).write(write, tables)
            try tables.markUIDLsComplete(write)
            try write.drop(tables.state, delete: false)
        }
        use(green, named: name)
        replay.count(rows: loader.count, accounts: replay.state.accountIDs.count)
        return replay.report
    }

    private func rewriteReferences(_ replay: StateReplay, _ write: WriteTransaction) throws {
        var rows: [([UInt8], BlobRow)] = []
        try write.scan(tables.blob, from: []) { key, value in
            var row = try BlobRow.decode(value)
            let wanted = replay.state.references(try BlobKey.parse(key))
            guard row.references != wanted else { return true }
            row.references = wanted
            rows.append(([UInt8](key), row))
            return true
        }
        for (key, row) in rows { try write.put(tables.blob, key, row.encode()) }
    }

    private func rewriteSmallTables(_ replay: StateReplay, _ write: WriteTransaction) throws {
        try write.drop(tables.gc, delete: false)
        var keys: [[UInt8]] = []
        replay.state.collectable(through: .max) { day, account, mailbox, uid in
            keys.append(CollectionKey.encode(day: day, account: account, mailbox: mailbox, uid: uid))
            return true
        }
        for key in keys { try write.put(tables.gc, key, []) }
        try write.drop(tables.dedup, delete: false)
        let day = dayNumber(replay.lastTime)
        let oldest = day > dedupWindowDays ? day - dedupWindowDays : 0
        let start = DedupKey.encode(day: oldest, account: AccountID(0), command: CommandID(high: 0, low: 0))
        for (key, value) in replay.dedup where !key.lexicographicallyPrecedes(start) {
            try write.put(tables.dedup, key, value)
        }
    }
}

/// Looks each expected row up in the live tree and keeps the first difference.
private final class RowComparer {
    private let rows: DerivedRows
    private let mayLackUIDLs: Bool
    private(set) var failure: (any Error)?
    private(set) var count = 0
    /// Rows of messages without the moment they were saved, as programs before format 3 wrote them.
    private(set) var unsaved = 0
    /// Messages without their UIDL, which programs before format 4 left in the log.
    private(set) var withoutUIDL = 0

    init(_ rows: DerivedRows, mayLackUIDLs: Bool) {
        self.rows = rows
        self.mayLackUIDLs = mayLackUIDLs
    }

    func compare(_ key: [UInt8], _ value: [UInt8]) throws(StateFault) {
        count += 1
        let found: [UInt8]?
        do { found = try rows.getBytes(.state, key) } catch {
            failure = error
            throw .storage("\(error)")
        }
        guard found != value else { return }
        if let found, StateKey.isMessage(key), StateValue.isUnsaved(found, of: value) {
            unsaved += 1
            return
        }
        if found == nil, mayLackUIDLs, StateKey.isUIDL(key) {
            count -= 1
            withoutUIDL += 1
            return
        }
        failure = StateDifference(
            place: "state \(Hex.encode(key))", expected: Hex.encode(value),
            found: found.map { Hex.encode($0) } ?? "no row")
        throw .inconsistent("difference")
    }
}

/// Rows in key order into an empty table, in transactions of bounded size.
private final class BulkLoader {
    private let environment: Environment
    private let table: Database
    private let rowsMax: Int
    private var write: WriteTransaction?
    private var pending = 0
    private(set) var count = 0

    init(_ environment: Environment, _ table: Database, rowsMax: Int) {
        self.environment = environment
        self.table = table
        self.rowsMax = rowsMax
    }

    func append(_ key: [UInt8], _ value: [UInt8]) throws(LMDBError) {
        let write: WriteTransaction
        if let open = self.write { write = open } else { write = try environment.beginWrite() }
        self.write = write
        do throws(LMDBError) {
            try write.append(table, key, value)
        } catch  where error.isKeyExists {
            // The shard's few shared rows and the queue's index come after rows that sort behind them.
            try write.put(table, key, value)
        }
        count += 1
        pending += 1
        if pending == rowsMax { try finish() }
    }

    func finish() throws(LMDBError) {
        try write?.commit()
        write = nil
        pending = 0
    }
}
