import CLMDB
import Glibc

/// A call to the storage library that did not succeed. Key and value never appear in it.
package struct LMDBError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The library's own code when negative (`MDB_…`), otherwise an `errno`.
    package let code: Int32
    /// What was being done, such as "put" or "commit".
    package let operation: String

    package init(code: Int32, operation: String) {
        self.code = code
        self.operation = operation
    }

    /// The operation, the library's text for the code, and the code.
    package var description: String {
        let text = mdb_strerror(code).map { String(cString: $0) } ?? "unknown error"
        return "\(operation): \(text) (\(code))"
    }

    /// No such key, or no such named database.
    package var isNotFound: Bool { code == MDB_NOTFOUND }
    /// The key exists, or an append was not above the last key.
    package var isKeyExists: Bool { code == MDB_KEYEXIST }
    /// The map has no page left. The transaction can only be aborted; the environment stays usable.
    package var isMapFull: Bool { code == MDB_MAP_FULL }
    /// Every reader slot is taken.
    package var isReadersFull: Bool { code == MDB_READERS_FULL }
    /// More named databases than `Options.databasesMax`.
    package var isDatabasesFull: Bool { code == MDB_DBS_FULL }
    /// One transaction touched more pages than the library can track.
    package var isTransactionFull: Bool { code == MDB_TXN_FULL }
    /// An earlier call of this transaction failed, so only `abort` is left to it.
    package var isBadTransaction: Bool { code == MDB_BAD_TXN }
    /// A key that is empty or over `Limits.keyOctetsMax`, or a value the library cannot take.
    package var isBadValueSize: Bool { code == MDB_BAD_VALSIZE }
    /// The file is damaged, of another version, or not a database file.
    package var isCorrupted: Bool {
        code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_INVALID || code == MDB_VERSION_MISMATCH
    }
    /// Writing the meta page failed earlier; the environment refuses everything until it is opened anew.
    package var isPanic: Bool { code == MDB_PANIC }
    /// The disk answered with an error. A full disk can look like this too: LMDB reports a short write as EIO.
    package var isIOError: Bool { code == EIO }
    /// The file system has no space left.
    package var isNoSpace: Bool { code == ENOSPC }
    /// The environment is already open in this process.
    package var isBusy: Bool { code == EBUSY }

    /// Throws when a result code is not success.
    @inline(__always)
    static func check(_ code: Int32, _ operation: StaticString) throws(LMDBError) {
        if code != MDB_SUCCESS { throw failure(code, operation) }
    }

    /// Refuses a key the library would refuse, or would misread as a prefix.
    @inline(__always)
    static func checkKey(_ key: UnsafeRawBufferPointer, _ operation: StaticString) throws(LMDBError) {
        if key.count == 0 || key.count > Limits.keyOctetsMax { throw failure(MDB_BAD_VALSIZE, operation) }
    }

    @inline(never)
    static func failure(_ code: Int32, _ operation: StaticString) -> LMDBError {
        LMDBError(code: code, operation: operation.description)
    }
}

/// Ends the process with a text, for a mistake of ours that must not go on to touch freed memory.
///
/// Not `preconditionFailure`: that one drops its text in release builds.
@inline(never)
func misuse(_ text: StaticString) -> Never {
    fatalError(text.description)
}
