// The first implementation of the seam: log and state in one LMDB environment, bodies in segment files beside it.
//
//     DIR/STORE       manifest: what this directory is          DIR/LOCK        held by the process that owns it
//     DIR/shard-0000/data.mdb lock.mdb  seg/XXXXXXXX.seg  ballast
//
// Invariants
// - One process, one writer. The lock is taken before anything is read.
// - A batch is acknowledged only after `commit` returned, and bodies are synced before the commit that names them.
// - The database file is allocated ahead of the commit, so a full disk fails there and loses nothing. Any error of the
//   commit itself is a failed flush: the store takes no further batch until it is opened again (PostgreSQL learnt in
//   2018 that a failed fsync cannot be repeated).
// - At open the end of the log must verify. Only then is anything behind the last seal cut off; otherwise it is moved
//   aside and the store refuses to open.
import Digests
import EventFormat
import Glibc
import LMDB
import MailCore
import MailTypes
import Octets
import Synchronization

/// What an open needs to know. Every field has the default of a first run.
package struct LMDBStoreOptions: Sendable {
    package var segments = SegmentOptions()
    /// Batches at the end of the log whose seals and records are verified at open.
    package var sealsVerifiedAtOpen = 64
    package var limits = LocalLimits()
    /// Walk every page of the database before it is opened: for `verify` on a store that is suspect. About a second per
    /// gigabyte.
    package var checksStructure = false
    /// Leave the events behind the fold mark alone, and take no batch: for `rebuildState` on a store whose rows are so
    /// damaged that those events cannot be folded on them.
    package var ignoresRows = false
    /// Allow NFS, overlay and FUSE, which lose or tear what was synced.
    package var allowsUnsafeFileSystem = false
    /// How a transaction is committed. A test puts one here that fails.
    package var commit: @Sendable (WriteTransaction) throws -> Void = { try $0.commit() }
    package init() {}
}

/// Limits of the local store.
package struct LocalLimits: Sendable {
    /// Rows of expired commands dropped by one batch, so that no transaction frees more pages than LMDB does well.
    package var dedupPrunedPerBatchMax = 1000
    /// Bytes of the database file kept allocated beyond its end.
    package var allocationStepOctets = 8 << 20
    /// Bytes one batch is expected to add to the database: 512 commands of a few pages each.
    package var batchGrowthOctetsMax = 4 << 20
    /// Rows that may wait for a fold. A batch that passes it folds at once, so an open replays no more than this.
    package var unfoldedRowsMax = 8192
    /// Octets of such rows.
    package var unfoldedOctetsMax = 8 << 20
    /// Events whose rows may wait for a fold.
    package var unfoldedEventsMax = 8192
    /// A batch that comes later than this behind the first unfolded one folds.
    package var unfoldedMillisecondsMax: UInt64 = 1000
    static let pageOctets = 4096
    package init() {}
}

/// Where the bodies on stable storage end, and the number the next one gets.
struct BodyTail: Sendable {
    var segment: UInt32
    var offset: UInt64
    var nextBlob: UInt64
}

/// Where the log ends.
struct LogEnd: Sendable {
    var lsn: UInt64
    var time: Timestamp
    var seal: SHA256Digest
    var timeline: Timeline
}

