// The bodies of one shard, in append-only files beside its database (docs/formats/event-log.md, "Segment file").
//
// A body is written once, flushed before the commit that names it, and read by position without a transaction. The
// database says where the bodies end: whatever lies behind that tail was never acknowledged.
//
// Invariants
// - `stage` and `sync` are one thread's; everything else may be called from any thread.
// - A location stays valid, and the bytes there the same, until the body is erased.
// - An open body can be read to its end whatever happens to its segment's name.
// - A full disk is met before a commit and leaves the store usable. Any other failed write, and any failed flush, stops
//   all writing until the store is opened again.
//
// Rejected: bodies in LMDB (space never returns, erasing means rewriting), a file for each body (a flush for each), and
// mapping segments (a read past a truncated end would be a signal instead of an error).
import EventFormat
import Glibc
import MailTypes
import Synchronization

/// How segments are made.
package struct SegmentOptions: Sendable {
    /// Size of a segment, in whole blocks of 4 KiB. A larger body gets a segment of its own.
    package var segmentOctets: Int
    /// Blocks kept to be given back when the disk is full; 0 for none.
    package var ballastOctets: Int
    /// Write the zeros of a new segment instead of only reserving its blocks (docs/decisions/0010).
    package var prezero: Bool
    package init(segmentOctets: Int = 64 << 20, ballastOctets: Int = 64 << 20, prezero: Bool = true) {
        let block = BodyLimits.blockOctets
        self.segmentOctets = max(BodyLimits.segmentOctetsMin, (segmentOctets + block - 1) / block * block)
        self.ballastOctets = ballastOctets
        self.prezero = prezero
    }
}

/// Sizes now, and counters since the store was opened.
package struct SegmentStatistics: Sendable {
    package var segments = 0
    /// Lengths of all segments, the unused end of the last one included.
    package var octets: UInt64 = 0
    /// Kept open for readers; open bodies may keep others open.
    package var segmentsOpen = 0
    /// Octets of records erased since the store was opened.
    package var octetsErased: UInt64 = 0
    package var bodiesStaged: UInt64 = 0
    package var octetsStaged: UInt64 = 0
    package var flushes: UInt64 = 0
}

/// What the writer has done since the store was opened.
struct SegmentCounters: Sendable {
    var bodiesStaged: UInt64 = 0
    var octetsStaged: UInt64 = 0
    var flushes: UInt64 = 0
    var segmentsBegun = 0
    var segmentOctetsGrown: Int64 = 0
}

