// A search key that looks into a message: header fields, bodies, the sent date (RFC 9051 section 6.4.4).
//
// FROM, TO, CC, BCC, SUBJECT, MESSAGE-ID, IN-REPLY-TO and REFERENCES are found in what the cache keeps, which is at hand
// without the message; other fields in the header as stored; BODY and TEXT in the decoded text of every part, read in pieces.
import EventStore
import IMAP
import MIME
import MailTypes

/// Used by one thread at a time.
final class TextCondition {
    private enum Kind {
        case envelope(Envelope.Field)
        case references
        case field([UInt8])
        case text(withHeaders: Bool)
        case sent((CalendarDay) -> Bool)
    }

    private let kind: Kind
    /// The value is empty: the field has only to be there.
    private let isPresence: Bool
    private var search: TextSearch

    /// Nil when the charset is not known, or what stands in it is not text of it.
    init?(_ key: SearchKey, charset: String) {
        let value: [UInt8]
        switch key {
        case .header(let name, let octets):
            let known = Self.fields[name].map { Kind.envelope($0) }
            kind = known ?? (name == "REFERENCES" ? .references : .field(Array(name.utf8)))
            value = octets
        case .body(let octets):
            kind = .text(withHeaders: false)
            value = octets
        case .text(let octets):
            kind = .text(withHeaders: true)
            value = octets
        case .sentBefore(let day):
            kind = .sent { $0 < day }
            value = []
        case .sentOn(let day):
            kind = .sent { $0 == day }
            value = []
        case .sentSince(let day):
            kind = .sent { $0 >= day }
            value = []
        default: return nil
        }
        guard let text = Charset.utf8(value, in: Array(charset.utf8)) else { return nil }
        isPresence = text.isEmpty
        search = TextSearch([text])
    }

    private static let fields: [String: Envelope.Field] = [
        "SUBJECT": .subject, "FROM": .from, "TO": .to, "CC": .cc, "BCC": .bcc, "MESSAGE-ID": .messageID,
        "IN-REPLY-TO": .inReplyTo,
    ]

    func matches(_ message: SearchedMessage) throws -> Bool {
        guard let packed = try message.summary else { return false }
        search.reset()
        switch kind {
        case .sent(let meets): return packed.sentDate.map { meets($0.day) } ?? false
        case .envelope(let field):
            guard !isPresence else { return packed.withEnvelope { Envelope.isThere(field, in: $0) } }
            packed.withEnvelope { search.take(field, of: $0) }
            return search.isComplete
        case .references:
            guard let references = packed.references else { return false }
            search.take(references)
            search.endText()
            return search.isComplete
        case .field(let name):
            guard let structure = packed.structure, let body = try message.body else { return false }
            var header: [UInt8] = []
            let range = structure.header
            try body.read(at: range.offset, count: min(range.count, GatewayLimits.imapHeaderOctetsMax), into: &header)
            let isThere = header.withUnsafeBytes { search.takeFields(name, of: $0) }
            return isThere && search.isComplete
        case .text(let withHeaders):
            guard !isPresence else { return true }
            guard let structure = packed.structure, let body = try message.body else { return false }
            try search.take(structure, withHeaders: withHeaders) { range, take in
                try body.pieces(of: range, take)
            }
            return search.isComplete
        }
    }
}

extension Envelope {
    /// Whether the message has the field.
    fileprivate static func isThere(_ field: Field, in envelope: UnsafeRawBufferPointer) -> Bool {
        var isThere = false
        _ = read(envelope) { item in
            switch item {
            case .string(field, let text): isThere = text != nil
            case .list(field, let isNIL): isThere = !isNIL
            default: break
            }
        }
        return isThere
    }
}

extension BodyHandle {
    /// Hands out a range of the stored octets in pieces, until the closure answers false.
    func pieces(of range: OctetRange, _ take: (UnsafeRawBufferPointer) -> Bool) throws {
        var offset = range.offset
        var piece: [UInt8] = []
        while offset < range.end {
            piece.removeAll(keepingCapacity: true)
            try read(at: offset, count: min(GatewayLimits.bodyChunkOctets, range.end - offset), into: &piece)
            guard !piece.isEmpty else { throw StoreError.damaged("a body is shorter than it says") }
            offset += piece.count
            guard piece.withUnsafeBytes(take) else { return }
        }
    }
}
