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
    private var isOpen = false

    /// - Parameters:
    ///   - sliceEventsMax: events taken from the log at a time.
    ///   - reached: called after each named step; what it throws stops the projection there, for tests.
    ///   - report: one line of text for the log.
    package init(
        engine: MailEngine, options: MaildirOptions, sliceEventsMax: Int = MaildirLimits.sliceEventsMax,
        reached: @escaping (MaildirStep) throws -> Void = { _ in },
        report: @escaping (String) -> Void = { _ in }
    ) {
        self.engine = engine
        self.options = options
        self.sliceEventsMax = sliceEventsMax
        disk = MaildirDisk(reached: reached)
        self.report = report
    }

    package var filesWritten: UInt64 { disk.filesWritten }
    package var octetsWritten: UInt64 { disk.octetsWritten }
    /// Something was changed, or events were passed, since the checkpoint.
    package var isUnsynced: Bool { projected != checkpoint || disk.changes > 0 }

    /// Where our own files about the tree lie.
    var stateDirectory: String { options.root + "/.letterlog" }

    // MARK: Following the log

    /// Projects the next slice of the log. The first call reads the checkpoint, and without a usable one makes the
    /// whole tree equal to the state.
    /// - Returns: false when there was nothing more to do.
    package func step() throws -> Bool {
        do {
            if !isOpen {
                try open()
                isOpen = true
                return true
            }
            let work = try nextSlice()
            guard work.end != projected else { return false }
            try apply(work)
            projected = work.end
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
            horizon = Cursor(.max)
            throw error
        }
        try MaildirCheckpoint(cursor: reached, store: storeIdentity(), host: options.host)
            .store(in: stateDirectory, disk)
        checkpoint = reached
        isCheckpointWanted = false
    }

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

    private func open() throws {
        try disk.makeDirectory(options.root)
        try disk.makeDirectory(stateDirectory)
        try disk.makeDirectory(stateDirectory + "/accounts")
        let head = try engine.read { $0.head }
        horizon = head
        let identity = try storeIdentity()
        let stored = try MaildirCheckpoint.load(stateDirectory, disk)
        if let stored, stored.store != identity {
            throw MaildirMismatch(root: options.root, found: stored.store, wanted: identity)
        }
        if let stored, stored.host == options.host, stored.cursor <= head {
            projected = stored.cursor
            checkpoint = stored.cursor
            return try openImports()
        }
        // No checkpoint, other names, or a store restored to an earlier moment: only the state tells.
        try convergeAll()
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

    // MARK: Rebuilding

    /// Makes the tree of one account, or of all, equal to the state whatever is there now. In place: files that are
    /// right stay, so nothing is copied twice, readers keep their files and a crash leaves a tree that is no worse.
    package func rebuild(_ account: AccountID? = nil) throws {
        if !isOpen {
            try open()
            isOpen = true
        }
        if let account {
            accounts[account] = nil
            var work = AccountWork(first: .zero)
            work.everything = true
            try project(account, work, isReplay: true)
        } else {
            try convergeAll()
        }
    }

    private func convergeAll() throws {
        accounts = [:]
        var all: [(Int, AccountID)] = []
        try engine.read { state in
            try state.accounts { account, head in
                if account >= .firstPersonal { all.append((head.status == .removed ? 0 : 1, account)) }
                return true
            }
        }
        for (_, account) in all.sorted(by: { $0 < $1 }) {
            var work = AccountWork(first: .zero)
            work.everything = true
            try project(account, work, isReplay: true)
            forgetOldest()
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
