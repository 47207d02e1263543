// Records of the log: an event or a seal with where it stands, who caused it, and the hash that chains it.
//
// Invariants: what `encode` returns, `decode` takes at the same LSN and at no other; the hash depends neither on the
// LSNs nor on erasure. Decoding never traps, whatever the bytes.
import Digests
import MailCore
import MailTypes
import Octets

/// A record as it goes into the log.
package struct EncodedRecord: Sendable {
    package var bytes: [UInt8]
    package var hash: SHA256Digest
    package init(bytes: [UInt8], hash: SHA256Digest) {
        self.bytes = bytes
        self.hash = hash
    }
}

/// A record as it was read from the log.
package struct DecodedRecord: Sendable {
    package enum Content: Hashable, Sendable {
        case event(Event)
        case seal(Seal)
    }
    package var header: RecordHeader
    package var origin: Origin
    package var command: CommandID?
    /// The command may come again and is remembered for the de-duplication window.
    package var retryable: Bool
    /// The personal part has been erased; its fields hold placeholders.
    package var isErased: Bool
    package var content: Content
    package var hash: SHA256Digest
}

package enum RecordCodec {
    /// The record of `event` at `lsn`.
    /// - Parameters:
    ///   - previousLSN: of the account's previous event; 0 for its first.
    ///   - salt: random; written only when the event has personal fields.
    /// - Throws: `.invalid` when the record would have more than `FormatLimits.recordOctetsMax`, or a value is out of
    ///   its range.
    package static func encode(
        _ event: Event, at context: EventContext, lsn: UInt64, previousLSN: UInt64, origin: Origin, command: CommandID?,
        retryable: Bool, salt: @autoclosure () -> (UInt64, UInt64)
    ) throws(FormatError) -> EncodedRecord {
        guard context.aseq > .zero, previousLSN < lsn else { throw .invalid("position of an event") }
        var out = ByteWriter(capacity: 384)
        out.zeros(RecordLayout.headerOctets)
        writeMeta(origin, command, to: &out)
        let metaEnd = out.count
        try out.openPart(of: event)
        let openEnd = out.count
        writePersonal(event, salt, to: &out)
        guard out.count <= FormatLimits.recordOctetsMax else { throw .invalid("record too long") }

        let type = EventType(of: event)
        var flags: RecordFlags = type.isMailVisible ? .mailVisible : []
        if retryable { flags.insert(.retryable) }
        if origin.gateway == .maildirImport { flags.insert(.imported) }
        let header = RecordHeader(
            kind: .event, flags: flags, account: context.account, aseq: context.aseq, previousLSN: previousLSN,
            time: try checkedTime(context.time.rawValue), type: type.rawValue, typeVersion: type.version,
            metaOctets: metaEnd - RecordLayout.headerOctets, openOctets: openEnd - metaEnd,
            personalOctets: out.count - openEnd)
        let hash = complete(&out.bytes, header, lsn: lsn)
        return EncodedRecord(bytes: out.bytes, hash: hash)
    }

    /// The record at `lsn`; checks structure, CRC and every field.
    package static func decode(_ bytes: UnsafeRawBufferPointer, lsn: UInt64) throws(FormatError) -> DecodedRecord {
        let header = try header(bytes, lsn: lsn)
        var origin = Origin()
        var command: CommandID?
        try readMeta(header.meta(bytes), &origin, &command)
        let content: DecodedRecord.Content
        switch header.kind {
        case .event: content = .event(try event(bytes, header))
        case .seal: content = .seal(try Seal(body: header.open(bytes), time: header.time))
        }
        return DecodedRecord(
            header: header, origin: origin, command: command, retryable: header.flags.contains(.retryable),
            isErased: header.flags.contains(.erased), content: content, hash: recordHash(bytes, header))
    }

    package static func decode(_ bytes: [UInt8], lsn: UInt64) throws(FormatError) -> DecodedRecord {
        try bytes.withUnsafeBufferPointer { bytes throws(FormatError) in
            try decode(UnsafeRawBufferPointer(bytes), lsn: lsn)
        }
    }

    /// The header alone, with the whole record's structure and CRC checked.
    package static func header(_ bytes: UnsafeRawBufferPointer, lsn: UInt64) throws(FormatError) -> RecordHeader {
        let header = try RecordHeader.structure(bytes)
        guard bytes.le(RecordLayout.crc, UInt32.self) == recordCRC(bytes, lsn: lsn) else { throw .invalid("CRC") }
        guard header.kind == .seal || header.previousLSN < lsn else { throw .invalid("previous LSN") }
        return header
    }

    /// The record hash. Checks structure, not the CRC: the record may stand anywhere.
    package static func hash(of bytes: UnsafeRawBufferPointer) throws(FormatError) -> SHA256Digest {
        recordHash(bytes, try RecordHeader.structure(bytes))
    }

    /// The record at `lsn` with its personal part erased; the same bytes when it has none, or none any more.
    package static func erasingPersonalPart(of bytes: [UInt8], lsn: UInt64) throws(FormatError) -> [UInt8] {
        let header = try bytes.withUnsafeBufferPointer { bytes throws(FormatError) in
            try Self.header(UnsafeRawBufferPointer(bytes), lsn: lsn)
        }
        guard header.personalOctets > 0, !header.flags.contains(.erased) else { return bytes }
        var erased = bytes
        erased.withUnsafeMutableBytes { erased in
            let start = header.octets - header.personalOctets
            let part = UnsafeMutableRawBufferPointer(rebasing: erased[start...])
            let digest = personalHash(UnsafeRawBufferPointer(part), isErased: false)
            for index in part.indices { part[index] = 0 }
            digest.withBytes { part.copyMemory(from: $0) }
            erased[RecordLayout.flags] |= RecordFlags.erased.rawValue
            erased.setLE(recordCRC(UnsafeRawBufferPointer(erased), lsn: lsn), at: RecordLayout.crc)
        }
        return erased
    }

    /// The account chain after a record; it begins with `SHA256Digest.zero`.
    package static func chain(_ chain: SHA256Digest, adding hash: SHA256Digest) -> SHA256Digest {
        var hasher = SHA256Hasher()
        hasher.update(chain)
        hasher.update(hash)
        return hasher.finalize()
    }

    // MARK: Parts

    /// Writes header and CRC in front of the parts.
    static func complete(_ bytes: inout [UInt8], _ header: RecordHeader, lsn: UInt64) -> SHA256Digest {
        bytes.withUnsafeMutableBytes { bytes in
            header.write(to: bytes)
            let hash = recordHash(UnsafeRawBufferPointer(bytes), header)
            bytes.setLE(recordCRC(UnsafeRawBufferPointer(bytes), lsn: lsn), at: RecordLayout.crc)
            return hash
        }
    }

    private static func writePersonal(_ event: Event, _ salt: () -> (UInt64, UInt64), to out: inout ByteWriter) {
        let start = out.count
        out.zeros(PersonalFields.saltOctets)
        out.personalPart(of: event)
        let octets = out.count - start
        if octets == PersonalFields.saltOctets {
            out.bytes.removeLast(octets)
            return
        }
        let (low, high) = salt()
        out.bytes.withUnsafeMutableBytes { bytes in
            bytes.storeBytes(of: low.littleEndian, toByteOffset: start, as: UInt64.self)
            bytes.storeBytes(of: high.littleEndian, toByteOffset: start + 8, as: UInt64.self)
        }
        if octets < PersonalFields.octetsMin {
            out.zeros(PersonalFields.octetsMin - octets)
        }
    }

    private static func event(_ bytes: UnsafeRawBufferPointer, _ header: RecordHeader) throws(FormatError) -> Event {
        guard let type = EventType(rawValue: header.type), header.typeVersion == type.version else {
            throw .invalid(
                "event type \(Hex.encode(header.type, width: 4)) version \(header.typeVersion) is not known")
        }
        var reader = EventReader(
            account: header.account, position: header.aseq, open: try FieldReader(header.open(bytes)),
            personal: try PersonalFields(header.personal(bytes), isErased: header.flags.contains(.erased)))
        return try reader.event(type)
    }
}
