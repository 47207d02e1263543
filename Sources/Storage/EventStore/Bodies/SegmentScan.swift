// Walks all records in the order they were written, for rebuilding the rows of bodies and for `verify`.
//
// Where a header is damaged the walk looks for the next valid one, and reports what it passed over. What it finds there
// may be bytes inside a letter that only look like a record: whoever uses the result compares hash and number with the
// log, which names both.
import EventFormat
import Glibc

/// A range in which no record could be read.
package struct SegmentGap: Equatable, Sendable {
    package var from: BodyLocation
    /// Offset in the same segment where reading went on, or its end.
    package var end: UInt64
    package var reason: String
}

struct SegmentScan {
    let directory: SegmentDirectory
    /// Nothing behind it is read.
    let tail: BodyLocation
    private(set) var gaps: [SegmentGap] = []
    private var isEnded = false

    init(_ directory: SegmentDirectory, tail: BodyLocation) {
        self.directory = directory
        self.tail = tail
    }

    typealias Visitor = (BodyLocation, SegmentFormat.RecordHeader) -> Bool

    mutating func run(_ body: Visitor) throws(StoreError) {
        let numbers: [UInt32]
        do throws(FileFault) { numbers = try directory.segments() } catch { throw error.storeError }
        for number in numbers where number <= tail.segment && !isEnded {
            try walk(number, body)
        }
    }

    private mutating func walk(_ number: UInt32, _ body: Visitor) throws(StoreError) {
        let start = BodyLocation(segment: number, offset: UInt64(SegmentFormat.headerOctets))
        let file: OpenFile
        var end: UInt64
        do throws(StoreError) {
            file = try directory.open(number, flags: O_RDONLY)
            end = try size(file)
        } catch {
            guard case .damaged(let reason) = error else { throw error }
            gaps.append(SegmentGap(from: start, end: start.offset, reason: reason))
            return
        }
        if number == tail.segment { end = min(end, tail.offset) }
        var offset = start.offset
        // To the very end: fewer octets than a header has may be what is left of a body.
        while offset < end, !isEnded {
            if let length = try record(file, number, offset, end, body) {
                offset += length
            } else {
                offset = try pass(file, number, offset, end)
            }
        }
    }

    /// - Returns: the length of the record at `offset`, or nil when there is none.
    private mutating func record(
        _ file: OpenFile, _ number: UInt32, _ offset: UInt64, _ end: UInt64, _ body: Visitor
    ) throws(StoreError) -> UInt64? {
        guard case .record(let header) = try RecordReader(file).header(at: offset) else { return nil }
        let length = UInt64(SegmentFormat.recordOctets(payload: Int(header.storedOctets)))
        guard length <= end - offset else { return nil }
        if !body(BodyLocation(segment: number, offset: offset), header) { isEnded = true }
        return length
    }

    /// Looks for the next record behind `offset`, where there is none.
    /// - Returns: where it begins, or `end`.
    private mutating func pass(
        _ file: OpenFile, _ number: UInt32, _ offset: UInt64, _ end: UInt64
    ) throws(StoreError) -> UInt64 {
        var position = offset
        var sawBytes = false
        while position < end {
            let bytes: [UInt8]
            do throws(FileFault) {
                // A header that begins in this run may end in the next one.
                let overlap = UInt64(SegmentFormat.recordHeaderOctets)
                bytes = try file.read(Int(min(UInt64(BodyLimits.runOctetsMax) + overlap, end - position)), at: position)
            } catch {
                throw error.storeError
            }
            let run = min(bytes.count, BodyLimits.runOctetsMax)
            guard run > 0 else { break }
            sawBytes = sawBytes || !isZero(bytes)
            if let found = nextRecord(bytes, run: run, at: position, behind: offset, end: end) {
                note(number, from: offset, to: found)
                return found
            }
            position += UInt64(run)
        }
        // The unused end of a segment is zeros and no damage.
        if sawBytes {
            note(number, from: offset, to: end)
        }
        return end
    }

    private mutating func note(_ number: UInt32, from offset: UInt64, to end: UInt64) {
        gaps.append(
            SegmentGap(from: BodyLocation(segment: number, offset: offset), end: end, reason: "no valid header"))
    }

    private func nextRecord(
        _ bytes: [UInt8], run: Int, at position: UInt64, behind offset: UInt64, end: UInt64
    ) -> UInt64? {
        var index = position == offset ? SegmentFormat.alignment : 0
        while index < run, index + SegmentFormat.recordHeaderOctets <= bytes.count {
            if bytes[index] == firstOctet,
                case .record(let header) = RecordReader.parse(
                    Array(bytes[index..<(index + SegmentFormat.recordHeaderOctets)])),
                UInt64(SegmentFormat.recordOctets(payload: Int(header.storedOctets))) <= end - position - UInt64(index)
            {
                return position + UInt64(index)
            }
            index += SegmentFormat.alignment
        }
        return nil
    }
}

/// What every record begins with: looked for before a header is decoded.
private let firstOctet = SegmentFormat.RecordHeader(
    blob: .init(0), storedOctets: 0, rawOctets: 0, hash: .zero
).encode()[0]

extension SegmentStore {
    /// Hands out the place and header of every record up to the tail, ascending, erased ones included, until `body`
    /// answers false. Staging may go on meanwhile.
    /// - Returns: what could not be read, in the same order.
    @discardableResult
    package func scan(
        _ body: (BodyLocation, SegmentFormat.RecordHeader) -> Bool
    ) throws(StoreError) -> [SegmentGap] {
        var scan = SegmentScan(directory, tail: location)
        try scan.run(body)
        return scan.gaps
    }
}

/// The length of an open segment.
func size(_ file: OpenFile) throws(StoreError) -> UInt64 {
    do throws(FileFault) { return try file.count } catch { throw error.storeError }
}
