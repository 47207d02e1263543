// The 56 bytes before every record (docs/formats/event-log.md, "Record header").
//
// `structure` is the one place where lengths from the bytes become ranges: after it, header, meta, open and personal
// part are known to fill the record exactly.
import Digests
import MailCore
import MailTypes
import Octets

package enum RecordKind: UInt8, Sendable {
    case event = 1
    case seal = 2
}

package struct RecordFlags: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Reserved; version 1 refuses it.
    package static let encrypted = RecordFlags(rawValue: 1)
    /// The event's position can be a MODSEQ.
    package static let mailVisible = RecordFlags(rawValue: 2)
    /// Written by no version so far.
    package static let continued = RecordFlags(rawValue: 4)
    package static let imported = RecordFlags(rawValue: 8)
    package static let erased = RecordFlags(rawValue: 16)
    package static let retryable = RecordFlags(rawValue: 32)
    static let readable: RecordFlags = [.mailVisible, .continued, .imported, .erased, .retryable]
}

/// What stands in front of a record.
package struct RecordHeader: Hashable, Sendable {
    package var kind: RecordKind
    package var flags: RecordFlags
    package var account: AccountID
    package var aseq: ModSeq
    /// 0 for the first event of an account, and for seals.
    package var previousLSN: UInt64
    package var time: Timestamp
    /// An `EventType`, when this version knows it; 0 for seals.
    package var type: UInt16
    package var typeVersion: UInt16
    package var metaOctets: Int
    package var openOctets: Int
    /// 0, or at least 32.
    package var personalOctets: Int

    package var octets: Int { RecordLayout.headerOctets + metaOctets + openOctets + personalOctets }
}

/// Offsets in the header.
package enum RecordLayout {
    package static let headerOctets = 56
    package static let magicValue: UInt8 = 0xE5
    package static let containerVersion: UInt8 = 1

    static let magic = 0
    static let version = 1
    static let kind = 2
    static let flags = 3
    static let octets = 4
    static let crc = 8
    static let account = 12
    static let aseq = 16
    static let previousLSN = 24
    static let time = 32
    static let type = 40
    static let typeVersion = 42
    static let metaOctets = 44
    static let keyID = 46
    static let openOctets = 48
    static let personalOctets = 52
}

extension RecordHeader {
    /// Reads the header and checks that the record is complete, without the CRC.
    static func structure(_ bytes: UnsafeRawBufferPointer) throws(FormatError) -> RecordHeader {
        guard bytes.count >= RecordLayout.headerOctets else {
            throw .truncated(missing: RecordLayout.headerOctets - bytes.count)
        }
        guard bytes[RecordLayout.magic] == RecordLayout.magicValue else { throw .invalid("record magic") }
        guard bytes[RecordLayout.version] == RecordLayout.containerVersion else { throw .invalid("record version") }
        guard let kind = RecordKind(rawValue: bytes[RecordLayout.kind]) else { throw .invalid("record kind") }
        let flags = RecordFlags(rawValue: bytes[RecordLayout.flags])
        guard flags.isSubset(of: .readable), bytes.le(RecordLayout.keyID, UInt16.self) == 0 else {
            throw .invalid("record flags or key id")
        }
        let header = RecordHeader(
            kind: kind, flags: flags, account: AccountID(bytes.le(RecordLayout.account)),
            aseq: ModSeq(bytes.le(RecordLayout.aseq)), previousLSN: bytes.le(RecordLayout.previousLSN),
            time: try checkedTime(bytes.le(RecordLayout.time)), type: bytes.le(RecordLayout.type),
            typeVersion: bytes.le(RecordLayout.typeVersion),
            metaOctets: Int(bytes.le(RecordLayout.metaOctets, UInt16.self)),
            openOctets: Int(bytes.le(RecordLayout.openOctets, UInt32.self)),
            personalOctets: Int(bytes.le(RecordLayout.personalOctets, UInt32.self)))
        let octets = Int(bytes.le(RecordLayout.octets, UInt32.self))
        guard octets <= FormatLimits.recordOctetsMax, header.octets == octets else { throw .invalid("record length") }
        guard bytes.count >= octets else { throw .truncated(missing: octets - bytes.count) }
        guard bytes.count == octets else { throw .invalid("bytes after the record") }
        try header.check()
        return header
    }

