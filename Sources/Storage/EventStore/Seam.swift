// The seam between the engine and whatever keeps the log (docs/decisions/0002): one shard's truth and its folded state.
//
// Above it everything speaks of accounts and positions in their histories. `Cursor` is the one exception: an opaque
// local position for feeds and log tools. LMDB is the first implementation, memory the second; both pass one suite.
//
// A batch is synchronous because decide of one command must see what the command before it folded, before either is
// durable. A remote log replaces `commit` by its own compare-and-append and folds afterwards; nothing above notices.
import EventFormat
import MailCore
import MailTypes

/// An opaque position in a shard's log: the LSN. Ascending, gapless, local to this store.
package struct Cursor: RawRepresentable, Hashable, Comparable, Sendable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package static let start = Cursor(0)
}

/// Why a store cannot do what was asked.
package enum StoreError: Error, Equatable, Sendable {
    /// Another process owns it; the text names the process.
    case owned(String)
    /// Made by a newer version, or by something else.
    case incompatible(String)
    /// A check failed; nothing is written until an operator has looked. The text says where.
    case damaged(String)
    /// The disk is full; nothing of the batch was kept.
    case full
    /// A write or a flush failed. The shard takes no more writes until it is opened again: a failed flush cannot be
    /// repeated (the kernel may have dropped the pages).
    case failed(String)
    /// The directory, file system or permissions do not allow it.
    case unusable(String)
}

/// One account's events of one command.
package struct Append: Sendable {
    package var account: AccountID
    /// The position the account must be at; a different one is a fault.
    package var expected: ModSeq
    package var events: [Event]
    package var origin: Origin
    /// Names the command in every record it made.
    package var command: CommandID?
    /// The command may come again: it is remembered for the de-duplication window.
    package var retryable: Bool
    package init(
        account: AccountID, expected: ModSeq, events: [Event], origin: Origin = Origin(), command: CommandID? = nil,
        retryable: Bool = false
    ) {
        self.account = account
        self.expected = expected
        self.events = events
        self.origin = origin
        self.command = command
        self.retryable = retryable
    }
}

/// An event as it stands in the log.
package struct LoggedEvent: Sendable {
    package var cursor: Cursor
    package var context: EventContext
    package var origin: Origin
    package var command: CommandID?
    package var event: Event
    /// The personal part has been erased; its fields hold placeholders.
    package var isErased: Bool
    package init(
        cursor: Cursor, context: EventContext, origin: Origin, command: CommandID?, event: Event, isErased: Bool
    ) {
        self.cursor = cursor
        self.context = context
        self.origin = origin
        self.command = command
        self.event = event
        self.isErased = isErased
    }
}

/// A consistent view of the log and the state, for the length of a closure.
package protocol ShardReader: StateReader {
    /// The end of the last committed batch: its last event, or a record of the store's own directly behind it, and before
    /// every event to come. `.start` when there is none.
    var head: Cursor { get }
    /// Events after `cursor`, ascending, until `body` answers false. Seals are passed over.
    func log(after cursor: Cursor, _ body: (LoggedEvent) -> Bool) throws(StateFault)
    /// The history of one account, newest first, until `body` answers false.
    func history(_ account: AccountID, _ body: (LoggedEvent) -> Bool) throws(StateFault)
    /// Where the account stood after a retryable command, when it is remembered.
    func outcome(of command: CommandID, _ account: AccountID) throws(StateFault) -> ModSeq?
    /// The body's size and hash; nil when it is erased or was never stored.
    func body(_ blob: BlobNumber) throws(StateFault) -> BodyReference?
}

/// One transaction: everything appended to it becomes durable together or not at all. Used by one thread.
package protocol ShardBatch: StateReader {
    /// Makes a staged body known, so that an event may name it.
    func register(_ body: StagedBody) throws(StateFault)
    /// Encodes the events, puts them at the end of the log and folds them.
    /// - Returns: the account's position after the last of them.
    func append(_ append: Append) throws(StateFault) -> ModSeq
    func outcome(of command: CommandID, _ account: AccountID) throws(StateFault) -> ModSeq?
    /// Closes the batch with a seal and returns when it is on stable storage. The bodies it names must have been
    /// synced. After an error other than `.full` the shard takes no more batches.
    func commit() throws(StoreError) -> CommitReceipt
    /// Forgets everything appended. Harmless after commit.
    func abort()
}

