// Walking a tree in key order.
//
// A cursor lives inside one call and holds its transaction. It never reaches a caller, so none can outlive its
// transaction. Ranges are given by their first key; the closure says when to stop.

import CLMDB

/// A position in one tree.
final class Cursor {
    private let transaction: Transaction
    private let handle: OpaquePointer
    private(set) var key = UnsafeRawBufferPointer(start: nil, count: 0)
    private(set) var value = UnsafeRawBufferPointer(start: nil, count: 0)

    init(_ transaction: Transaction, _ db: Database) throws(LMDBError) {
        var opened: OpaquePointer?
        try LMDBError.check(mdb_cursor_open(transaction.live, db.handle, &opened), "open a cursor")
        guard let opened else { throw LMDBError.failure(MDB_BAD_DBI, "open a cursor") }
        handle = opened
        self.transaction = transaction
        transaction.cursorsOpen += 1
    }

    deinit {
        mdb_cursor_close(handle)
        transaction.cursorsOpen -= 1
    }

    /// Moves; false, and no row, when there is nothing there.
    func move(_ operation: MDB_cursor_op, to start: UnsafeRawBufferPointer? = nil) throws(LMDBError) -> Bool {
        var found = start.map { MDB_val($0) } ?? MDB_val()
        var data = MDB_val()
        let code = mdb_cursor_get(handle, &found, &data, operation)
        if code == MDB_NOTFOUND { return false }
        try LMDBError.check(code, "move a cursor")
        key = UnsafeRawBufferPointer(found)
        value = UnsafeRawBufferPointer(data)
        return true
    }

    /// Moves to the least key that is not below `start`; an empty `start` is below every key.
    func moveToLeast(from start: UnsafeRawBufferPointer) throws(LMDBError) -> Bool {
        if start.isEmpty { return try move(MDB_FIRST) }
        try LMDBError.checkKey(start, "move a cursor")
        return try move(MDB_SET_RANGE, to: start)
    }

    /// Moves to the greatest key that is not above `start`, or to the last key when there is none given.
    func moveToGreatest(from start: UnsafeRawBufferPointer?) throws(LMDBError) -> Bool {
        guard let start else { return try move(MDB_LAST) }
        try LMDBError.checkKey(start, "move a cursor")
        guard try move(MDB_SET_RANGE, to: start) else { return try move(MDB_LAST) }
        return start.isOrderedBefore(key) ? try move(MDB_PREV) : true
    }

    /// Removes the row the cursor stands on. Only in a write transaction.
    func delete() throws(LMDBError) {
        try LMDBError.check(mdb_cursor_del(handle, 0), "delete")
    }
}

/// Where a walk goes from a row.
package enum WalkStep {
    case next
    /// To the least key that is not below this one.
    case seek([UInt8])
    case stop
}

extension Transaction {
    /// What a scan calls with each row: key, value. It returns whether to go on. Both pointers are valid until it
    /// returns; it must not write through the same transaction.
    package typealias Row = (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> Bool

    /// Calls `body` with the rows from `start` on (that key included, if it is there), in ascending order.
    ///
    /// An empty `start` means the first row.
    package final func scan(_ db: Database, from start: UnsafeRawBufferPointer, _ body: Row) throws {
        let cursor = try Cursor(self, db)
        try withExtendedLifetime(cursor) {
            var more = try cursor.moveToLeast(from: start)
            while more, try body(cursor.key, cursor.value) { more = try cursor.move(MDB_NEXT) }
        }
    }

    /// As above, with the start in an array.
    package final func scan(_ db: Database, from start: [UInt8], _ body: Row) throws {
        try start.withUnsafeBytes { try scan(db, from: $0, body) }
    }

    /// As `scan`, with one cursor over several ranges: the closure may ask to go on from a later key.
    package final func walk(
        _ db: Database, from start: [UInt8],
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> WalkStep
    ) throws {
        let cursor = try Cursor(self, db)
        try withExtendedLifetime(cursor) {
            var more = try start.withUnsafeBytes { try cursor.moveToLeast(from: $0) }
            while more {
                switch try body(cursor.key, cursor.value) {
                case .next: more = try cursor.move(MDB_NEXT)
                case .seek(let key): more = try key.withUnsafeBytes { try cursor.moveToLeast(from: $0) }
                case .stop: return
                }
            }
        }
    }

    /// Calls `body` with the rows from `start` down (that key included, if it is there), in descending order.
    ///
    /// Without `start`, from the last row.
    package final func scanBackward(_ db: Database, from start: UnsafeRawBufferPointer?, _ body: Row) throws {
        let cursor = try Cursor(self, db)
        try withExtendedLifetime(cursor) {
            var more = try cursor.moveToGreatest(from: start)
            while more, try body(cursor.key, cursor.value) { more = try cursor.move(MDB_PREV) }
        }
    }

    /// As above, with the start in an array.
    package final func scanBackward(_ db: Database, from start: [UInt8]?, _ body: Row) throws {
        guard let start else { return try scanBackward(db, from: UnsafeRawBufferPointer?.none, body) }
        try start.withUnsafeBytes { try scanBackward(db, from: $0, body) }
    }

    /// Calls `body` with the first row and returns its result; nil when the database is empty.
    package final func first<R>(
        _ db: Database, _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> R
    ) throws -> R? {
        try edge(db, MDB_FIRST, body)
    }

    /// Calls `body` with the last row and returns its result; nil when the database is empty.
    package final func last<R>(
        _ db: Database, _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> R
    ) throws -> R? {
        try edge(db, MDB_LAST, body)
    }

    /// A copy of the first row.
    package final func first(_ db: Database) throws(LMDBError) -> (key: [UInt8], value: [UInt8])? {
        let cursor = try Cursor(self, db)
        return try cursor.move(MDB_FIRST) ? ([UInt8](cursor.key), [UInt8](cursor.value)) : nil
    }

    /// A copy of the last row.
    package final func last(_ db: Database) throws(LMDBError) -> (key: [UInt8], value: [UInt8])? {
        let cursor = try Cursor(self, db)
        return try cursor.move(MDB_LAST) ? ([UInt8](cursor.key), [UInt8](cursor.value)) : nil
    }

    private final func edge<R>(
        _ db: Database, _ operation: MDB_cursor_op,
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> R
    ) throws -> R? {
        let cursor = try Cursor(self, db)
        return try withExtendedLifetime(cursor) {
            try cursor.move(operation) ? try body(cursor.key, cursor.value) : nil
        }
    }
}