    private func check() throws(FormatError) {
        guard personalOctets == 0 ? !flags.contains(.erased) : personalOctets >= PersonalFields.octetsMin else {
            throw .invalid("personal length")
        }
        switch kind {
        case .event:
            guard aseq > .zero else { throw .invalid("position of an event") }
        case .seal:
            guard flags.isEmpty, account == .system, aseq == .zero, previousLSN == 0, type == 0, typeVersion == 1,
                metaOctets == 0, personalOctets == 0
            else { throw .invalid("header of a seal") }
        }
    }

    /// Writes the header over the first 56 of `bytes`, CRC left out.
    func write(to bytes: UnsafeMutableRawBufferPointer) {
        bytes[RecordLayout.magic] = RecordLayout.magicValue
        bytes[RecordLayout.version] = RecordLayout.containerVersion
        bytes[RecordLayout.kind] = kind.rawValue
        bytes[RecordLayout.flags] = flags.rawValue
        bytes.setLE(UInt32(octets), at: RecordLayout.octets)
        bytes.setLE(account.rawValue, at: RecordLayout.account)
        bytes.setLE(aseq.rawValue, at: RecordLayout.aseq)
        bytes.setLE(previousLSN, at: RecordLayout.previousLSN)
        bytes.setLE(time.rawValue, at: RecordLayout.time)
        bytes.setLE(type, at: RecordLayout.type)
        bytes.setLE(typeVersion, at: RecordLayout.typeVersion)
        bytes.setLE(UInt16(metaOctets), at: RecordLayout.metaOctets)
        bytes.setLE(UInt16(0), at: RecordLayout.keyID)
        bytes.setLE(UInt32(openOctets), at: RecordLayout.openOctets)
        bytes.setLE(UInt32(personalOctets), at: RecordLayout.personalOctets)
    }

    func meta(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        part(bytes, RecordLayout.headerOctets, metaOctets)
    }

    func open(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        part(bytes, RecordLayout.headerOctets + metaOctets, openOctets)
    }

    func personal(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        part(bytes, RecordLayout.headerOctets + metaOctets + openOctets, personalOctets)
    }

    private func part(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[start..<(start + count)])
    }
}

/// The CRC of a record that stands at `lsn`: of the LSN and of every byte but the CRC's own.
func recordCRC(_ bytes: UnsafeRawBufferPointer, lsn: UInt64) -> UInt32 {
    let crc = withUnsafeBytes(of: lsn.bigEndian) { CRC32C.checksum($0) }
    let front = UnsafeRawBufferPointer(rebasing: bytes[..<RecordLayout.crc])
    let rest = UnsafeRawBufferPointer(rebasing: bytes[(RecordLayout.crc + 4)...])
    return CRC32C.checksum(rest, seed: CRC32C.checksum(front, seed: crc))
}

/// The record hash: header without what can change, meta, open part, hash of the personal part.
func recordHash(_ bytes: UnsafeRawBufferPointer, _ header: RecordHeader) -> SHA256Digest {
    var hasher = SHA256Hasher()
    var words: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0)
    withUnsafeMutableBytes(of: &words) { copy in
        copy.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<RecordLayout.headerOctets]))
        copy[RecordLayout.flags] = header.flags.subtracting(.erased).rawValue
        copy.setLE(UInt32(0), at: RecordLayout.crc)
        copy.setLE(UInt64(0), at: RecordLayout.previousLSN)
        hasher.update(UnsafeRawBufferPointer(copy))
    }
    let open = RecordLayout.headerOctets..<(header.octets - header.personalOctets)
    hasher.update(UnsafeRawBufferPointer(rebasing: bytes[open]))
    hasher.update(personalHash(header.personal(bytes), isErased: header.flags.contains(.erased)))
    return hasher.finalize()
}

/// Of the part as it was written; an erased part begins with it.
func personalHash(_ part: UnsafeRawBufferPointer, isErased: Bool) -> SHA256Digest {
    if part.isEmpty { return .zero }
    if isErased { return SHA256Digest(bytes: UnsafeRawBufferPointer(rebasing: part.prefix(32))) ?? .zero }
    var hasher = SHA256Hasher()
    hasher.update(part)
    return hasher.finalize()
}

extension UnsafeRawBufferPointer {
    /// The little-endian number at `offset`, which the caller has checked.
    func le<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type = T.self) -> T {
        T(littleEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }
}

extension UnsafeMutableRawBufferPointer {
    func setLE<T: FixedWidthInteger>(_ value: T, at offset: Int) {
        storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    }
}