package struct CommitReceipt: Sendable {
    package var head: Cursor
    package var events: Int
    package init(head: Cursor, events: Int) {
        self.head = head
        self.events = events
    }
}

/// A body appended to the store and not yet named by an event.
package struct StagedBody: Sendable {
    package var reference: BodyReference
    /// Where the store put it; meaningful to that store only.
    package var segment: UInt32
    package var offset: UInt64
    package init(reference: BodyReference, segment: UInt32 = 0, offset: UInt64 = 0) {
        self.reference = reference
        self.segment = segment
        self.offset = offset
    }
}

/// Bytes of a new body, read once by the store.
package protocol BodySource: AnyObject, Sendable {
    /// Octets in all; at most 4 GiB - 1.
    var count: Int { get }
    var hash: ContentHash { get }
    /// Hands out all bytes in order, in runs of at most 1 MiB.
    func read(_ body: (UnsafeRawBufferPointer) throws(StoreError) -> Void) throws(StoreError)
    /// Appends up to `count` bytes from `offset` to `bytes`; fewer only at the end.
    func read(at offset: Int, count: Int, into bytes: inout [UInt8]) throws(StoreError)
}

extension BodySource {
    /// By a pass over all of it; a source that can do better does.
    package func read(at offset: Int, count: Int, into bytes: inout [UInt8]) throws(StoreError) {
        var position = 0
        try read { (run: UnsafeRawBufferPointer) in
            let start = max(offset - position, 0)
            let end = min(offset + count - position, run.count)
            if start < end { bytes.append(contentsOf: run[start..<end]) }
            position += run.count
        }
    }
}

/// An open body. Reading is positional and may go on after the message is expunged.
package protocol BodyHandle: AnyObject, Sendable {
    var size: Int { get }
    /// Appends up to `count` bytes from `offset` to `bytes`; fewer only at the end.
    func read(at offset: Int, count: Int, into bytes: inout [UInt8]) throws(StoreError)
}

/// One shard. Reading is possible from any thread; batches from the writer's, staging from the body writer's.
package protocol ShardStore: AnyObject, Sendable {
    func read<R>(_ body: (any ShardReader) throws -> R) throws -> R
    /// - Parameter now: the wall clock; the batch's time never runs back, and a step back becomes an event.
    func beginBatch(now: Timestamp) throws(StoreError) -> any ShardBatch
    /// Appends a body; not durable before `syncBodies`.
    func stage(_ source: any BodySource) throws(StoreError) -> StagedBody
    func syncBodies() throws(StoreError)
    func openBody(_ blob: BlobNumber) throws(StoreError) -> any BodyHandle
    /// Free bytes where the store lives.
    func freeBytes() throws(StoreError) -> UInt64
    var statistics: StoreStatistics { get }
    /// Blocks held so that deletions can still be written when the disk is full; 0 for none.
    var reserveOctets: UInt64 { get }
    var holdsReserve: Bool { get }
    /// Gives the reserve back to the file system.
    func releaseReserve() throws(StoreError)
    /// Takes the reserve again; `.full` while there is no room for it, and nothing has changed then.
    func restoreReserve() throws(StoreError)
    /// Work that was put off until no batch waits. For the writer's thread, without an open batch.
    func settle() throws(StoreError)
    /// Nothing is put off.
    var isSettled: Bool { get }
    func close()
}

/// A store that puts nothing off.
extension ShardStore {
    package func settle() throws(StoreError) {}
    package var isSettled: Bool { true }
}

/// A store that needs no disk holds no reserve.
extension ShardStore {
    package var reserveOctets: UInt64 { 0 }
    package var holdsReserve: Bool { true }
    package func releaseReserve() throws(StoreError) {}
    package func restoreReserve() throws(StoreError) {}
}

/// Counters since the store was opened, and sizes now.
package struct StoreStatistics: Sendable {
    package var batches: UInt64 = 0
    package var events: UInt64 = 0
    package var bodyBytesStaged: UInt64 = 0
    package var bodySyncs: UInt64 = 0
    /// Times that rows waiting in memory were written to the database.
    package var folds: UInt64 = 0
    /// Rows that wait in memory now.
    package var unfoldedRows = 0
    /// Octets of the database in use, without what is set aside behind its end.
    package var databaseBytes: UInt64 = 0
    package var segmentBytes: UInt64 = 0
    package var segments: Int = 0
    package init() {}
}
