// A message's summary in one run of octets: what the parse cache keeps. Reading one allocates the run and nothing more
// until the structure is asked for, so a listing of 100,000 envelopes takes no structure apart.
//
//     packed     = version:u8(1) string(envelope) optional(references) date structure
//     date       = 00, or 01 seconds:i64 zone:i16                 of the Date field
//     structure  = octets parts *part                             numbers are varints
//     part       = bits:u8 below header-offset header-octets body-octets lines string(type) string(subtype)
//                  string(encoding) parameters languages [optional fields as the bits say]
//     bits       = 0-1 kind, 2 Content-ID, 3 description, 4 MD5, 5 disposition, 6 location, 7 envelope
//     string     = octets, then those; optional = 0, or octets + 1, then those
//
// Not a format that lasts: another version empties the cache. What does not have the form reads as nothing.
import MailTypes
import Octets

package struct PackedSummary: Hashable, Sendable {
    package static let version: UInt8 = 1

    /// The form above.
    package let bytes: [UInt8]
    private let envelopeRange: Range<Int>
    /// Where the references begin.
    private let restStart: Int

    package init(_ summary: MessageSummary) {
        var out = ByteWriter(capacity: 512)
        out.u8(Self.version)
        let envelope = summary.envelope.bytes
        out.varint(UInt64(envelope.count))
        let start = out.count
        out.raw(envelope)
        out.optional(summary.references)
        if let date = summary.envelope.date.flatMap({ MessageDate.parse($0) }) {
            out.u8(1)
            out.le(date.time.seconds)
            out.le(date.zoneMinutes)
        } else {
            out.u8(0)
        }
        out.structure(summary.structure)
        bytes = out.bytes
        envelopeRange = start..<start + envelope.count
        restStart = start + envelope.count
    }

    /// Nil when the octets are of another version, or have no room for an envelope. The rest is checked when it is read.
    package init?(bytes: [UInt8]) {
        let range: Range<Int>? = bytes.withUnsafeBytes { octets in
            var reader = ByteReader(octets)
            guard let version = try? reader.u8(), version == Self.version,
                let count = try? reader.varint(as: Int.self), let start = try? reader.advance(count)
            else { return nil }
            return start..<start + count
        }
        guard let range else { return nil }
        self.bytes = bytes
        envelopeRange = range
        restStart = range.upperBound
    }

    /// The envelope in its form, for `Envelope.read` and what else reads it.
    package func withEnvelope<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try bytes.withUnsafeBytes { try body($0.slice(envelopeRange.lowerBound, envelopeRange.upperBound)) }
    }

    package var envelope: Envelope? { Envelope(bytes: Array(bytes[envelopeRange])) }

    /// The body of the References field, unfolded.
    package var references: [UInt8]? { try? read { reader throws(FormatError) in try reader.optional() } }

    /// The date of the Date field, where it is one.
    package var sentDate: InternalDate? {
        try? read { reader throws(FormatError) in
            _ = try reader.optional()
            return try reader.date()
        }
    }

    package var structure: MessageStructure? {
        try? read { reader throws(FormatError) in
            _ = try reader.optional()
            _ = try reader.date()
            let structure = try reader.structure()
            guard reader.isAtEnd else { throw .invalid("octets after a structure") }
            return structure
        }
    }

    /// Everything; nil when the octets do not have the form.
    package var summary: MessageSummary? {
        guard let envelope, let structure else { return nil }
        return MessageSummary(structure: structure, envelope: envelope, references: references)
    }

    private func read<R>(_ body: (inout ByteReader) throws(FormatError) -> R) throws(FormatError) -> R {
        let result: Result<R, FormatError> = bytes.withUnsafeBytes { octets in
            var reader = ByteReader(octets)
            reader.position = restStart
            do throws(FormatError) {
                return .success(try body(&reader))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}

extension ByteWriter {
    fileprivate mutating func string(_ text: [UInt8]) {
        varint(UInt64(text.count))
        raw(text)
    }

    fileprivate mutating func optional(_ text: [UInt8]?) { envelopeString(text) }

    fileprivate mutating func parameters(_ parameters: [Parameter]) {
        varint(UInt64(parameters.count))
        for parameter in parameters {
            string(parameter.name)
            string(parameter.value)
        }
    }

    fileprivate mutating func structure(_ structure: MessageStructure) {
        varint(UInt64(structure.octets))
        varint(UInt64(structure.parts.count))
        for (index, part) in structure.parts.enumerated() { self.part(part, at: index) }
    }

    private mutating func part(_ part: Part, at index: Int) {
        var bits = part.kind.rawValue
        if part.contentID != nil { bits |= 1 << 2 }
        if part.description != nil { bits |= 1 << 3 }
        if part.md5 != nil { bits |= 1 << 4 }
        if part.disposition != nil { bits |= 1 << 5 }
        if part.location != nil { bits |= 1 << 6 }
        if part.envelope != nil { bits |= 1 << 7 }
        u8(bits)
        for number in [part.end - index - 1, part.header.offset, part.header.count, part.body.count, part.lines] {
            varint(UInt64(number))
        }
        string(part.type)
        string(part.subtype)
        string(part.encoding)
        parameters(part.parameters)
        varint(UInt64(part.languages.count))
        for language in part.languages { string(language) }
        if let text = part.contentID { string(text) }
        if let text = part.description { string(text) }
        if let text = part.md5 { string(text) }
        if let disposition = part.disposition {
            string(disposition.type)
            parameters(disposition.parameters)
        }
        if let text = part.location { string(text) }
        if let envelope = part.envelope { string(envelope.bytes) }
    }
}

extension ByteReader {
    fileprivate mutating func string() throws(FormatError) -> [UInt8] { try array(try varint(as: Int.self)) }

    fileprivate mutating func optional() throws(FormatError) -> [UInt8]? {
        let count = try varint(as: Int.self)
        return count == 0 ? nil : try array(count - 1)
    }

    fileprivate mutating func date() throws(FormatError) -> InternalDate? {
        switch try u8() {
        case 0: return nil
        case 1:
            let seconds = try le(Int64.self)
            return InternalDate(time: Timestamp(seconds: seconds), zoneMinutes: try le(Int16.self))
        default: throw .invalid("a date that is none")
        }
    }

    private mutating func parameters() throws(FormatError) -> [Parameter] {
        let count = try varint(as: Int.self)
        guard count <= MIMELimits.parametersMax + 1 else { throw .invalid("more parameters than there can be") }
        var parameters: [Parameter] = []
        for _ in 0..<count { parameters.append(Parameter(name: try string(), value: try string())) }
        return parameters
    }

    fileprivate mutating func structure() throws(FormatError) -> MessageStructure {
        let octets = try varint(as: Int.self)
        let count = try varint(as: Int.self)
        guard (1...MIMELimits.partsMax).contains(count) else { throw .invalid("a number of parts that cannot be") }
        var parts: [Part] = []
        parts.reserveCapacity(count)
        // The ends of the parts that are open, and where their bodies end.
        var open: [(end: Int, octet: Int)] = [(count, octets)]
        for index in 0..<count {
            while open.count > 1, open[open.count - 1].end == index { open.removeLast() }
            let part = try part(at: index, within: open[open.count - 1])
            open.append((part.end, part.body.end))
            parts.append(part)
        }
        for (index, part) in parts.enumerated() where part.kind == .message && part.end == index + 1 {
            throw .invalid("a message without a root")
        }
        return MessageStructure(parts: parts, octets: octets)
    }

    private mutating func part(at index: Int, within open: (end: Int, octet: Int)) throws(FormatError) -> Part {
        let bits = try u8()
        let below = try varint(as: Int.self)
        let header = OctetRange(offset: try varint(as: Int.self), count: try varint(as: Int.self))
        let bodyCount = try varint(as: Int.self)
        guard below < open.end - index, header.offset <= open.octet, header.count <= open.octet - header.offset,
            bodyCount <= open.octet - header.end
        else { throw .invalid("a part beyond the one above it") }
        var part = Part(header: header, body: OctetRange(offset: header.end, count: bodyCount))
        part.end = index + 1 + below
        part.kind = Part.Kind(rawValue: bits & 3) ?? .basic
        part.lines = try varint(as: Int.self)
        part.type = try string()
        part.subtype = try string()
        part.encoding = try string()
        part.parameters = try parameters()
        let languages = try varint(as: Int.self)
        guard languages <= MIMELimits.languagesMax else { throw .invalid("more languages than there can be") }
        for _ in 0..<languages { part.languages.append(try string()) }
        if bits & 1 << 2 != 0 { part.contentID = try string() }
        if bits & 1 << 3 != 0 { part.description = try string() }
        if bits & 1 << 4 != 0 { part.md5 = try string() }
        if bits & 1 << 5 != 0 { part.disposition = Disposition(type: try string(), parameters: try parameters()) }
        if bits & 1 << 6 != 0 { part.location = try string() }
        if bits & 1 << 7 != 0 {
            guard let envelope = Envelope(bytes: try string()) else { throw .invalid("an envelope that is none") }
            part.envelope = envelope
        }
        return part
    }
}
