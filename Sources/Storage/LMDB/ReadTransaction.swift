import CLMDB

/// A view of the last commit, for the time of one closure. `Environment.read` makes it.
///
/// While it is open the pages it sees cannot be reused: a writer then makes the file grow, about 10 KB per change.
/// Readers are meant to last milliseconds; the store's limit is two seconds.
package final class ReadTransaction: Transaction {
    func end() {
        mdb_txn_abort(takeHandle())
    }

    deinit {
        if let handle { mdb_txn_abort(handle) }
    }
}

/// A view of one commit that is kept open on purpose: for a backup or a long scan.
///
/// Its owner bounds its life. `age` and `transactionsBehind` are there to be watched; between two parts of a long
/// scan, remember the key, `renew`, and go on from it. It may move between threads, used by one at a time.
package final class Snapshot: Transaction {
    /// The C transaction while it holds no commit: its reader slot is kept, pages are free to be reused.
    private var parked: OpaquePointer?
    /// When this view was taken, by the caller's clock.
    package private(set) var takenAt: ContinuousClock.Instant

    /// Takes a view of the last commit.
    /// - Parameter instant: now, by the caller's clock.
    package init(_ environment: Environment, at instant: ContinuousClock.Instant) throws(LMDBError) {
        takenAt = instant
        super.init(environment: environment, handle: try environment.begin(UInt32(MDB_RDONLY)))
    }

    deinit {
        if let open = handle ?? parked { mdb_txn_abort(open) }
    }

    /// How long this view has been held.
    package func age(at instant: ContinuousClock.Instant) -> Duration { takenAt.duration(to: instant) }

    /// Commits made since this view was taken.
    package var transactionsBehind: Int { max(0, environment.lastTransaction - identifier) }

    /// Lets the view go and keeps the reader slot. Only `renew` and `close` may follow.
    package func reset() {
        let handle = takeHandle()
        mdb_txn_reset(handle)
        parked = handle
    }

    /// Moves on to the last commit.
    /// - Parameter instant: now, by the caller's clock.
    package func renew(at instant: ContinuousClock.Instant) throws(LMDBError) {
        if handle != nil { reset() }
        guard let parked else { misuse("LMDB: this snapshot has already been closed") }
        try LMDBError.check(mdb_txn_renew(parked), "renew a snapshot")
        self.parked = nil
        handle = parked
        takenAt = instant
    }

    /// Ends the snapshot and gives its reader slot back. A second call does nothing.
    package func close() {
        if handle != nil { parked = takeHandle() }
        if let parked { mdb_txn_abort(parked) }
        parked = nil
    }
}
