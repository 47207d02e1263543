// The in-memory twin of the shard store: the same promises, no disk. For the simulator and for tests of what is above.
//
// What is durable is an image (log, state, known bodies) that is replaced as a whole by a commit; readers hold the
// image they began with. A commit can be told to fail in the ways a disk fails; afterwards `reopened` gives the store
// that a restart would find.
// Each batch takes one more cursor value than it has events, where a store on disk keeps the seal.
import MailCore
import MailTypes
import Synchronization

/// How the next commit goes wrong.
package enum CommitFault: Hashable, Sendable {
    /// No space: nothing of the batch is kept, the store goes on.
    case full
    /// The write failed and nothing of it is there at the next opening. The store takes no more batches.
    case lost
    /// The flush reported an error, and yet the batch is there at the next opening. The store takes no more batches.
    case durable
    /// The process dies before the commit: the store answers nothing any more.
    case crash
    /// The disk lies: the commit is acknowledged, and the next opening finds neither it nor what came after.
    case forgotten
}

/// What is on the stable storage of a store that has none.
struct MemoryImage: Sendable {
    struct Body: Sendable {
        var reference: BodyReference
        var bytes: [UInt8]
    }

    var state = MemoryState()
    var log: [LoggedEvent] = []
    /// Events of retryable commands; a record on disk carries a mark.
    var retryable: Set<Cursor> = []
    /// Indexes into the log, by account.
    var histories: [UInt32: [Int]] = [:]
    /// Bodies that a committed batch has made known.
    var bodies: [BlobNumber: Body] = [:]
    var nextCursor: UInt64 = 1
    /// Of the newest event.
    var time = Timestamp(rawValue: .min)
    /// The clock that the last batch was given; behind `time` after a step back.
    var clock = Timestamp(rawValue: .min)
    var day: UInt32 { log.isEmpty ? 0 : dayNumber(time) }
}

package final class MemoryStore: ShardStore {
    enum Health: Sendable {
        case open
        case failed(String)
        case closed
    }

    struct Contents: Sendable {
        var image: MemoryImage
        var staged: [BlobNumber: MemoryImage.Body] = [:]
        var synced: Set<BlobNumber> = []
        var nextBlob: UInt64 = 1
        var batchIsOpen = false
        var health = Health.open
        var fault: CommitFault?
        /// What a restart finds, when that is not what readers see.
        var afterRestart: MemoryImage?
        var statistics = StoreStatistics()
        var freeBytes: UInt64 = 1 << 40
    }

    /// Puts something between the fold and the state, so that a test can spoil it.
    package typealias FoldThrough = @Sendable (MemoryState) -> any StateEditor

    let contents: Mutex<Contents>
    let foldThrough: FoldThrough

    /// An empty store.
    package convenience init(foldThrough: @escaping FoldThrough = { $0 }) {
        let image = MemoryImage()
        image.state.freeze()
        self.init(Contents(image: image), foldThrough)
    }

    private init(_ contents: Contents, _ foldThrough: @escaping FoldThrough) {
        self.contents = Mutex(contents)
        self.foldThrough = foldThrough
    }

    // MARK: Faults

    /// Makes the next commit fail; nil takes an earlier order back.
    package func failNextCommit(_ fault: CommitFault?) { contents.withLock { $0.fault = fault } }

    /// Makes the store say that so much space is left.
    package func setFreeBytes(_ bytes: UInt64) { contents.withLock { $0.freeBytes = bytes } }

    /// The process dies now: an open batch is gone and nothing is answered any more.
    package func crash() { contents.withLock { $0.health = .closed } }

    /// The store that opening the same directory again would give: what was durable and nothing else. Bodies that no
    /// committed batch made known are gone. This store answers nothing any more.
    package func reopened() -> MemoryStore {
        let next = contents.withLock { (old: inout Contents) in
            old.health = .closed
            var image = old.afterRestart ?? old.image
            image.clock = image.time
            var new = Contents(image: image)
            new.nextBlob = old.nextBlob
            new.freeBytes = old.freeBytes
            return new
        }
        return MemoryStore(next, foldThrough)
    }

    /// The state folded anew from the whole log.
    package func rebuilt() throws(StateFault) -> MemoryState {
        let (log, retryable) = contents.withLock { ($0.image.log, $0.image.retryable) }
        let state = MemoryState()
        let editor = foldThrough(state)
        for logged in log {
            try evolve(logged.event, at: logged.context, in: editor)
            if let command = logged.command, retryable.contains(logged.cursor) {
                state.remember(
                    command, logged.context.account, logged.context.aseq, day: dayNumber(logged.context.time))
            }
        }
        return state
    }

    // MARK: ShardStore

    package func read<R>(_ body: (any ShardReader) throws -> R) throws -> R {
        let image = try contents.withLock { contents throws(StoreError) in
            if case .closed = contents.health { throw .unusable("the store is closed") }
            return contents.image
        }
        return try body(MemoryReader(image))
    }

    package func beginBatch(now: Timestamp) throws(StoreError) -> any ShardBatch {
        let image = try contents.withLock { contents throws(StoreError) in
            switch contents.health {
            case .failed(let reason): throw .failed(reason)
            case .closed: throw .unusable("the store is closed")
            case .open: break
            }
            guard !contents.batchIsOpen else { throw .unusable("a batch is open") }
            contents.batchIsOpen = true
            return contents.image
        }
        do {
            return try MemoryBatch(self, image, now: now)
        } catch {
            contents.withLock { $0.batchIsOpen = false }
            throw .damaged("\(error)")
        }
    }

    package func stage(_ source: any BodySource) throws(StoreError) -> StagedBody {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(source.count)
        try source.read { run throws(StoreError) in bytes.append(contentsOf: run) }
        guard let size = UInt32(exactly: bytes.count) else { throw .unusable("a body over 4 GiB") }
        let hash = source.hash
        return contents.withLock { contents in
            let blob = BlobNumber(contents.nextBlob)
            contents.nextBlob += 1
            let reference = BodyReference(blob: blob, size: size, hash: hash)
            contents.statistics.bodyBytesStaged += UInt64(bytes.count)
            contents.staged[blob] = MemoryImage.Body(reference: reference, bytes: bytes)
            return StagedBody(reference: reference)
        }
    }

    package func syncBodies() {
        contents.withLock { contents in
            contents.synced.formUnion(contents.staged.keys)
            contents.statistics.bodySyncs += 1
        }
    }

    package func openBody(_ blob: BlobNumber) throws(StoreError) -> any BodyHandle {
        let body = contents.withLock { $0.image.bodies[blob] ?? $0.staged[blob] }
        guard let body else { throw .damaged("body \(blob.rawValue) is not there") }
        return HeldBody(body.bytes)
    }

    package func freeBytes() -> UInt64 { contents.withLock { $0.freeBytes } }

    package var statistics: StoreStatistics { contents.withLock { $0.statistics } }

    package func close() { contents.withLock { $0.health = .closed } }
}

/// A body's bytes; they stay for as long as someone holds the handle.
private final class HeldBody: BodyHandle {
    private let bytes: [UInt8]
    var size: Int { bytes.count }

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func read(at offset: Int, count: Int, into target: inout [UInt8]) {
        guard offset < bytes.count, count > 0 else { return }
        target.append(contentsOf: bytes[offset..<min(bytes.count, offset + count)])
    }
}
