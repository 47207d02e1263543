// Opening: what lies behind the tail that the database knows is cut off, or put where an operator can look at it.
//
// A crash leaves bodies behind the tail whose batch never committed. They were not acknowledged, so they go. That is
// sound only when the tail is the right one: whoever calls `open` has verified the end of the log. When it does not
// verify, acknowledged bodies may lie behind the tail it tells of; then `setAside` keeps them and nothing is opened.
import EventFormat
import Glibc

extension SegmentStore {
    /// Opens the store of bodies and cuts off what lies behind `tail`. Call it only when the end of the log verified.
    /// - Parameters:
    ///   - storeUUID: as given to `create`.
    ///   - tail: behind the last acknowledged body; segment 0 means that there is none in all the log.
    ///   - nextBlob: the number of the next body according to the log. Numbers found behind the tail are skipped.
    /// - Throws: `.damaged` when the segments do not reach the tail; `.unusable` when the directory cannot be used.
    package static func open(
        directory: String, storeUUID: [UInt8], shard: UInt32, options: SegmentOptions = SegmentOptions(),
        tail: (segment: UInt32, offset: UInt64), nextBlob: UInt64, disk: DiskCalls = .system
    ) throws(StoreError) -> SegmentStore {
        let place = SegmentDirectory(path: directory, storeUUID: storeUUID, shard: shard, disk: disk)
        var recovery = try SegmentRecovery(place, tail: tail, options: options)
        try recovery.checkTail()
        let number = try recovery.numberBehindTail(max(1, nextBlob))
        try recovery.cut()
        let writer = SegmentWriter(
            place, options: options, file: recovery.file, tail: recovery.tail, capacity: recovery.capacity,
            nextBlob: number)
        return SegmentStore(
            place, options: options, writer: writer, segments: recovery.segments, octets: recovery.octets)
    }

    /// Copies all that lies behind `tail` to a new directory `aside-…` beside the segments and cuts it off there only
    /// when the copy is on stable storage. For a log whose end does not verify: the shard stops, and an operator
    /// decides.
    /// - Parameter reason: written into the new directory as `reason`.
    /// - Returns: the new directory; nil when nothing lies behind the tail.
    package static func setAside(
        directory: String, storeUUID: [UInt8], shard: UInt32, tail: (segment: UInt32, offset: UInt64), reason: String,
        disk: DiskCalls = .system
    ) throws(StoreError) -> String? {
        let place = SegmentDirectory(path: directory, storeUUID: storeUUID, shard: shard, disk: disk)
        do throws(FileFault) {
            return try SegmentAside(place, tail: tail).move(reason: reason)
        } catch {
            throw error.storeError
        }
    }
}

struct SegmentRecovery {
    private let directory: SegmentDirectory
    private let options: SegmentOptions
    /// Where writing goes on.
    let tail: BodyLocation
    private(set) var file: OpenFile
    /// The end of the tail's segment.
    private(set) var capacity: UInt64 = 0
    private(set) var segments = 0
    private(set) var octets: UInt64 = 0

    init(
        _ directory: SegmentDirectory, tail: (segment: UInt32, offset: UInt64), options: SegmentOptions
    ) throws(StoreError) {
        self.directory = directory
        self.options = options
        self.tail =
            tail.segment == 0
            ? BodyLocation(segment: 1, offset: UInt64(SegmentFormat.headerOctets))
            : BodyLocation(segment: tail.segment, offset: tail.offset)
        guard access(directory.path, F_OK) == 0 else { throw .unusable("\(directory.path) is not there") }
        file = try directory.open(self.tail.segment, flags: O_RDWR)
    }

    /// The segments must reach the tail: behind it nothing counts, before it everything does.
    mutating func checkTail() throws(StoreError) {
        guard tail.offset >= UInt64(SegmentFormat.headerOctets), tail.offset % UInt64(SegmentFormat.alignment) == 0
        else {
            throw .damaged("\(file.path): no body can end at \(tail.offset)")
        }
        let length = try size(file)
        guard length >= tail.offset else {
            throw .damaged("\(file.path) has \(length) octets, and bodies up to \(tail.offset) were acknowledged")
        }
    }

    /// A number above all that records behind the tail have used, so that none is ever given twice. They may be named
    /// in what a client, a log line or a copy of the segments still remembers.
    func numberBehindTail(_ next: UInt64) throws(StoreError) -> UInt64 {
        var above = next
        let numbers: [UInt32]
        do throws(FileFault) {
            numbers = try segmentsBehindTail(includingItsOwn: true)
        } catch {
            throw error.storeError
        }
        for number in numbers {
            guard let segment = try? directory.open(number, flags: O_RDONLY) else { continue }
            let end = try size(segment)
            var offset = number == tail.segment ? tail.offset : UInt64(SegmentFormat.headerOctets)
            while offset < end, case .record(let header) = try RecordReader(segment).header(at: offset) {
                let blob = header.blob.rawValue
                // Bytes that only look like a record could otherwise use up all numbers.
                guard blob >= next, blob - next < BodyLimits.blobNumbersAheadMax else { break }
                above = max(above, blob + 1)
                offset += UInt64(SegmentFormat.recordOctets(payload: Int(header.storedOctets)))
            }
        }
        return above
    }

    /// Removes all that lies behind the tail and makes the rest of its segment ready to be written to.
    mutating func cut() throws(StoreError) {
        do throws(FileFault) {
            let later = try segmentsBehindTail(includingItsOwn: false)
            for number in later { try directory.remove(directory.path(of: number)) }
            // Made for a large body and not yet named.
            try directory.remove(directory.path + "/large")
            if !later.isEmpty { try directory.flush() }
            try file.clear(from: tail.offset, keeping: UInt64(options.segmentOctets))
            try extend()
            capacity = try file.count
            try file.flushData()
            try measure()
        } catch {
            throw error.storeError
        }
    }

    /// A segment that was closed gave its unused end back; it is the last one again and takes it anew.
    private func extend() throws(FileFault) {
        let wanted = UInt64(options.segmentOctets)
        let length = try file.count
        guard length < wanted else { return }
        do throws(FileFault) {
            let allocated = try file.allocate(from: length, to: wanted)
            if options.prezero || !allocated { try file.writeZeros(from: length, to: wanted) }
        } catch {
            // On a full disk the bodies can still be read; the next one to be staged meets the lack of room.
            guard error.isNoSpace else { throw error }
            try file.truncate(to: length)
        }
    }

    private mutating func measure() throws(FileFault) {
        for number in try directory.segments() {
            var status = stat()
            let path = directory.path(of: number)
            guard stat(path, &status) == 0 else { throw FileFault("stat", path) }
            segments += 1
            octets += UInt64(status.st_size)
        }
    }

    private func segmentsBehindTail(includingItsOwn: Bool) throws(FileFault) -> [UInt32] {
        try directory.segments().filter { $0 > tail.segment || includingItsOwn && $0 == tail.segment }
    }
}

extension OpenFile {
    /// Makes everything from `offset` on read as zeros, keeping the blocks below `end`. Only what is not zero already
    /// is written: a block that has been written once is cheaper to flush than one only reserved.
    func clear(from offset: UInt64, keeping end: UInt64) throws(FileFault) {
        let length = try count
        let kept = max(offset, min(length, end))
        if kept < length { try truncate(to: kept) }
        var position = offset
        while position < kept {
            let run = try read(min(BodyLimits.runOctetsMax, Int(kept - position)), at: position)
            guard !run.isEmpty else { return }
            if !isZero(run) { try writeZeros(from: position, to: position + UInt64(run.count)) }
            position += UInt64(run.count)
        }
    }
}