package final class SegmentStore: Sendable {
    let directory: SegmentDirectory
    private let options: SegmentOptions
    private let writer: Mutex<SegmentWriter>
    /// What other threads see of the writer, so that they never wait for a flush.
    private let shown: Mutex<Shown>
    let files: SegmentFiles
    private let ballast: Ballast

    private struct Shown {
        var tail: BodyLocation
        var nextBlob: UInt64
        var isStopped = false
        var statistics: SegmentStatistics
    }

    init(_ directory: SegmentDirectory, options: SegmentOptions, writer: SegmentWriter, segments: Int, octets: UInt64) {
        self.directory = directory
        self.options = options
        files = SegmentFiles(directory)
        ballast = Ballast(path: directory.ballastPath, octets: options.ballastOctets, disk: directory.disk)
        var statistics = SegmentStatistics()
        statistics.segments = segments
        statistics.octets = octets
        shown = Mutex(Shown(tail: writer.tail, nextBlob: writer.nextBlob, statistics: statistics))
        self.writer = Mutex(writer)
    }

    /// Makes an empty store of bodies in `directory`: ballast and a first segment. Its tail is behind the header of
    /// segment 1. A directory left by a create that was interrupted is taken over; one that holds bodies is refused.
    /// - Parameter storeUUID: 16 bytes that every segment carries.
    package static func create(
        directory: String, storeUUID: [UInt8], shard: UInt32, options: SegmentOptions = SegmentOptions(),
        disk: DiskCalls = .system
    ) throws(StoreError) {
        let place = SegmentDirectory(path: directory, storeUUID: storeUUID, shard: shard, disk: disk)
        do throws(FileFault) {
            try place.create()
            guard try place.segments().allSatisfy({ $0 == 1 }) else {
                throw FileFault("create", directory, code: EEXIST)
            }
            try removeEmptyFirst(place)
            try Ballast(path: place.ballastPath, octets: options.ballastOctets, disk: disk).restore()
            let file = try place.allocate(
                place.sparePath, octets: UInt64(options.segmentOctets), prezero: options.prezero)
            _ = try place.adopt(file, as: 1)
        } catch {
            throw error.code == EEXIST ? .unusable("\(directory) holds bodies already") : error.storeError
        }
    }

    private static func removeEmptyFirst(_ place: SegmentDirectory) throws(FileFault) {
        let path = place.path(of: 1)
        guard access(path, F_OK) == 0 else { return }
        let start = UInt64(SegmentFormat.headerOctets)
        let first = try OpenFile(path, flags: O_RDONLY, disk: place.disk)
            .read(SegmentFormat.recordHeaderOctets, at: start)
        guard isZero(first) else { throw FileFault("create", path, code: EEXIST) }
        try place.remove(path)
    }

    deinit { close() }

    // MARK: Writing

    /// Appends a body; not durable before `sync`. The body writer's thread.
    /// - Throws: `.full` when there is no room, and the store is as before; `.unusable` for a body over 4 GiB - 1;
    ///   `.failed` when the write failed, or one before it, or the source gave another number of octets than announced.
    package func stage(_ source: any BodySource) throws(StoreError) -> StagedBody {
        try write { (writer) throws(StoreError) in try writer.stage(source) }
    }

    /// Returns when every staged body is on stable storage. The body writer's thread.
    package func sync() throws(StoreError) {
        try write { (writer) throws(StoreError) in try writer.sync() }
    }

    private func write<R: Sendable>(
        _ body: (inout SegmentWriter) throws(StoreError) -> R
    ) throws(StoreError) -> R {
        try writer.withLock { (writer) throws(StoreError) -> R in
            let before = writer.counters
            defer { show(writer, since: before) }
            return try body(&writer)
        }
    }

    private func show(_ writer: SegmentWriter, since before: SegmentCounters) {
        let now = writer.counters
        shown.withLock { shown in
            shown.tail = writer.tail
            shown.nextBlob = writer.nextBlob
            shown.isStopped = writer.failure != nil
            shown.statistics.bodiesStaged = now.bodiesStaged
            shown.statistics.octetsStaged = now.octetsStaged
            shown.statistics.flushes = now.flushes
            shown.statistics.segments += now.segmentsBegun - before.segmentsBegun
            let grown = now.segmentOctetsGrown - before.segmentOctetsGrown
            shown.statistics.octets = UInt64(Int64(shown.statistics.octets) + grown)
        }
    }

    /// Behind the last staged body: what the next seal records.
    package var tail: (segment: UInt32, offset: UInt64) {
        let tail = location
        return (tail.segment, tail.offset)
    }

    /// The same as one value.
    package var location: BodyLocation { shown.withLock { $0.tail } }

    /// The number the next body gets.
    package var nextBlob: UInt64 { shown.withLock { $0.nextBlob } }

    /// A write or a flush has failed, or the store is closed: no body is taken any more.
    package var isStopped: Bool { shown.withLock { $0.isStopped } }

    package var statistics: SegmentStatistics {
        var statistics = shown.withLock { $0.statistics }
        statistics.segmentsOpen = files.count
        return statistics
    }

    /// Gives up the segment in preparation and ends writing. Open bodies can still be read.
    package func close() {
        writer.withLock { writer in
            writer.preparer.stop()
            writer.stop(.unusable("the store of bodies is closed"))
            show(writer, since: writer.counters)
        }
    }

    /// Ends writing after a failure outside `stage` and `sync`.
    func stop(_ reason: StoreError) {
        writer.withLock { writer in
            writer.stop(reason)
            show(writer, since: writer.counters)
        }
    }

    func noteErased(octets: UInt64) {
        shown.withLock { $0.statistics.octetsErased += octets }
    }

    // MARK: Reading

    /// Opens the body a row tells of.
    /// - Throws: `.damaged` when another body, an erased one or none is at that place.
    package func open(_ row: BlobRow) throws(StoreError) -> any BodyHandle {
        let location = BodyLocation(segment: row.segment, offset: row.offset)
        let file = try files.file(location.segment)
        guard case .record(let header) = try RecordReader(file).header(at: location.offset) else {
            throw .damaged("\(file.path): no body at \(location.offset)")
        }
        guard header.hash == row.hash, header.rawOctets == row.rawOctets else {
            throw .damaged("\(file.path): another body at \(location.offset)")
        }
        guard !header.flags.contains(.erased) else { throw .damaged("body \(header.blob.rawValue) is erased") }
        return SegmentBody(
            file, start: location.offset + UInt64(SegmentFormat.recordHeaderOctets), size: Int(header.rawOctets))
    }

    // MARK: Ballast

    /// Gives the ballast's blocks back to the file system, so that something can be deleted.
    package func releaseBallast() throws(StoreError) {
        do throws(FileFault) { try ballast.release() } catch { throw error.storeError }
    }

    /// Takes the ballast's blocks again.
    /// - Throws: `.full` while there is no room; nothing has changed then.
    package func restoreBallast() throws(StoreError) {
        do throws(FileFault) { try ballast.restore() } catch { throw error.storeError }
    }

    package var ballastOctets: UInt64 { UInt64(max(0, options.ballastOctets)) }

    /// Whether the ballast has all its blocks.
    package var holdsBallast: Bool { ballast.isHeld }
}
