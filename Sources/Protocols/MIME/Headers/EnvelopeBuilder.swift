import Octets

/// Gathers the fields of one header that make its envelope.
///
/// Of a field that comes again the first counts, but address lists of recipients are joined (RFC 5322 section 4.5.3).
struct EnvelopeBuilder {
    private var strings: [UnsafeRawBufferPointer?] = [UnsafeRawBufferPointer?](
        repeating: nil, count: Envelope.Field.allCases.count)
    /// Recipient fields after the first.
    private var further: [(Envelope.Field, UnsafeRawBufferPointer)] = []
    private(set) var references: UnsafeRawBufferPointer?

    /// Takes a field if it is one of the envelope's. Its buffer must outlive the builder.
    mutating func take(_ field: HeaderField) {
        guard let which = Self.field(field.name) else {
            if references == nil, field.name.equalsIgnoringCase("references") { references = field.body }
            return
        }
        if strings[which.rawValue] == nil {
            strings[which.rawValue] = field.body
        } else if which == .to || which == .cc || which == .bcc, further.count < MIMELimits.recipientFieldsMax {
            further.append((which, field.body))
        }
    }

    private static func field(_ name: UnsafeRawBufferPointer) -> Envelope.Field? {
        switch name.count {
        case 2:
            if name.equalsIgnoringCase("to") { return .to }
            return name.equalsIgnoringCase("cc") ? .cc : nil
        case 3: return name.equalsIgnoringCase("bcc") ? .bcc : nil
        case 4:
            if name.equalsIgnoringCase("from") { return .from }
            return name.equalsIgnoringCase("date") ? .date : nil
        case 6: return name.equalsIgnoringCase("sender") ? .sender : nil
        case 7: return name.equalsIgnoringCase("subject") ? .subject : nil
        case 8: return name.equalsIgnoringCase("reply-to") ? .replyTo : nil
        case 10: return name.equalsIgnoringCase("message-id") ? .messageID : nil
        case 11: return name.equalsIgnoringCase("in-reply-to") ? .inReplyTo : nil
        default: return nil
        }
    }

    func envelope() -> Envelope {
        var out = ByteWriter(capacity: 512)
        var hasFrom = false
        for field in Envelope.Field.allCases {
            guard field.isList else {
                string(field, &out)
                continue
            }
            let start = out.count
            list(field, &out)
            let isEmpty = out.count == start
            if field == .from { hasFrom = !isEmpty }
            if isEmpty, hasFrom, field == .sender || field == .replyTo {
                out.u8(2)
            } else {
                out.u8(0)
            }
        }
        return Envelope(trusted: out.bytes)
    }

    private func string(_ field: Envelope.Field, _ out: inout ByteWriter) {
        guard let body = strings[field.rawValue] else { return out.u8(0) }
        let text = body.trimmed
        if text.count < 128, !text.contains(where: { $0 == 13 || $0 == 10 || $0 == 0 }) {
            out.varint(UInt64(text.count + 1))
            out.raw(text)
        } else {
            out.envelopeString([UInt8].unfolding(text))
        }
    }

    private func list(_ field: Envelope.Field, _ out: inout ByteWriter) {
        var left = MIMELimits.addressesMax
        if let body = strings[field.rawValue] {
            var parser = AddressParser(body, limit: left)
            left -= parser.write(to: &out)
        }
        for (which, body) in further where which == field {
            var parser = AddressParser(body, limit: left)
            left -= parser.write(to: &out)
        }
    }
}

extension Envelope {
    /// The envelope of a header that is in memory.
    package init(header: UnsafeRawBufferPointer) {
        var builder = EnvelopeBuilder()
        var fields = HeaderFields(header)
        while let field = fields.next() { builder.take(field) }
        self = builder.envelope()
    }
}
