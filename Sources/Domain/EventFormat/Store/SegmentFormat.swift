// Segment files: a header of 4 KiB, then a record for each body (docs/formats/event-log.md, "Segment file").
//
// A record can be checked in pieces: its header by a CRC of its own, its payload by one CRC for each 64 KiB, so that a
// range can be verified without reading the rest.
import Digests
import MailTypes
import Octets

package enum SegmentFormat {
    package static let headerOctets = 4096
    package static let recordHeaderOctets = 72
    /// Payload that one CRC covers.
    package static let chunkOctets = 65_536
    /// Records begin at multiples of it.
    package static let alignment = 8
    static let version: UInt8 = 1

    /// How many CRCs follow a payload.
    package static func checksumCount(payload octets: Int) -> Int { (octets + chunkOctets - 1) / chunkOctets }

    /// The whole record, padding included.
    /// - Parameter octets: 0...`FormatLimits.bodyOctetsMax`.
    package static func recordOctets(payload octets: Int) -> Int {
        let used = recordHeaderOctets + octets + 4 * checksumCount(payload: octets)
        return (used + alignment - 1) / alignment * alignment
    }

    /// Zeros at the end of the record.
    package static func paddingOctets(payload octets: Int) -> Int {
        recordOctets(payload: octets) - recordHeaderOctets - octets - 4 * checksumCount(payload: octets)
    }

    /// Where the CRC of chunk `index` stands, from the start of the record.
    package static func checksumOffset(payload octets: Int, chunk index: Int) -> Int {
        recordHeaderOctets + octets + 4 * index
    }

    /// What stands at the start of the file.
    package struct FileHeader: Hashable, Sendable {
        static let magic = Array("LLSEGMNT".utf8)

        /// 16 bytes.
        package var storeUUID: [UInt8]
        package var shard: UInt32
        package var segment: UInt32
        package init(storeUUID: [UInt8], shard: UInt32, segment: UInt32) {
            precondition(storeUUID.count == 16)
            self.storeUUID = storeUUID
            self.shard = shard
            self.segment = segment
        }

        /// 4 KiB.
        package func encode() -> [UInt8] {
            var out = ByteWriter(capacity: headerOctets)
            out.raw(Self.magic)
            out.le(UInt32(version))
            out.le(shard)
            out.raw(storeUUID)
            out.le(segment)
            out.zeros(headerOctets - 4 - out.count)
            out.le(CRC32C.checksum(out.bytes))
            return out.bytes
        }

        /// - Parameter bytes: the first 4 KiB of the file.
        package static func decode(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> FileHeader {
            guard bytes.count >= headerOctets else { throw .truncated(missing: headerOctets - bytes.count) }
            guard bytes.count == headerOctets else { throw .invalid("length of a segment header") }
            var reader = ByteReader(bytes)
            guard try reader.slice(8).elementsEqual(magic) else { throw .invalid("segment magic") }
            guard try reader.le(UInt32.self) == UInt32(version) else { throw .invalid("segment version") }
            let crc = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<(headerOctets - 4)]))
            guard bytes.le(headerOctets - 4, UInt32.self) == crc else { throw .invalid("CRC of a segment header") }
            let shard: UInt32 = try reader.le()
            let uuid = try reader.array(16)
            let segment: UInt32 = try reader.le()
            try reader.zeros(headerOctets - 4 - reader.position)
            return FileHeader(storeUUID: uuid, shard: shard, segment: segment)
        }
    }

    /// What stands before each body.
    package struct RecordHeader: Hashable, Sendable {
        static let magic = Array("LBDY".utf8)

        package var blob: BlobNumber
        package var storedOctets: UInt64
        package var rawOctets: UInt64
        package var hash: ContentHash
        package var flags: BodyFlags
        package init(
            blob: BlobNumber, storedOctets: UInt64, rawOctets: UInt64, hash: ContentHash, flags: BodyFlags = []
        ) {
            self.blob = blob
            self.storedOctets = storedOctets
            self.rawOctets = rawOctets
            self.hash = hash
            self.flags = flags
        }

        /// 72 bytes.
        package func encode() -> [UInt8] {
            var out = ByteWriter(capacity: recordHeaderOctets)
            out.raw(Self.magic)
            out.u8(version)
            out.u8(BodyCodec.plain)
            out.u8(BodyEncryption.none)
            out.u8(flags.rawValue)
            out.le(blob.rawValue)
            out.le(storedOctets)
            out.le(rawOctets)
            out.contentHash(hash)
            out.le(CRC32C.checksum(out.bytes))
            out.zeros(4)
            return out.bytes
        }

        /// - Parameter bytes: 72.
        package static func decode(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> RecordHeader {
            guard bytes.count >= recordHeaderOctets else {
                throw .truncated(missing: recordHeaderOctets - bytes.count)
            }
            guard bytes.count == recordHeaderOctets else { throw .invalid("length of a body header") }
            var reader = ByteReader(bytes)
            guard try reader.slice(4).elementsEqual(magic) else { throw .invalid("body magic") }
            guard bytes.le(64, UInt32.self) == CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<64])) else {
                throw .invalid("CRC of a body header")
            }
            try reader.version(version)
            let flags = try reader.bodyCoding()
            let blob = BlobNumber(try reader.le())
            let (stored, raw) = try reader.bodyLengths()
            let hash = ContentHash(bytes: try reader.slice(32))
            try reader.skip(4)
            try reader.zeros(4)
            return RecordHeader(blob: blob, storedOctets: stored, rawOctets: raw, hash: hash, flags: flags)
        }
    }
}
