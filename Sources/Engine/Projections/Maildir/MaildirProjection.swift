// The Maildir projection: follows the log and keeps a tree of Maildirs equal to the state, for mutt, Dovecot and people.
//
// One way, unless the account's setting says otherwise: what others change in the tree is undone when it is next looked at,
// and what they put there is left alone. In two-way accounts it becomes events (the folder TwoWay). Events say where to
// look; what a file should be is read from the state as it is then. So a file may be ahead of the event that led to it,
// never behind the checkpoint, and every step may be done again.
//
// Invariants (engine.md, 29-30)
// - Once the log is at rest the tree is a function of the state, and a second run changes nothing.
// - The checkpoint is written after `syncfs`, so it never names an event whose files a power cut could take.
// - Only files of our shape are renamed or removed. A folder whose list another program made stops the projection.
//
// Rejected: a fsync for each file (the log is the truth, a lost file is written again); a table of projected names in
// the store (names follow from the state but for the letters, and those stand in the directory); reading the directory
// for each change (its cost grows with the mailbox).
//
// Used by one thread at a time. `MaildirProjector` gives it one of its own.
import EventStore
import Glibc
import MailCore
import MailEngine
import MailTypes

/// Where the tree lies and how its files are called.
package struct MaildirOptions: Sendable {
    /// The directory of the tree; must be on a local file system.
    package var root: String
    /// The host part of file names: letters, digits, `-`, `_`, `.`; at most 64 octets.
    package var host: String
    package init(root: String, host: String = "letterlog") {
        precondition(!host.isEmpty && host.utf8.count <= 64 && host.utf8.allSatisfy(MaildirHost.allows))
        self.root = root
        self.host = host
    }
}

