import MailTypes
import Octets

/// How a body's bytes are stored. Version 1 knows one way.
package enum BodyCodec {
    package static let plain: UInt8 = 0
}

/// How a body's bytes are encrypted. Version 1 knows one way.
package enum BodyEncryption {
    package static let none: UInt8 = 0
}

package struct BodyFlags: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Its bytes have been overwritten or given back.
    package static let erased = BodyFlags(rawValue: 1)
}

/// Where a body lies and how many refer to it: a row of `blob`.
package struct BlobRow: Hashable, Sendable {
    package static let octets = 72

    package var segment: UInt32
    /// Of the record header in the segment.
    package var offset: UInt64
    package var storedOctets: UInt64
    package var rawOctets: UInt64
    /// Messages and queue entries that refer to it.
    package var references: UInt32
    package var hash: ContentHash
    package var flags: BodyFlags

    package init(
        segment: UInt32, offset: UInt64, storedOctets: UInt64, rawOctets: UInt64, references: UInt32, hash: ContentHash,
        flags: BodyFlags = []
    ) {
        self.segment = segment
        self.offset = offset
        self.storedOctets = storedOctets
        self.rawOctets = rawOctets
        self.references = references
        self.hash = hash
        self.flags = flags
    }

    package func encode() -> [UInt8] {
        var out = StateValue.start(Self.octets)
        out.u8(BodyCodec.plain)
        out.u8(BodyEncryption.none)
        out.u8(flags.rawValue)
        out.le(segment)
        out.le(offset)
        out.le(storedOctets)
        out.le(rawOctets)
        out.le(references)
        out.zeros(4)
        out.contentHash(hash)
        return out.bytes
    }

    package static func decode(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> BlobRow {
        var reader = try StateValue.open(bytes)
        let flags = try reader.bodyCoding()
        let segment: UInt32 = try reader.le()
        let offset: UInt64 = try reader.le()
        let (stored, raw) = try reader.bodyLengths()
        let references: UInt32 = try reader.le()
        try reader.zeros(4)
        let hash = ContentHash(bytes: try reader.slice(32))
        try reader.end()
        return BlobRow(
            segment: segment, offset: offset, storedOctets: stored, rawOctets: raw, references: references, hash: hash,
            flags: flags)
    }
}

extension ByteReader {
    /// Codec, encryption and flags, which body rows and segment records share.
    mutating func bodyCoding() throws(FormatError) -> BodyFlags {
        guard try u8() == BodyCodec.plain, try u8() == BodyEncryption.none else { throw .invalid("coding of a body") }
        let flags = BodyFlags(rawValue: try u8())
        guard flags.isSubset(of: .erased) else { throw .invalid("flags of a body") }
        return flags
    }

    mutating func bodyLengths() throws(FormatError) -> (stored: UInt64, raw: UInt64) {
        let stored: UInt64 = try le()
        let raw: UInt64 = try le()
        guard stored == raw, stored <= FormatLimits.bodyOctetsMax else { throw .invalid("length of a body") }
        return (stored, raw)
    }
}
