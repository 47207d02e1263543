// The end of the segments: where bodies are appended. Owned by `SegmentStore`, used under its writer lock.
//
// Invariants
// - Blocks are allocated before a record goes into them, so a full disk is met when a segment is made.
// - The tail moves only when a record is written whole. A record that could not be is overwritten with zeros.
// - A segment has its header, its name and its directory entry on stable storage before the first record goes in.
// - A body's number is used up only when its record stands, so numbers are consecutive in the order of writing.
// - After a write or a flush that failed, other than for want of space, nothing is written any more.
import EventFormat
import Glibc
import MailCore
import MailTypes

struct SegmentWriter {
    let directory: SegmentDirectory
    let options: SegmentOptions
    let preparer: SegmentPreparer
    let buffer = RunBuffer()
    private(set) var file: OpenFile
    private(set) var tail: BodyLocation
    /// The segment's end: records must fit below it.
    private var capacity: UInt64
    private(set) var nextBlob: UInt64
    /// Files with records that were not flushed, oldest first; the last is `file` when that has some.
    private var unflushed: [OpenFile] = []
    private(set) var failure: StoreError?
    private(set) var counters = SegmentCounters()

    init(
        _ directory: SegmentDirectory, options: SegmentOptions, file: OpenFile, tail: BodyLocation, capacity: UInt64,
        nextBlob: UInt64
    ) {
        self.directory = directory
        self.options = options
        self.file = file
        self.tail = tail
        self.capacity = capacity
        self.nextBlob = nextBlob
        preparer = SegmentPreparer(
            directory, octets: UInt64(options.segmentOctets), prezero: options.prezero)
        preparer.start()
    }

    /// Writes a record behind the tail and moves the tail behind it.
    mutating func stage(_ source: any BodySource) throws(StoreError) -> StagedBody {
        if let failure { throw failure }
        let count = source.count
        guard count >= 0, count <= FormatLimits.bodyOctetsMax, let size = UInt32(exactly: count) else {
            throw .unusable("a body of \(count) octets; \(FormatLimits.bodyOctetsMax) is the most")
        }
        let length = UInt64(SegmentFormat.recordOctets(payload: count))
        if tail.offset + length > capacity { try roll(for: length) }
        try writeRecord(source, count: count)
        let staged = StagedBody(
            reference: BodyReference(blob: BlobNumber(nextBlob), size: size, hash: source.hash),
            segment: tail.segment, offset: tail.offset)
        tail.offset += length
        nextBlob += 1
        counters.bodiesStaged += 1
        counters.octetsStaged += UInt64(count)
        if unflushed.last !== file { unflushed.append(file) }
        return staged
    }

    mutating func sync() throws(StoreError) {
        if let failure { throw failure }
        do throws(FileFault) {
            for file in unflushed {
                try file.flushData()
                counters.flushes += 1
            }
        } catch {
            throw poison(error)
        }
        unflushed.removeAll(keepingCapacity: true)
    }

    /// Nothing is written from now on.
    mutating func stop(_ reason: StoreError) {
        if failure == nil { failure = reason }
    }

    // MARK: One record

    private mutating func writeRecord(_ source: any BodySource, count: Int) throws(StoreError) {
        var stream = RecordStream(file, at: tail.offset, buffer: buffer)
        var fault: FileFault?
        do throws(StoreError) {
            try feed(&stream, source, count: count, fault: &fault)
        } catch {
            if let fault, !fault.isNoSpace { throw poison(fault) }
            // The source gave up or the disk is full: what stands there is no record, and must not be taken for one.
            if stream.written > 0 || fault != nil { try wipe(stream.written) }
            throw error
        }
    }

    /// - Parameter fault: gets the write that failed, to tell it from a source that failed.
    private func feed(
        _ stream: inout RecordStream, _ source: any BodySource, count: Int, fault: inout FileFault?
    ) throws(StoreError) {
        do throws(FileFault) {
            try stream.header(
                SegmentFormat.RecordHeader(
                    blob: BlobNumber(nextBlob), storedOctets: UInt64(count), rawOctets: UInt64(count),
                    hash: source.hash))
        } catch {
            fault = error
            throw error.storeError
        }
        try source.read { run throws(StoreError) in
            guard stream.payload + run.count <= count else {
                throw .failed("a body source gave more than the \(count) octets it announced")
            }
            do throws(FileFault) {
                try stream.payload(run)
            } catch {
                fault = error
                throw error.storeError
            }
        }
        guard stream.payload == count else {
            throw .failed("a body source gave \(stream.payload) of the \(count) octets it announced")
        }
        do throws(FileFault) {
            try stream.finish()
        } catch {
            fault = error
            throw error.storeError
        }
    }

    /// Overwrites what a given-up record has left behind the tail.
    /// - Parameter written: octets known to have been written; a run that failed may have left more.
    private mutating func wipe(_ written: UInt64) throws(StoreError) {
        let end = min(capacity, tail.offset + written + UInt64(buffer.memory.count))
        do throws(FileFault) {
            try file.writeZeros(from: tail.offset, to: end)
        } catch {
            // Without space even for that, the next record overwrites it, and none is looked for behind the tail.
            if !error.isNoSpace { throw poison(error) }
        }
    }

    private mutating func poison(_ fault: FileFault) -> StoreError {
        let reason = StoreError.failed(fault.description)
        stop(reason)
        return reason
    }

    // MARK: Rolling

    /// Begins a segment with room for a record of `length` octets and closes the current one at its tail.
    private mutating func roll(for length: UInt64) throws(StoreError) {
        guard tail.segment < UInt32.max else { throw .unusable("segment numbers are used up") }
        let number = tail.segment + 1
        let octets = Self.segmentOctets(for: length, options)
        var next: OpenFile
        do throws(FileFault) {
            // A body that needs a segment of its own writes all of it at once: zeros under it would be for nothing.
            next =
                octets == UInt64(options.segmentOctets)
                ? try preparer.take()
                : try directory.allocate(directory.path + "/large", octets: octets, prezero: false)
        } catch {
            if error.isNoSpace || error.operation == "open" { throw error.storeError }
            throw poison(error)
        }
        do throws(FileFault) {
            next = try directory.adopt(next, as: number)
            // What is left of the old segment goes back to the file system.
            try file.truncate(to: tail.offset)
        } catch {
            if error.isNoSpace { throw .full }
            throw poison(error)
        }
        counters.segmentsBegun += 1
        counters.segmentOctetsGrown += Int64(octets) - Int64(capacity - tail.offset)
        file = next
        tail = BodyLocation(segment: number, offset: UInt64(SegmentFormat.headerOctets))
        capacity = octets
        preparer.start()
    }

    /// The usual size, or what one large record needs, in whole blocks.
    private static func segmentOctets(for length: UInt64, _ options: SegmentOptions) -> UInt64 {
        let block = UInt64(BodyLimits.blockOctets)
        let needed = (UInt64(SegmentFormat.headerOctets) + length + block - 1) / block * block
        return max(needed, UInt64(options.segmentOctets))
    }
}