package final class MaildirProjection {
    /// The account setting that says how tree and state stand to each other, a `MaildirMode`.
    package static let settingKey = "maildir"

    let engine: MailEngine
    let options: MaildirOptions
    private let sliceEventsMax: Int
    let disk: MaildirDisk
    /// Told of what an operator may want to know: foreign files left in place.
    let report: (String) -> Void
    var accounts: [AccountID: AccountMemory] = [:]
    /// Two-way accounts, and what is remembered of the looks at their trees.
    var imports: [AccountID: AccountImport] = [:]
    package internal(set) var importCounts = MaildirImportCounts()
    /// Where the next round of looks begins.
    var nextImport = AccountID(0)
    /// Which folders of theirs others have touched.
    let watch: TreeWatch
    /// Ticks at each use, for forgetting what was used longest ago.
    var tick: UInt64 = 0
    /// Everything at or below it is in the tree, though not yet synced.
    package private(set) var projected = Cursor.start
    /// Everything at or below it is on stable storage.
    package private(set) var checkpoint = Cursor.start
    /// Whole folders were made as the state has them, so the next checkpoint should not wait.
    package internal(set) var isCheckpointWanted = false
    /// Arrivals at or below it may be in the tree already, from a run that did not reach its checkpoint.
    private var horizon = Cursor.start
    /// What others did up to it and the log has may be in the tree no more: a power cut took what nothing had synced.
    private(set) var doubtful = Cursor.start
    /// Accounts whose trees are to be made as the state has them, or all...
    var rebuilding: Set<AccountID> = []
    var isRebuildingAll = false
    /// ...and those that were, and are not on stable storage yet.
    var rebuilt: Set<AccountID> = []
    var isRebuiltAll = false
    /// Files changed from this moment on, in nanoseconds since 1970, are read before they are believed to be whole: a run
    /// wrote them that ended before they were synced. Until its events are done again and synced.
    private(set) var distrusted: Int64?
    /// A sync has failed since: then reading them tells nothing, for the page cache may show what the disk does not have.
    private(set) var isCacheDistrusted = false
    /// The log's last event at the start.
    private var opened = Cursor.start
    /// Of the running system; nil where it has none, and then nothing that is not synced is relied on.
    private let boot: String?
    private var isOpen = false

    /// - Parameters:
    ///   - sliceEventsMax: events taken from the log at a time.
    ///   - watchesMax: folders' parts that are watched; 0 for none.
    ///   - boot: tells a boot of the machine from others.
    ///   - fileNumber: the number of a file made of the system's, for tests with copies of a disk.
    ///   - reached: called after each named step; what it throws stops the projection there, for tests.
    ///   - report: one line of text for the log.
    package init(
        engine: MailEngine, options: MaildirOptions, sliceEventsMax: Int = MaildirLimits.sliceEventsMax,
        watchesMax: Int = MaildirLimits.watchesMax, boot: String? = MaildirOptions.currentBoot(),
        fileNumber: @escaping (UInt64) -> UInt64 = { $0 }, reached: @escaping (MaildirStep) throws -> Void = { _ in },
        report: @escaping (String) -> Void = { _ in }
    ) {
        self.engine = engine
        self.options = options
        self.sliceEventsMax = sliceEventsMax
        self.boot = boot
        watch = TreeWatch(watchesMax: watchesMax)
        disk = MaildirDisk(reached: reached, fileNumber: fileNumber)
        self.report = report
    }

    package var filesWritten: UInt64 { disk.filesWritten }
    package var octetsWritten: UInt64 { disk.octetsWritten }
    /// Folders of two-way accounts that were looked at.
    package var looks: UInt64 { importCounts.looks }
    /// Something was changed, or events were passed, since the checkpoint.
    package var isUnsynced: Bool { projected != checkpoint || disk.changes > 0 || isRebuilt }

    /// Where our own files about the tree lie.
    var stateDirectory: String { options.root + "/.letterlog" }

    // MARK: Following the log

    /// Projects the next slice of the log. The first call reads the checkpoint, and without a usable one makes the
    /// whole tree equal to the state.
    /// - Returns: false when there was nothing more to do.
    package func step() throws -> Bool {
        do {
            if try openIfNeeded() { return true }
            try finishRebuilds()
            let work = try nextSlice()
            guard work.end != projected else { return false }
            try apply(work)
            projected = work.end
            try storeMark()
            return true
        } catch {
            // What was done of the slice is not known, so nothing of it counts as new and nothing is remembered.
            accounts = [:]
            horizon = Cursor(.max)
            throw error
        }
    }

    /// Projects all there is.
    package func catchUp() throws {
        while try step() {}
    }

    /// Makes what was projected durable, then notes how far that was.
    package func storeCheckpoint() throws {
        guard isOpen, isUnsynced else { return }
        let reached = projected
        do {
            try disk.syncFileSystem(options.root)
        } catch {
            // The kernel may have dropped what it could not write: all since the checkpoint is done again.
            projected = checkpoint
            accounts = [:]
            repeatRebuilds()
            horizon = Cursor(.max)
            doubtful = try engine.read { $0.head }
            opened = doubtful
            distrusted = try checkpointTime()
            isCacheDistrusted = true
            try MaildirMark.remove(in: stateDirectory, disk)
            throw error
        }
        try MaildirCheckpoint(cursor: reached, store: storeIdentity(), host: options.host)
            .store(in: stateDirectory, disk)
        checkpoint = reached
        isCheckpointWanted = false
        if reached >= opened {
            distrusted = nil
            isCacheDistrusted = false
        }
        try forgetRebuilds()
    }

    /// Notes how far the tree is on the running system, for the sake of two-way accounts: what is missed there later was
    /// taken by somebody, and is not yet to be written.
    private func storeMark() throws {
        guard let boot, hasImports else { return }
        let reached = MaildirCheckpoint(cursor: projected, store: try storeIdentity(), host: options.host)
        do {
            try MaildirMark(boot: boot, reached: reached).store(in: stateDirectory, disk)
        } catch is MaildirFailure {
            // The mark of before stands, or none: less is known after a kill, and nothing is wrong.
        }
    }

    /// Takes the mark of a node that was killed while this boot ran.
    private func resume(_ head: Cursor, _ identity: String) throws {
        guard let boot, let mark = try MaildirMark.load(stateDirectory, disk), mark.boot == boot,
            mark.reached.store == identity, mark.reached.host == options.host, mark.reached.cursor >= checkpoint,
            mark.reached.cursor <= head
        else {
            doubtful = head
            return
        }
        do {
            // It tells of pages that could not be written and were dropped.
            if mark.reached.cursor > checkpoint { try disk.syncFileSystem(options.root) }
        } catch let failure as MaildirFailure {
            report("what was projected before is done again: \(failure)")
            doubtful = head
            return
        }
        projected = mark.reached.cursor
        distrusted = nil
    }

    /// When the last checkpoint was made; the beginning of time without one.
    private func checkpointTime() throws -> Int64 { try disk.modified(stateDirectory + "/checkpoint") ?? 0 }

    private func nextSlice() throws -> MaildirWork {
        try engine.read { state in
            if horizon.rawValue == .max { horizon = state.head }
            var work = MaildirWork(after: projected, eventsMax: sliceEventsMax)
            var isWhole = true
            try state.log(after: projected) { event in
                isWhole = work.add(event)
                return isWhole
            }
            // What is left up to the head is seals.
            if isWhole { work.end = max(state.head, work.end) }
            return work
        }
    }

    private func apply(_ work: MaildirWork) throws {
        let isReplay = projected < horizon
        // Removed accounts first: their directory may be wanted by a new account of the same address.
        let order = try engine.read { state in
            try work.accounts.keys.map { (try state.head($0)?.status == .removed ? 0 : 1, $0) }.sorted { $0 < $1 }
        }
        for (_, account) in order {
            guard let work = work.accounts[account] else { continue }
            try project(account, work, isReplay: isReplay)
        }
        forgetOldest()
    }

    /// What the next arrivals meet may be there already.
    func raiseHorizon() throws {
        horizon = max(horizon, try engine.read { $0.head })
    }

    // MARK: Opening

    /// - Returns: false when that was done before.
    @discardableResult
    func openIfNeeded() throws -> Bool {
        guard !isOpen else { return false }
        try open()
        isOpen = true
        try storeMark()
        return true
    }

    private func open() throws {
        try disk.makeDirectory(options.root)
        try disk.makeDirectory(stateDirectory)
        try disk.makeDirectory(stateDirectory + "/accounts")
        let head = try engine.read { $0.head }
        horizon = head
        opened = head
        distrusted = try checkpointTime()
        let identity = try storeIdentity()
        let stored = try MaildirCheckpoint.load(stateDirectory, disk)
        if let stored, stored.store != identity {
            throw MaildirMismatch(root: options.root, found: stored.store, wanted: identity)
        }
        if let stored, stored.host == options.host, stored.cursor <= head {
            projected = stored.cursor
            checkpoint = stored.cursor
            try resume(head, identity)
            try rememberRebuilds()
            try finishRebuilds()
            return try openImports()
        }
        // No checkpoint, other names, or a store restored to an earlier moment: only the state tells.
        try rememberRebuilds()
        try rebuildAll()
        projected = head
    }

    /// The store's UUID in hexadecimal, `-` while the store has none.
    private func storeIdentity() throws -> String {
        try engine.read { state in
            var identity = "-"
            try state.log(after: .start) { logged in
                if case .shardOpened(let opened) = logged.event { identity = opened.storeUUID }
                return false
            }
            return identity
        }
    }
}

/// The tree was made from another store.
package struct MaildirMismatch: Error, Equatable, Sendable, CustomStringConvertible {
    package var root: String
    package var found: String
    package var wanted: String
    package var description: String { "\(root) is the projection of store \(found), not of \(wanted)" }
}
