import MIME

/// ENVELOPE and BODYSTRUCTURE (RFC 9051 section 7.5.2), from what MIME has found. Strings keep their encoded words.
package enum StructureText {
    /// `envelope`. 8-bit octets go quoted only to a client that has enabled UTF-8, else as literals.
    package static func append(_ envelope: Envelope, usesUTF8: Bool = false, to output: inout [UInt8]) {
        output.append(Ascii.open)
        var isFirst = true
        envelope.read { item in
            switch item {
            case .string(_, let text):
                if !isFirst { output.append(Ascii.space) }
                isFirst = false
                output.put(nstring: text, usesUTF8: usesUTF8)
            case .list(_, let isNIL):
                output.append(Ascii.space)
                if isNIL { output.put("NIL") } else { output.append(Ascii.open) }
            case .address(let address):
                output.append(Ascii.open)
                output.put(nstring: address.name, usesUTF8: usesUTF8)
                output.append(Ascii.space)
                output.put(nstring: address.route, usesUTF8: usesUTF8)
                output.append(Ascii.space)
                output.put(nstring: address.mailbox, usesUTF8: usesUTF8)
                output.append(Ascii.space)
                output.put(nstring: address.host, usesUTF8: usesUTF8)
                output.append(Ascii.close)
            case .listEnd: output.append(Ascii.close)
            }
        }
        output.append(Ascii.close)
    }

    /// `body`: with extension data for BODYSTRUCTURE, without for BODY.
    package static func append(
        _ structure: MessageStructure, extended: Bool, usesUTF8: Bool = false, to output: inout [UInt8]
    ) {
        var writer = BodyWriter(parts: structure.parts, extended: extended, usesUTF8: usesUTF8, output: output)
        output = []
        writer.body(0)
        output = writer.output
    }
}

/// Walks down the list of parts; how deep that goes is bounded where the list is made (`MIMELimits`).
private struct BodyWriter {
    let parts: [Part]
    let extended: Bool
    let usesUTF8: Bool
    var output: [UInt8]

    mutating func body(_ index: Int) {
        output.append(Ascii.open)
        let part = parts[index]
        if part.kind == .multipart {
            // body-type-mpart
            var child = index + 1
            while child < part.end {
                body(child)
                child = parts[child].end
            }
            output.append(Ascii.space)
            string(part.subtype)
            if extended {
                output.append(Ascii.space)
                parameters(part.parameters)
            }
        } else {
            single(part, index)
            if extended {
                output.append(Ascii.space)
                output.put(nstring: part.md5, usesUTF8: usesUTF8)
            }
        }
        if extended { extensions(part) }
        output.append(Ascii.close)
    }

    /// body-type-1part without its extension data.
    private mutating func single(_ part: Part, _ index: Int) {
        string(part.type)
        output.append(Ascii.space)
        string(part.subtype)
        output.append(Ascii.space)
        parameters(part.parameters)
        output.append(Ascii.space)
        output.put(nstring: part.contentID, usesUTF8: usesUTF8)
        output.append(Ascii.space)
        output.put(nstring: part.description, usesUTF8: usesUTF8)
        output.append(Ascii.space)
        string(part.encoding)
        output.append(Ascii.space)
        output.put(decimal: UInt64(part.body.count))
        if part.kind == .message, index + 1 < parts.count {
            output.append(Ascii.space)
            StructureText.append(parts[index + 1].envelope ?? Envelope(), usesUTF8: usesUTF8, to: &output)
            output.append(Ascii.space)
            body(index + 1)
        }
        if part.kind == .message || part.kind == .text {
            output.append(Ascii.space)
            output.put(decimal: UInt64(part.lines))
        }
    }

    /// Disposition, language and location, alike for both kinds.
    private mutating func extensions(_ part: Part) {
        output.append(Ascii.space)
        if let disposition = part.disposition {
            output.append(Ascii.open)
            string(disposition.type)
            output.append(Ascii.space)
            parameters(disposition.parameters)
            output.append(Ascii.close)
        } else {
            output.put("NIL")
        }
        output.append(Ascii.space)
        if part.languages.isEmpty {
            output.put("NIL")
        } else {
            for (index, language) in part.languages.enumerated() {
                output.append(index == 0 ? Ascii.open : Ascii.space)
                string(language)
            }
            output.append(Ascii.close)
        }
        output.append(Ascii.space)
        output.put(nstring: part.location, usesUTF8: usesUTF8)
    }

    /// `body-fld-param`.
    private mutating func parameters(_ parameters: [Parameter]) {
        guard !parameters.isEmpty else { return output.put("NIL") }
        for (index, parameter) in parameters.enumerated() {
            output.append(index == 0 ? Ascii.open : Ascii.space)
            string(parameter.name)
            output.append(Ascii.space)
            string(parameter.value)
        }
        output.append(Ascii.close)
    }

    private mutating func string(_ octets: [UInt8]) { output.put(string: octets, usesUTF8: usesUTF8) }
}
