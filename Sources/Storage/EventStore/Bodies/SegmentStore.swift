// Message bodies in append-only segment files (engine.md decision 7 and section 8.1; docs/formats/event-log.md).
//
// Invariants
// - A segment is allocated and zeroed before its first use, so that a full disk shows there and never at a flush, and
//   a flush after an append changes no extents (docs/decisions/0010).
// - `tail` is where the synced bodies end. Seals carry it; what lies behind it after a crash is cut off at open.
// - After a failed write or flush nothing more is taken: what the kernel dropped cannot be flushed again.
// - Staging and syncing belong to one thread; opening and reading to any.
import Digests
import EventFormat
import Glibc
import MailCore
import MailTypes
import Synchronization

package struct SegmentOptions: Sendable {
    /// Octets of one segment file; a larger body gets a segment of its own size.
    package var segmentOctets = 64 << 20
    /// Octets set aside in a file of their own, given back when the disk is full so that deletions can run.
    package var ballastOctets = 64 << 20
    package init() {}
}

package struct SegmentStatistics: Sendable {
    package var segments = 0
    package var octets = 0
}

/// The end of the bodies: a position in a segment, and the number the next body gets.
struct BodyTail: Equatable, Sendable {
    var segment: UInt32
    var offset: UInt64
    var nextBlob: UInt64
}

/// One open segment file; closed when the last reader lets go of it.
final class SegmentFile: Sendable {
    let number: UInt32
    let fd: Int32
    let octets: UInt64

    init(number: UInt32, fd: Int32) throws(StoreError) {
        var status = stat()
        guard fstat(fd, &status) == 0 else { throw FileAccess.error(errno, "segment \(number)") }
        self.number = number
        self.fd = fd
        octets = UInt64(status.st_size)
    }

    deinit { close(fd) }
}

final class SegmentStore: @unchecked Sendable {
    // `active`, `staged`, `dirty` and `buffer` belong to the staging thread; the rest is behind `shared`.
    private struct Shared {
        var files: [UInt32: SegmentFile] = [:]
        var synced: BodyTail
        var failure: String?
    }

    let directory: String
    private let storeUUID: [UInt8]
    private let shard: UInt32
    private let options: SegmentOptions
    private let shared: Mutex<Shared>
    private let preparer: SegmentPreparer
    private var active: SegmentFile?
    private var staged: BodyTail
    private var dirty: [SegmentFile] = []
    private var buffer: [UInt8] = []

    /// Open files kept for readers beside the active one.
    static let openFilesMax = 64

    static func create(
        directory: String, storeUUID: [UInt8], shard: UInt32, options: SegmentOptions
    ) throws(StoreError) {
        guard mkdir(directory, 0o700) == 0 || errno == EEXIST else { throw FileAccess.error(errno, directory) }
        try Ballast.fill(directory, octets: options.ballastOctets)
        try FileAccess.syncDirectory(directory)
    }

    /// Opens the bodies and cuts off what lies behind `tail`: call it only when the log's end has been verified.
    static func open(
        directory: String, storeUUID: [UInt8], shard: UInt32, options: SegmentOptions,
        tail: (segment: UInt32, offset: UInt64), nextBlob: UInt64
    ) throws(StoreError) -> SegmentStore {
        let end = BodyTail(segment: tail.segment, offset: tail.offset, nextBlob: max(1, nextBlob))
        try SegmentTail.cut(directory, end)
        let store = SegmentStore(directory, storeUUID, shard, options, end)
        if end.offset > 0 { store.active = try store.file(end.segment) }
        return store
    }

    private init(
        _ directory: String, _ storeUUID: [UInt8], _ shard: UInt32, _ options: SegmentOptions, _ end: BodyTail
    ) {
        self.directory = directory
        self.storeUUID = storeUUID
        self.shard = shard
        self.options = options
        staged = end
        shared = Mutex(Shared(synced: end))
        preparer = SegmentPreparer(directory: directory, octets: UInt64(options.segmentOctets))
    }

