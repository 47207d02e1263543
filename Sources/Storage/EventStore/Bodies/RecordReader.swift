// Reads and checks single records of a segment.
//
// An erased record is told by a flag in its header, which the header's CRC covers. The two lie 57 bytes apart and may
// be in different sectors, so a power cut can leave one of them changed. Either half counts as erased.
import Digests
import EventFormat
import Glibc
import MailTypes

struct RecordReader {
    let file: OpenFile
    init(_ file: OpenFile) { self.file = file }

    /// What stands where a record could begin.
    enum Found: Equatable {
        case record(SegmentFormat.RecordHeader)
        /// Only zeros: nothing was written here.
        case nothing
        case damage
    }

    /// - Parameter offset: a multiple of 8.
    func header(at offset: UInt64) throws(StoreError) -> Found {
        do throws(FileFault) {
            return Self.parse(try file.read(SegmentFormat.recordHeaderOctets, at: offset))
        } catch {
            throw error.storeError
        }
    }

    static func parse(_ bytes: [UInt8]) -> Found {
        if isZero(bytes) { return .nothing }
        if let header = decode(bytes) { return .record(header) }
        guard bytes.count == SegmentFormat.recordHeaderOctets else { return .damage }
        var turned = bytes
        turned[flagsOffset] ^= BodyFlags.erased.rawValue
        guard var header = decode(turned) else { return .damage }
        header.flags.insert(.erased)
        return .record(header)
    }

    private static func decode(_ bytes: [UInt8]) -> SegmentFormat.RecordHeader? {
        bytes.withUnsafeBytes { try? SegmentFormat.RecordHeader.decode($0) }
    }

    /// Of the flags in a record header.
    private static let flagsOffset = 7

    // MARK: Verifying

    /// Reads the whole record and checks each CRC and the hash.
    /// - Parameter expected: the hash the log has for this body.
    func verify(at offset: UInt64, expected: ContentHash?) throws(StoreError) -> BodyCheck {
        guard case .record(let header) = try header(at: offset) else { return .damaged("no valid header") }
        if let expected, expected != header.hash { return .damaged("the header is of another body") }
        let count = Int(header.storedOctets)
        let end = offset + UInt64(SegmentFormat.recordOctets(payload: count))
        do throws(FileFault) {
            guard try file.count >= end else { return .damaged("the segment ends within the body") }
            return header.flags.contains(.erased)
                ? try verifyErased(at: offset, count: count)
                : try verifyPayload(at: offset, count: count, hash: header.hash)
        } catch {
            throw error.storeError
        }
    }

    private func verifyPayload(at offset: UInt64, count: Int, hash: ContentHash) throws(FileFault) -> BodyCheck {
        let start = offset + UInt64(SegmentFormat.recordHeaderOctets)
        let table = try file.read(4 * SegmentFormat.checksumCount(payload: count), at: start + UInt64(count))
        var hasher = SHA256Hasher()
        for chunk in 0..<SegmentFormat.checksumCount(payload: count) {
            let from = chunk * SegmentFormat.chunkOctets
            let bytes = try file.read(min(SegmentFormat.chunkOctets, count - from), at: start + UInt64(from))
            let stored = table.withUnsafeBytes {
                UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: 4 * chunk, as: UInt32.self))
            }
            guard CRC32C.checksum(bytes) == stored else { return .damaged("CRC of chunk \(chunk)") }
            hasher.update(bytes)
        }
        return ContentHash(hasher.finalize()) == hash ? .intact : .damaged("the hash does not match")
    }

    /// An erased body must be gone: its bytes, and the CRCs that would tell what they were.
    private func verifyErased(at offset: UInt64, count: Int) throws(FileFault) -> BodyCheck {
        var position = offset + UInt64(SegmentFormat.recordHeaderOctets)
        let end = offset + UInt64(SegmentFormat.recordOctets(payload: count))
        while position < end {
            let bytes = try file.read(min(BodyLimits.runOctetsMax, Int(end - position)), at: position)
            guard isZero(bytes), !bytes.isEmpty else {
                return .damaged("erased, but its bytes are still there")
            }
            position += UInt64(bytes.count)
        }
        return .erased
    }
}

/// What a check of one body found.
package enum BodyCheck: Equatable, Sendable {
    case intact
    /// Erased, and nothing of it is left.
    case erased
    /// The text says which check failed.
    case damaged(String)
}

extension SegmentStore {
    /// Checks the record at `location`: its header, each CRC, the hash, and that nothing is left of an erased one.
    /// - Parameter expected: the hash the log has for this body; nil takes the header's word.
    package func verify(
        _ location: BodyLocation, expected: ContentHash? = nil
    ) throws(StoreError) -> BodyCheck {
        try RecordReader(files.file(location.segment)).verify(at: location.offset, expected: expected)
    }

    /// Erases the body at `location`: marks its header, gives its blocks back, and returns when that is on stable
    /// storage. After an error, or a crash, it is to be called again; it may be called twice.
    package func erase(_ location: BodyLocation) throws(StoreError) {
        guard location < self.location else { throw .damaged("no body at \(location.offset) of \(location.segment)") }
        let file = try directory.open(location.segment, flags: O_RDWR)
        guard case .record(var header) = try RecordReader(file).header(at: location.offset) else {
            throw .damaged("\(file.path): no body at \(location.offset)")
        }
        header.flags.insert(.erased)
        let length = UInt64(SegmentFormat.recordOctets(payload: Int(header.storedOctets)))
        let start = location.offset + UInt64(SegmentFormat.recordHeaderOctets)
        let end = location.offset + length
        do throws(FileFault) {
            try file.write(header.encode(), at: location.offset)
            if !(try file.punch(from: start, to: end)) { try file.writeZeros(from: start, to: end) }
            try file.flushAll()
        } catch {
            if error.isNoSpace { throw .full }
            let reason = StoreError.failed(error.description)
            stop(reason)
            throw reason
        }
        noteErased(octets: length)
    }
}
