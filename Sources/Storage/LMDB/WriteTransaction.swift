// Writing. One write transaction at a time exists per environment, across all threads.
//
// Invariants
// - The write lock is a process-shared mutex that belongs to an operating-system thread. Begin, every call and commit
//   or abort happen on that thread, so never across an `await`. `commit`, `abort` and the end of life check it.
// - After `commit` or `abort`, failed or not, the transaction is over; use of it ends the process with a text.
// - A transaction in which a call failed with anything but KEYEXIST, NOTFOUND or a refused key can only be aborted.
// - Bytes are copied in. Nothing given to `put` need outlive the call.
//
// Never used, because the library has bugs or traps there: duplicate keys, nested transactions, a writable map.
// Not offered: a count of dirty pages. The library does not tell it; callers bound a batch by rows and octets.

import CLMDB
import Glibc

/// The one transaction that changes the environment.
package final class WriteTransaction: Transaction {
    private let thread: pthread_t

    init(_ environment: Environment) throws(LMDBError) {
        thread = pthread_self()
        environment.writerWillBegin(thread)
        super.init(environment: environment, handle: try environment.begin(0))
        environment.writerDidBegin(thread)
    }

    deinit {
        // An unfinished transaction leaves nothing behind.
        if handle != nil { abort() }
    }

    /// Stores a value, replacing the one that is there.
    package func put(
        _ db: Database, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
    ) throws(LMDBError) {
        try store(db, key, value, 0, "put")
    }

    /// As above, from arrays.
    package func put(_ db: Database, _ key: [UInt8], _ value: [UInt8]) throws(LMDBError) {
        try store(db, key, value, 0, "put")
    }

    /// Stores a value under a key above all others, which fills pages densely.
    /// - Throws: `isKeyExists` when the key is not above the last one. The transaction stays usable then.
    package func append(
        _ db: Database, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
    ) throws(LMDBError) {
        try store(db, key, value, UInt32(MDB_APPEND), "append")
    }

    /// As above, from arrays.
    package func append(_ db: Database, _ key: [UInt8], _ value: [UInt8]) throws(LMDBError) {
        try store(db, key, value, UInt32(MDB_APPEND), "append")
    }

    /// Removes a row. Returns whether it was there.
    @discardableResult
    package func delete(_ db: Database, _ key: UnsafeRawBufferPointer) throws(LMDBError) -> Bool {
        try LMDBError.checkKey(key, "delete")
        var key = MDB_val(key)
        let code = mdb_del(live, db.handle, &key, nil)
        if code == MDB_NOTFOUND { return false }
        try LMDBError.check(code, "delete")
        return true
    }

    /// As above, from an array.
    @discardableResult
    package func delete(_ db: Database, _ key: [UInt8]) throws(LMDBError) -> Bool {
        let result: Result<Bool, LMDBError> = key.withUnsafeBytes { pointer in
            do throws(LMDBError) {
                return .success(try delete(db, pointer))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Removes rows from `start` (included) up to `end` (not included; nil means to the last row), lowest first.
    ///
    /// Call it again, in further transactions, while it returns `limit`: one transaction should free no more than
    /// about 2,000 pages, because every later commit carries the list of free pages.
    /// - Returns: rows removed, at most `limit`.
    package func deleteRange(
        _ db: Database, from start: [UInt8], to end: [UInt8]?, limit: Int
    ) throws(LMDBError) -> Int {
        let cursor = try Cursor(self, db)
        var removed = 0
        while removed < limit, try cursor.moveToLeast(from: start, below: end) {
            // Each round seeks anew: the position after a delete is where the old library had its cursor bugs.
            try cursor.delete()
            removed += 1
        }
        return removed
    }

    /// Empties a database; with `delete: true` removes it as well, and its handle must not be used again, not even
    /// when this transaction is aborted.
    ///
    /// Frees all its pages in this transaction: for disposable databases and rebuilt projections.
    package func drop(_ db: Database, delete: Bool) throws(LMDBError) {
        try LMDBError.check(mdb_drop(live, db.handle, delete ? 1 : 0), "drop")
    }

    /// Makes all changes durable (unless the environment is `noSync`) and visible to readers that begin afterwards.
    ///
    /// After an error nothing of it is visible. `isIOError` and `isNoSpace` cannot tell a short write from a failed
    /// flush, so whoever owns the environment must stop writing and open it anew.
    package func commit() throws(LMDBError) {
        try LMDBError.check(mdb_txn_commit(finish()), "commit")
    }

    /// Drops all changes.
    package func abort() {
        mdb_txn_abort(finish())
    }

    private func finish() -> OpaquePointer {
        guard pthread_equal(thread, pthread_self()) != 0 else {
            misuse("LMDB: a write transaction must end on the thread that began it")
        }
        let handle = takeHandle()
        // Before the library frees the lock: afterwards another thread may already have set its own mark.
        environment.writerWillEnd()
        return handle
    }

    @inline(__always)
    private func store(
        _ db: Database, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ flags: UInt32,
        _ operation: StaticString
    ) throws(LMDBError) {
        try LMDBError.checkKey(key, operation)
        var key = MDB_val(key)
        var value = MDB_val(value)
        try LMDBError.check(mdb_put(live, db.handle, &key, &value, flags), operation)
    }

    private func store(
        _ db: Database, _ key: [UInt8], _ value: [UInt8], _ flags: UInt32, _ operation: StaticString
    ) throws(LMDBError) {
        let failure: LMDBError? = key.withUnsafeBytes { key in
            value.withUnsafeBytes { value in
                do throws(LMDBError) {
                    try store(db, key, value, flags, operation)
                    return nil
                } catch {
                    return error
                }
            }
        }
        if let failure { throw failure }
    }
}

extension Cursor {
    /// Moves to the least key not below `start`; false when there is none, or none below `end`.
    fileprivate func moveToLeast(from start: [UInt8], below end: [UInt8]?) throws(LMDBError) -> Bool {
        let result: Result<Bool, LMDBError> = start.withUnsafeBytes { start in
            do throws(LMDBError) {
                return .success(try moveToLeast(from: start))
            } catch {
                return .failure(error)
            }
        }
        guard try result.get() else { return false }
        return end?.withUnsafeBytes { key.isOrderedBefore($0) } ?? true
    }
}