    /// Where the synced bodies end.
    var tail: BodyTail { shared.withLock { $0.synced } }

    var statistics: SegmentStatistics {
        var statistics = SegmentStatistics()
        for name in SegmentTail.segments(directory) {
            var status = stat()
            guard stat(SegmentTail.path(directory, name), &status) == 0 else { continue }
            statistics.segments += 1
            statistics.octets += Int(status.st_blocks) * 512
        }
        return statistics
    }

    func close() { preparer.close() }

    // MARK: Staging

    /// Appends a body. It is durable after the next `sync`.
    func stage(_ source: any BodySource) throws(StoreError) -> StagedBody {
        try check()
        guard source.count <= FormatLimits.bodyOctetsMax else { throw .failed("body of \(source.count) octets") }
        let octets = UInt64(SegmentFormat.recordOctets(payload: source.count))
        let file = try room(for: octets)
        let start = staged.offset
        do throws(StoreError) {
            try append(source, to: file, at: start)
        } catch {
            // Space ran out although the segment was allocated, or the device failed: the tail stays where it was.
            if case .full = error { throw error }
            fail("\(error)")
            throw error
        }
        let blob = BlobNumber(staged.nextBlob)
        staged.nextBlob += 1
        staged.offset = start + octets
        if dirty.last !== file { dirty.append(file) }
        let reference = BodyReference(blob: blob, size: UInt32(source.count), hash: source.hash)
        return StagedBody(reference: reference, segment: file.number, offset: start)
    }

    /// Flushes every body staged so far.
    func sync() throws(StoreError) {
        try check()
        for file in dirty {
            do throws(StoreError) {
                try FileAccess.sync(file.fd, "segment \(file.number)")
            } catch {
                fail("\(error)")
                throw error
            }
        }
        dirty = []
        shared.withLock { $0.synced = staged }
    }

    private func append(_ source: any BodySource, to file: SegmentFile, at start: UInt64) throws(StoreError) {
        let header = SegmentFormat.RecordHeader(
            blob: BlobNumber(staged.nextBlob), storedOctets: UInt64(source.count), rawOctets: UInt64(source.count),
            hash: source.hash)
        var checksums = ChunkChecksums()
        var position = start
        // Small bodies go out in one write: header, payload, checksums, padding.
        buffer.removeAll(keepingCapacity: true)
        buffer.append(contentsOf: header.encode())
        try source.read { (run) throws(StoreError) in
            checksums.add(run)
            if buffer.count + run.count > 1 << 20 {
                try flush(file, &position)
                try FileAccess.write(file.fd, run, at: position)
                position += UInt64(run.count)
            } else {
                buffer.append(contentsOf: run)
            }
        }
        for checksum in checksums.finish() { withUnsafeBytes(of: checksum.littleEndian) { buffer.append(contentsOf: $0) } }
        let padding = SegmentFormat.paddingOctets(payload: source.count)
        buffer.append(contentsOf: repeatElement(0, count: padding))
        try flush(file, &position)
    }

    private func flush(_ file: SegmentFile, _ position: inout UInt64) throws(StoreError) {
        let count = buffer.count
        let result: Result<Void, StoreError> = buffer.withUnsafeBytes { bytes in
            do throws(StoreError) {
                return .success(try FileAccess.write(file.fd, bytes, at: position))
            } catch { return .failure(error) }
        }
        try result.get()
        position += UInt64(count)
        buffer.removeAll(keepingCapacity: true)
    }