package final class LMDBStore: ShardStore {
    package let directory: String
    package let manifest: StoreManifest
    let environment: Environment
    /// A rebuild puts another state tree in the place of the one in use.
    private let tablesInUse: Mutex<LocalTables>
    var tables: LocalTables { tablesInUse.withLock { $0 } }
    let bodies: SegmentStore
    let limits: LocalLimits
    /// Rows that the log implies and LMDB does not hold yet.
    let published: PublishedRows
    private let commitTransaction: @Sendable (WriteTransaction) throws -> Void
    /// Drawn at each open; says in every seal which run of the node wrote it.
    let writerInstance: UInt64
    private let lock: StoreLock
    private let end: Mutex<LogEnd>
    private let counters: Mutex<Counters>

    private struct Counters {
        /// Where the bodies on stable storage end.
        var synced: BodyTail
        var statistics = StoreStatistics()
        var failure: String?
        var clockBehind = false
        var allocatedOctets = 0
    }

    /// Makes an empty store in `directory`, which must not hold one.
    package static func create(_ directory: String, options: LMDBStoreOptions = LMDBStoreOptions()) throws(StoreError) {
        let shard = directory + "/shard-0000"
        try makeDirectory(directory)
        if let refusal = FileSystemCheck.refusal(path: directory), !options.allowsUnsafeFileSystem {
            throw .unusable(refusal)
        }
        let lock = try acquire(directory)
        guard access(directory + "/STORE", F_OK) != 0 else {
            throw .unusable("\(directory) holds a store already")
        }
        try makeDirectory(shard)
        let manifest = StoreManifest(uuid: randomBytes(count: 16), shards: 1)
        do {
            let environment = try Environment(directory: shard)
            let tables = try LocalTables.open(environment, create: true)
            try environment.write {
                try FoldMark(lsn: 0).write($0, tables)
                try tables.markUIDLsComplete($0)
            }
        } catch {
            throw .failed("\(shard): \(error)")
        }
        try SegmentStore.create(
            directory: shard + "/seg", storeUUID: manifest.uuid, shard: 0, options: options.segments)
        // A sync of a file need not keep its name: the folders are synced for that, from the inside out.
        try syncDirectory(shard)
        try syncDirectory(directory)
        // The parent is another's and need not be readable for us.
        try? syncDirectory(directory + "/..")
        // The manifest comes last: a directory without one is no store, and create can be tried again.
        try manifest.write(directory)
        withExtendedLifetime(lock) {}
    }

    /// Opens a store, verifies the end of its log and cuts off what no seal covers.
    package init(_ directory: String, options: LMDBStoreOptions = LMDBStoreOptions()) throws(StoreError) {
        self.directory = directory
        limits = options.limits
        commitTransaction = options.commit
        guard access(directory + "/STORE", F_OK) == 0 else {
            throw .unusable("\(directory) holds no store; `letterlog init --store \(directory)` makes one")
        }
        if let refusal = FileSystemCheck.refusal(path: directory), !options.allowsUnsafeFileSystem {
            throw .unusable(refusal)
        }
        lock = try Self.acquire(directory)
        manifest = try StoreManifest.read(directory)
        let shard = directory + "/shard-0000"
        do {
            // Before the library maps the file: it believes what it finds there.
            try FailedCommit.check(shard)
            if options.checksStructure { try StructureCheck.checkTrees(directory: shard) }
            environment = try Environment(directory: shard)
            tablesInUse = Mutex(try LocalTables.open(environment, create: false))
        } catch {
            throw .damaged("\(shard): \(error)")
        }
        var words = SystemRandom()
        writerInstance = words.next()
        let tables = tablesInUse.withLock { $0 }
        let tail: LogTail
        do {
            let mark = try manifest.hasFoldMark ? FoldMark.read(environment, tables) : nil
            tail = try LogTail.verify(
                environment, tables, batches: options.sealsVerifiedAtOpen, after: mark?.lsn ?? .max)
            let replayed = options.ignoresRows ? .max : mark?.lsn ?? .max
            published = PublishedRows(try TailReplay.run(environment, tables, after: replayed))
        } catch {
            let reason = "the end of the log does not verify: \(error)"
            throw .damaged(reason)
        }
        let timeline = tail.end?.timeline ?? Timeline(high: words.next(), low: words.next())
        end = Mutex(tail.end ?? LogEnd(lsn: 0, time: Timestamp(rawValue: 0), seal: .zero, timeline: timeline))
        bodies = try SegmentStore.open(
            directory: shard + "/seg", storeUUID: manifest.uuid, shard: 0, options: options.segments,
            tail: (segment: tail.segment, offset: tail.offset), nextBlob: tail.nextBlob)
        counters = Mutex(
            Counters(
                synced: Self.tail(of: bodies), failure: options.ignoresRows ? "it was opened to be rebuilt" : nil))
        if manifest.format < StoreManifest.formatNewest { try raiseFormat() }
    }

    /// An older program would take the rows of a store with unfolded ones for its state, or not know their version, so it
    /// has to refuse it. The mark comes first: a store of format 2 has one. A mark in a store of format 1 means nothing.
    private func raiseFormat() throws(StoreError) {
        if !manifest.hasFoldMark {
            do {
                try FoldMark(lsn: logEnd.lsn).write(environment, tables)
            } catch {
                throw .failed("mark of the folded rows: \(error)")
            }
        }
        var raised = manifest
        raised.format = StoreManifest.formatNewest
        try raised.write(directory)
    }

    private static func tail(of bodies: SegmentStore) -> BodyTail {
        let tail = bodies.tail
        return BodyTail(segment: tail.segment, offset: tail.offset, nextBlob: bodies.nextBlob)
    }

    /// What the next seal says of the bodies: never more than is on stable storage, although the body thread may have
    /// staged those of the next batch already.
    var syncedBodies: BodyTail { counters.withLock { $0.synced } }

    private static func acquire(_ directory: String) throws(StoreError) -> StoreLock {
        do throws(StoreLockError) {
            return try StoreLock(path: directory + "/LOCK")
        } catch {
            throw .owned("\(directory): \(error)")
        }
    }

    private static func makeDirectory(_ path: String) throws(StoreError) {
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw .unusable("\(path): \(String(cString: strerror(errno)))")
        }
    }

    /// Makes the names in a directory durable.
    private static func syncDirectory(_ path: String) throws(StoreError) {
        let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .unusable("\(path): \(String(cString: strerror(errno)))") }
        defer { Glibc.close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .failed("fsync \(path): \(String(cString: strerror(errno)))") }
    }

    // MARK: ShardStore

    package func read<R>(_ body: (any ShardReader) throws -> R) throws -> R {
        try readDerived { try body(LocalReader($0)) }
    }

    package func beginBatch(now: Timestamp) throws(StoreError) -> any ShardBatch {
        if let failure { throw .failed(failure) }
        try allocateAhead()
        do {
            return LocalBatch(self, try environment.beginWrite(), published.current, end: logEnd, now: now)
        } catch {
            throw .failed("\(error)")
        }
    }

    package func stage(_ source: any BodySource) throws(StoreError) -> StagedBody {
        let staged = try bodies.stage(source)
        counters.withLock { $0.statistics.bodyBytesStaged += UInt64(staged.reference.size) }
        return staged
    }

    package func syncBodies() throws(StoreError) {
        do throws(StoreError) {
            try bodies.sync()
        } catch {
            fail("\(error)")
            throw error
        }
        let synced = Self.tail(of: bodies)
        counters.withLock {
            $0.statistics.bodySyncs += 1
            $0.synced = synced
        }
    }

    package func openBody(_ blob: BlobNumber) throws(StoreError) -> any BodyHandle {
        let row: BlobRow?
        do {
            row = try readDerived { try LocalView($0).blobRow(blob) }
        } catch {
            throw .damaged("\(error)")
        }
        guard let row else { throw .damaged("body \(blob.rawValue) is not stored") }
        return try bodies.open(row)
    }

    package func freeBytes() throws(StoreError) -> UInt64 {
        var info = statvfs()
        guard statvfs(directory, &info) == 0 else { throw .failed(String(cString: strerror(errno))) }
        return UInt64(info.f_bavail) * UInt64(info.f_frsize)
    }

    package var statistics: StoreStatistics {
        var statistics = counters.withLock { $0.statistics }
        statistics.databaseBytes = UInt64(environment.usedOctets)
        let segments = bodies.statistics
        statistics.unfoldedRows = published.current.count
        statistics.segments = segments.segments
        statistics.segmentBytes = segments.octets
        return statistics
    }

    /// Folds what is left, so that the next open has nothing to replay; when that fails, it replays.
    package func close() {
        try? settle()
        bodies.close()
    }

    package var reserveOctets: UInt64 { bodies.ballastOctets }
    package var holdsReserve: Bool { bodies.holdsBallast }
    package func releaseReserve() throws(StoreError) { try bodies.releaseBallast() }
    package func restoreReserve() throws(StoreError) { try bodies.restoreBallast() }

    func use(_ state: Database, named name: String) {
        tablesInUse.withLock { tables in
            tables = LocalTables(
                log: tables.log, blob: tables.blob, state: state, dedup: tables.dedup, gc: tables.gc,
                meta: tables.meta, stateName: name)
        }
    }

    // MARK: For batches

    var logEnd: LogEnd { end.withLock { $0 } }

    /// Whether this batch is the first since the clock stepped back by `step` milliseconds.
    func noteClock(step: UInt64) -> Bool {
        counters.withLock { counters in
            defer { counters.clockBehind = step > 0 }
            return step > 0 && !counters.clockBehind
        }
    }

    func commit(
        _ write: WriteTransaction, end newEnd: LogEnd, unfolded: UnfoldedRows, events: Int
    ) throws(StoreError) -> CommitReceipt {
        try commit(write, unfolded)
        end.withLock { $0 = newEnd }
        counters.withLock {
            $0.statistics.batches += 1
            $0.statistics.events += UInt64(events)
        }
        return CommitReceipt(head: Cursor(newEnd.lsn), events: events)
    }

    /// Commits a transaction behind which `unfolded` are the rows that LMDB does not hold.
    func commit(_ write: WriteTransaction, _ unfolded: UnfoldedRows) throws(StoreError) {
        let before = environment.lastTransaction
        published.announce(unfolded, for: before + 1)
        do {
            try commitTransaction(write)
        } catch {
            published.withdraw()
            fail("commit of batch after record \(logEnd.lsn): \(error)")
            FailedCommit.mark(directory + "/shard-0000")
            throw .failed("\(error)")
        }
        published.confirm()
        // Two writers would show here: a lost lock file lets a second process in (engine.md section 1.4).
        guard environment.lastTransaction == before + 1 else {
            fail("another writer committed to this store")
            throw .failed("another writer committed to this store")
        }
    }

    func noteFold() { counters.withLock { $0.statistics.folds += 1 } }

    var failure: String? { counters.withLock { $0.failure } }

    private func fail(_ reason: String) {
        counters.withLock { if $0.failure == nil { $0.failure = reason } }
    }

    /// Keeps zeros beyond the end of the database, so that the commit's own writes cannot run out of blocks.
    ///
    /// What a fold can need is in it, one page for each unfolded row: whatever waits can be folded on a full disk.
    func allocateAhead() throws(StoreError) {
        let needed =
            environment.usedOctets + limits.batchGrowthOctetsMax + published.current.count * LocalLimits.pageOctets
        let allocated = counters.withLock { $0.allocatedOctets }
        guard needed > allocated else { return }
        let wanted = needed + limits.allocationStepOctets
        do throws(LMDBError) {
            try environment.extend(octets: wanted)
            counters.withLock { $0.allocatedOctets = wanted }
        } catch {
            guard error.isNoSpace else { throw .failed("allocation of the database: \(error)") }
            // Less than a whole step was to be had. What this batch can need may be there all the same, and then
            // deletions go on longer on a full disk.
            guard environment.dataFileBytes >= needed else { throw .full }
        }
    }
}
