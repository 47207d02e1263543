// One LMDB environment: a directory with data.mdb and lock.mdb, mapped into memory.
//
// Invariants
// - One process opens it, once. The process keeps others out with `StoreLock`; a second open in this process is
//   refused here, because closing either would drop the file locks of both.
// - Opened and its databases named before the threads that use it, and never carried through a fork.
// - Durable and safe means no flag but NOTLS: a reader slot then belongs to the transaction, not to the thread.
//   NOSYNC may corrupt the file at a power cut: only for caches that are wiped after an unclean end.
// - The data file is never opened a second time (its locks would drop); its size is asked by name.
//
// Rejected: a pool of renewed readers. Opening one costs under 0.1 us, and a pool needs a lock of its own.

import CLMDB
import Glibc
import Synchronization

/// An open environment. Reads may run on any thread at once; one write transaction at a time.
// Safe to share: the C environment is made for threads, and everything else here is constant, atomic or locked.
package final class Environment: @unchecked Sendable {
    /// How to open an environment.
    package struct Options: Sendable {
        /// Address space to reserve, in octets: the file's upper limit. The same in every run; there is no resizing.
        package var mapBytes: Int
        /// Reader slots. A lock file left by a run with more keeps the larger number.
        package var readersMax: UInt32
        package var databasesMax: UInt32
        /// Permission bits of new files.
        package var mode: UInt32
        package var readOnly: Bool
        /// No read-ahead of the mapped file: better once it is larger than memory.
        package var noReadahead: Bool
        /// Commit without flushing. For disposable caches only: a power cut can corrupt the file.
        package var noSync: Bool

        package init(
            mapBytes: Int = Limits.mapOctets, readersMax: UInt32 = Limits.readersMax,
            databasesMax: UInt32 = Limits.databasesMax, mode: UInt32 = 0o600, readOnly: Bool = false,
            noReadahead: Bool = false, noSync: Bool = false
        ) {
            self.mapBytes = mapBytes
            self.readersMax = readersMax
            self.databasesMax = databasesMax
            self.mode = mode
            self.readOnly = readOnly
            self.noReadahead = noReadahead
            self.noSync = noSync
        }
    }

    /// The directory this environment lives in.
    package let directory: String
    private let handle: OpaquePointer
    private let options: Options
    private let identity: OpenDirectories.Identity
    /// The thread that has the write transaction, or 0. Catches a second begin on it, which would wait for ever.
    private let writerThread = Atomic<UInt>(0)
    private let databases = Mutex<Void>(())

    /// Opens an environment, making the directory (0700) and the files when they are not there.
    /// - Throws: `isBusy` when this process has it open already, `isCorrupted`, or the system's error.
    package init(directory: String, options: Options = Options()) throws(LMDBError) {
        if !options.readOnly, mkdir(directory, 0o700) != 0, errno != EEXIST {
            throw LMDBError.failure(errno, "make the directory")
        }
        let identity = try OpenDirectories.claim(directory)
        do throws(LMDBError) {
            handle = try Self.open(directory, options)
        } catch {
            OpenDirectories.release(identity)
            throw error
        }
        self.directory = directory
        self.options = options
        self.identity = identity
    }

    deinit {
        mdb_env_close(handle)
        OpenDirectories.release(identity)
    }

    /// Opens a named database. Call it once per name, before other threads use the environment.
    /// - Throws: `isNotFound` when it does not exist and `create` is false, `isDatabasesFull`.
    package func openDatabase(_ name: String, create: Bool) throws(LMDBError) -> Database {
        let result: Result<Database, LMDBError> = databases.withLock { _ in
            do throws(LMDBError) {
                return .success(try openDatabaseLocked(name, create: create && !options.readOnly))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private func openDatabaseLocked(_ name: String, create: Bool) throws(LMDBError) -> Database {
        if create { writerWillBegin(pthread_self()) }
        let transaction = try begin(create ? 0 : UInt32(MDB_RDONLY))
        var opened: MDB_dbi = 0
        var flags: UInt32 = 0
        var code = mdb_dbi_open(transaction, name, create ? UInt32(MDB_CREATE) : 0, &opened)
        if code == MDB_SUCCESS { code = mdb_dbi_flags(transaction, opened, &flags) }
        // A database of another kind (duplicate keys, integer keys) was not made by us and would be misread.
        if code == MDB_SUCCESS, flags & ~UInt32(MDB_CREATE) != 0 { code = MDB_INCOMPATIBLE }
        guard code == MDB_SUCCESS else {
            mdb_txn_abort(transaction)
            throw LMDBError.failure(code, "open a database")
        }
        // A handle outlives its transaction only when that is committed, also when it only reads.
        try LMDBError.check(mdb_txn_commit(transaction), "open a database")
        return Database(handle: opened)
    }

    /// Runs `body` with a view of the last commit. Any thread, many at once; also beside a write transaction on the
    /// same thread, whose changes it does not see.
    ///
    /// Nothing that points into the map may leave `body`, and `body` must not keep the transaction.
    /// - Throws: `isReadersFull`, another `LMDBError`, or what `body` throws.
    package func read<R>(_ body: (ReadTransaction) throws -> R) throws -> R {
        let transaction = ReadTransaction(environment: self, handle: try begin(UInt32(MDB_RDONLY)))
        defer { transaction.end() }
        return try body(transaction)
    }

    /// As above, where `pairing` calls the closure it is given, which takes the view, and finds what goes with it.
    ///
    /// For what is kept beside the environment and changes with its commits: `pairing` can hold the lock of both.
    package func read<Companion, R>(
        pairing: (_ begin: () throws -> ReadTransaction) throws -> (ReadTransaction, Companion),
        _ body: (ReadTransaction, Companion) throws -> R
    ) throws -> R {
        let (transaction, companion) = try pairing {
            ReadTransaction(environment: self, handle: try begin(UInt32(MDB_RDONLY)))
        }
        defer { transaction.end() }
        return try body(transaction, companion)
    }

    /// Begins the write transaction, waiting while another thread has it.
    ///
    /// It belongs to this thread: commit or abort it here.
    package func beginWrite() throws(LMDBError) -> WriteTransaction {
        try WriteTransaction(self)
    }

    /// Runs `body` in a write transaction and commits it; aborts it when `body` throws.
    package func write<R>(_ body: (WriteTransaction) throws -> R) throws -> R {
        let transaction = try beginWrite()
        let result: R
        do {
            result = try body(transaction)
        } catch {
            transaction.abort()
            throw error
        }
        try transaction.commit()
        return result
    }

    /// Puts everything committed on stable storage: for an environment that is `noSync`, before it is closed.
    package func flush() throws(LMDBError) {
        try LMDBError.check(withHandle { mdb_env_sync($0, 1) }, "flush")
    }

    func begin(_ flags: UInt32) throws(LMDBError) -> OpaquePointer {
        var transaction: OpaquePointer?
        let code = mdb_txn_begin(handle, nil, flags, &transaction)
        guard code == MDB_SUCCESS, let transaction else { throw LMDBError.failure(code, "begin") }
        return transaction
    }

    func writerWillBegin(_ thread: pthread_t) {
        if writerThread.load(ordering: .relaxed) == UInt(thread) {
            misuse("LMDB: this thread already has a write transaction open")
        }
    }

    func writerDidBegin(_ thread: pthread_t) { writerThread.store(UInt(thread), ordering: .relaxed) }

    func writerWillEnd() { writerThread.store(0, ordering: .relaxed) }

    private static func open(_ directory: String, _ options: Options) throws(LMDBError) -> OpaquePointer {
        var created: OpaquePointer?
        try LMDBError.check(mdb_env_create(&created), "create an environment")
        guard let env = created else { throw LMDBError.failure(ENOMEM, "create an environment") }
        do throws(LMDBError) {
            try LMDBError.check(mdb_env_set_mapsize(env, options.mapBytes), "set the map size")
            try LMDBError.check(mdb_env_set_maxreaders(env, options.readersMax), "set the reader slots")
            try LMDBError.check(mdb_env_set_maxdbs(env, options.databasesMax), "set the database count")
            var flags = UInt32(MDB_NOTLS)
            if options.readOnly { flags |= UInt32(MDB_RDONLY) }
            if options.noReadahead { flags |= UInt32(MDB_NORDAHEAD) }
            if options.noSync { flags |= UInt32(MDB_NOSYNC) }
            if !options.readOnly { try allocateLockFile(directory, options) }
            try LMDBError.check(mdb_env_open(env, directory, flags, options.mode), "open the environment")
            guard mdb_env_get_maxkeysize(env) >= Limits.keyOctetsMax else {
                throw LMDBError.failure(MDB_INCOMPATIBLE, "open the environment")
            }
            try closeOnExec(env)
            // Slots of a process that died stay taken until someone looks.
            try LMDBError.check(mdb_reader_check(env, nil), "check the readers")
        } catch {
            mdb_env_close(env)
            throw error
        }
        return env
    }

    /// Reserves the blocks of the lock file. The library maps it as a sparse file and writes to it: a reader that takes
    /// a slot on a page without a block would be killed by SIGBUS when the disk is full.
    ///
    /// Before the library opens the file, as closing it later would drop the process's locks on it. The size stays, as
    /// the library takes the number of slots from it.
    private static func allocateLockFile(_ directory: String, _ options: Options) throws(LMDBError) {
        let descriptor = Glibc.open(directory + "/lock.mdb", O_RDWR | O_CREAT | O_CLOEXEC, mode_t(options.mode))
        guard descriptor >= 0 else { throw LMDBError.failure(errno, "open the lock file") }
        defer { close(descriptor) }
        // 64 octets for each slot and less than eight times that before them (lmdb 0.9, MDB_txninfo).
        let octets = (Int(options.readersMax) + 8) * 64
        guard fallocate(descriptor, FALLOC_FL_KEEP_SIZE, 0, off_t(octets)) == 0 else {
            // A file system that cannot reserve is used as it is.
            if errno == EOPNOTSUPP { return }
            throw LMDBError.failure(errno == EDQUOT ? ENOSPC : errno, "allocate the lock file")
        }
    }

    /// The library opens the data file without O_CLOEXEC (0.9.24), so a child process would inherit it.
    private static func closeOnExec(_ env: OpaquePointer) throws(LMDBError) {
        var descriptor: mdb_filehandle_t = -1
        try LMDBError.check(mdb_env_get_fd(env, &descriptor), "find the data file")
        let flags = fcntl(descriptor, F_GETFD)
        guard flags >= 0, fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC) == 0 else {
            throw LMDBError.failure(errno, "close on exec")
        }
    }

    /// Runs `body` with the C environment, for the other files of this room.
    func withHandle<R>(_ body: (OpaquePointer) -> R) -> R { body(handle) }
}

/// The environments this process has open, by device and inode of their directory.
private enum OpenDirectories {
    struct Identity: Hashable, Sendable {
        let device: UInt
        let inode: UInt
    }

    private static let open = Mutex<Set<Identity>>([])

    static func claim(_ directory: String) throws(LMDBError) -> Identity {
        var status = stat()
        guard stat(directory, &status) == 0 else { throw LMDBError.failure(errno, "find the directory") }
        let identity = Identity(device: UInt(status.st_dev), inode: UInt(status.st_ino))
        guard open.withLock({ $0.insert(identity).inserted }) else {
            throw LMDBError.failure(EBUSY, "open the environment a second time")
        }
        return identity
    }

    static func release(_ identity: Identity) {
        open.withLock { _ = $0.remove(identity) }
    }
}