    /// The segment that takes the next record, a new one when the active one is full.
    private func room(for octets: UInt64) throws(StoreError) -> SegmentFile {
        if let active, staged.offset + octets <= active.octets { return active }
        let number = staged.offset == 0 ? max(1, staged.segment) : staged.segment + 1
        let path = SegmentTail.path(directory, number)
        let needed = UInt64(SegmentFormat.headerOctets) + octets
        let fd: Int32
        if needed <= UInt64(options.segmentOctets) {
            fd = try preparer.take(as: path)
        } else {
            fd = try SegmentPreparer.make(path, octets: needed)
        }
        let file = try SegmentFile(number: number, fd: fd)
        let header = SegmentFormat.FileHeader(storeUUID: storeUUID, shard: shard, segment: number)
        let result: Result<Void, StoreError> = header.encode().withUnsafeBytes { bytes in
            do throws(StoreError) {
                return .success(try FileAccess.write(fd, bytes, at: 0))
            } catch { return .failure(error) }
        }
        try result.get()
        guard fsync(fd) == 0 else {
            fail("segment \(number): \(String(cString: strerror(errno)))")
            throw .failed("segment \(number): \(String(cString: strerror(errno)))")
        }
        try FileAccess.syncDirectory(directory)
        active = file
        staged.segment = number
        staged.offset = UInt64(SegmentFormat.headerOctets)
        shared.withLock { $0.files[number] = file }
        preparer.prepare()
        return file
    }

    private func check() throws(StoreError) {
        if let failure = shared.withLock({ $0.failure }) { throw .failed(failure) }
    }

    private func fail(_ reason: String) { shared.withLock { if $0.failure == nil { $0.failure = reason } } }

    // MARK: Reading

    func open(_ row: BlobRow) throws(StoreError) -> any BodyHandle {
        guard !row.flags.contains(.erased) else { throw .damaged("the body has been erased") }
        return SegmentBody(
            file: try file(row.segment), start: row.offset + UInt64(SegmentFormat.recordHeaderOctets),
            size: Int(row.rawOctets))
    }

    func file(_ number: UInt32) throws(StoreError) -> SegmentFile {
        if let file = shared.withLock({ $0.files[number] }) { return file }
        let path = SegmentTail.path(directory, number)
        let file = try SegmentFile(number: number, fd: try FileAccess.open(path, O_RDWR))
        shared.withLock { shared in
            if shared.files.count >= Self.openFilesMax, let victim = shared.files.keys.first(where: { $0 != shared.synced.segment }) {
                shared.files[victim] = nil
            }
            shared.files[number] = file
        }
        return file
    }
}

/// A CRC for each started chunk of a payload that comes in runs of any size.
struct ChunkChecksums {
    private var sums: [UInt32] = []
    private var current: UInt32 = 0
    private var held = 0

    mutating func add(_ run: UnsafeRawBufferPointer) {
        var rest = run
        while !rest.isEmpty {
            let count = min(rest.count, SegmentFormat.chunkOctets - held)
            current = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: rest[..<count]), seed: current)
            held += count
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            if held == SegmentFormat.chunkOctets { close() }
        }
    }

    mutating func finish() -> [UInt32] {
        if held > 0 { close() }
        return sums
    }

    private mutating func close() {
        sums.append(current)
        current = 0
        held = 0
    }
}

/// A body in its segment. It stays readable after its message is expunged, as long as someone holds it.
final class SegmentBody: BodyHandle {
    private let file: SegmentFile
    private let start: UInt64
    let size: Int

    init(file: SegmentFile, start: UInt64, size: Int) {
        self.file = file
        self.start = start
        self.size = size
    }

    func read(at offset: Int, count: Int, into bytes: inout [UInt8]) throws(StoreError) {
        let wanted = max(0, min(count, size - offset))
        guard wanted > 0 else { return }
        let before = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: wanted))
        let position = start + UInt64(offset)
        let result: Result<Int, StoreError> = bytes.withUnsafeMutableBytes { all in
            let target = UnsafeMutableRawBufferPointer(rebasing: all[before...])
            do throws(StoreError) {
                return .success(try FileAccess.read(file.fd, into: target, at: position))
            } catch { return .failure(error) }
        }
        guard try result.get() == wanted else { throw .damaged("segment \(file.number) ends inside a body") }
    }
}
