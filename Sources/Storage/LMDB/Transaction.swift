// Reading, the same for every kind of transaction.
//
// Invariants
// - A transaction holds its environment: in release builds an object ends after its last use, and closing the
//   environment unmaps the memory under every live transaction.
// - `handle` is nil from the moment the transaction ends. Use after that ends the process with a text.
// - Pointers into the map reach callers only as closure arguments. They are valid until the closure returns or the
//   same transaction writes, whichever comes first. A closure must return values that own their bytes: the type
//   system does not stop a raw pointer from leaving, the reader of the code must.
//
// Rejected: a `~Copyable` transaction. The store keeps the transaction of a batch in an object behind a class-bound
// protocol, which a `~Copyable` value cannot enter. The check of `handle` costs a branch.

import CLMDB
import Glibc

/// What read and write transactions have in common: a stable view of all databases. Not for concurrent use.
package class Transaction {
    /// The environment this transaction reads. It cannot close before the transaction ends.
    package final let environment: Environment
    /// The C transaction, or nil when it has ended (or, for a snapshot, is parked).
    final var handle: OpaquePointer?
    /// Cursors in use: the transaction must not end under one.
    final var cursorsOpen = 0

    init(environment: Environment, handle: OpaquePointer) {
        self.environment = environment
        self.handle = handle
    }

    @inline(__always)
    final var live: OpaquePointer {
        guard let handle else { misuse("LMDB: this transaction has already been committed, aborted or closed") }
        return handle
    }

    /// Takes the C transaction away, for the one call that ends it.
    final func takeHandle() -> OpaquePointer {
        let taken = live
        guard cursorsOpen == 0 else { misuse("LMDB: a transaction must not end inside one of its own scans") }
        handle = nil
        return taken
    }

    /// The transaction's number: for a reader, the last commit it sees; for a writer, the one it will be.
    package final var identifier: Int { Int(mdb_txn_id(live)) }

    /// The value of a key, or nil. The pointer is good until the next write or the end: never hand it to a caller.
    @usableFromInline
    final func find(_ db: Database, _ key: UnsafeRawBufferPointer) throws(LMDBError) -> UnsafeRawBufferPointer? {
        try LMDBError.checkKey(key, "get")
        var key = MDB_val(key)
        var value = MDB_val()
        let code = mdb_get(live, db.handle, &key, &value)
        if code == MDB_NOTFOUND { return nil }
        try LMDBError.check(code, "get")
        return UnsafeRawBufferPointer(value)
    }

    /// Calls `body` with the value of `key` and returns its result; nil, without calling it, when there is no such key.
    ///
    /// The pointer is valid until `body` returns or writes through this transaction.
    /// - Throws: `LMDBError`, or what `body` throws.
    @inlinable
    package final func get<R>(
        _ db: Database, _ key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> R
    ) throws -> R? {
        guard let value = try find(db, key) else { return nil }
        return try withExtendedLifetime(self) { try body(value) }
    }

    /// As above, with the key in an array.
    @inlinable
    package final func get<R>(
        _ db: Database, _ key: [UInt8], _ body: (UnsafeRawBufferPointer) throws -> R
    ) throws -> R? {
        try key.withUnsafeBytes { try get(db, $0, body) }
    }

    /// A copy of the value of `key`, or nil.
    package final func getBytes(_ db: Database, key: [UInt8]) throws(LMDBError) -> [UInt8]? {
        let result: Result<[UInt8]?, LMDBError> = key.withUnsafeBytes { pointer in
            do throws(LMDBError) {
                return .success(try find(db, pointer).map { [UInt8]($0) })
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Whether `key` is there.
    package final func contains(_ db: Database, _ key: UnsafeRawBufferPointer) throws(LMDBError) -> Bool {
        try find(db, key) != nil
    }

    /// The rows of a database.
    package final func count(_ db: Database) throws(LMDBError) -> Int {
        try statistics(of: db).entries
    }

    /// Rows, depth and pages of a database, as this transaction sees it.
    package final func statistics(of db: Database) throws(LMDBError) -> DatabaseStatistics {
        var stat = MDB_stat()
        try LMDBError.check(mdb_stat(live, db.handle, &stat), "stat")
        return DatabaseStatistics(stat)
    }

    /// Pages that earlier commits freed and that can be used again, those held back by readers included.
    ///
    /// Reads the whole free list: for a metric, not for a hot path.
    package final func freePages() throws(LMDBError) -> Int {
        // Database 0 is the free list: transaction number -> count, then page numbers, all of machine words.
        let cursor = try Cursor(self, Database(handle: 0))
        var total = 0
        while try cursor.move(MDB_NEXT) {
            guard cursor.value.count >= MemoryLayout<UInt>.size else { throw LMDBError.failure(MDB_CORRUPTED, "stat") }
            total += Int(clamping: cursor.value.loadUnaligned(as: UInt.self))
        }
        return total
    }
}

extension MDB_val {
    @inline(__always)
    init(_ bytes: UnsafeRawBufferPointer) {
        self.init(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }
}

extension UnsafeRawBufferPointer {
    @inline(__always)
    init(_ value: MDB_val) {
        self.init(start: value.mv_data, count: value.mv_size)
    }

    /// Octet order, a prefix before what it begins: the order of every tree.
    func isOrderedBefore(_ other: UnsafeRawBufferPointer) -> Bool {
        let common = Swift.min(count, other.count)
        if common > 0, let left = baseAddress, let right = other.baseAddress {
            let order = memcmp(left, right, common)
            if order != 0 { return order < 0 }
        }
        return count < other.count
    }
}
