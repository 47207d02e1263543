/// The name of a section of FETCH as the answer repeats it, partial origin included: `BODY[1.MIME]<0>` (RFC 9051 section
/// 7.5.2).
package enum SectionText {
    package static func append(_ section: BodySection, to output: inout [UInt8]) {
        switch section.name {
        case .rfc822: return output.put("RFC822")
        case .rfc822Header: return output.put("RFC822.HEADER")
        case .rfc822Text: return output.put("RFC822.TEXT")
        case .body: output.put("BODY[")
        }
        append(part: section.part, to: &output)
        let text: StaticString? =
            switch section.text {
            case .all: nil
            case .header: "HEADER"
            case .headerFields: "HEADER.FIELDS"
            case .headerFieldsNot: "HEADER.FIELDS.NOT"
            case .text: "TEXT"
            case .mime: "MIME"
            }
        if let text {
            if !section.part.isEmpty { output.append(Ascii.dot) }
            output.put(text)
        }
        switch section.text {
        case .headerFields(let names), .headerFieldsNot(let names):
            for (index, name) in names.enumerated() {
                output.append(Ascii.space)
                if index == 0 { output.append(Ascii.open) }
                if name.utf8.allSatisfy(Ascii.isAtom) {
                    output.put(name)
                } else {
                    output.put(string: name, usesUTF8: false)
                }
            }
            output.append(Ascii.close)
        default: break
        }
        output.append(Ascii.closeBracket)
        append(origin: section.partial, to: &output)
    }

    package static func append(_ section: BinarySection, to output: inout [UInt8]) {
        output.put("BINARY[")
        append(part: section.part, to: &output)
        output.append(Ascii.closeBracket)
        append(origin: section.partial, to: &output)
    }

    package static func append(binarySize part: [UInt32], to output: inout [UInt8]) {
        output.put("BINARY.SIZE[")
        append(part: part, to: &output)
        output.append(Ascii.closeBracket)
    }

    private static func append(part: [UInt32], to output: inout [UInt8]) {
        for (index, number) in part.enumerated() {
            if index > 0 { output.append(Ascii.dot) }
            output.put(decimal: number)
        }
    }

    private static func append(origin partial: PartialRange?, to output: inout [UInt8]) {
        guard let partial else { return }
        output.append(Ascii.less)
        output.put(decimal: partial.offset)
        output.append(Ascii.greater)
    }
}
