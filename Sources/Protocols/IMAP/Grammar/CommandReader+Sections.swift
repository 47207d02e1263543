extension CommandReader {
    /// `section [partial]` of BODY.
    mutating func bodySection(isPeek: Bool, headerFields: inout Int) throws(GrammarStop) -> BodySection {
        try expect(Ascii.openBracket, "A section in brackets")
        var section = BodySection(isPeek: isPeek)
        if let octet = current, Ascii.isDigit(octet) {
            section.part = try partNumbers()
            // After the numbers a dot leads to a text of the part.
            if skip(Ascii.dot) { section.text = try sectionText(ofPart: true, headerFields: &headerFields) }
        } else if current != Ascii.closeBracket {
            section.text = try sectionText(ofPart: false, headerFields: &headerFields)
        }
        try expect(Ascii.closeBracket, "A closing bracket")
        section.partial = try partial()
        return section
    }

    /// `section-binary`.
    mutating func binaryPart() throws(GrammarStop) -> [UInt32] {
        try expect(Ascii.openBracket, "A section in brackets")
        let part: [UInt32] = current == Ascii.closeBracket ? [] : try partNumbers()
        try expect(Ascii.closeBracket, "A closing bracket")
        return part
    }

    /// `"<" number64 "." nz-number64 ">"`; perhaps absent.
    mutating func partial() throws(GrammarStop) -> PartialRange? {
        guard skip(Ascii.less) else { return nil }
        let offset = try number64()
        try expect(Ascii.dot, "A dot and a count")
        let count = try nzNumber64()
        try expect(Ascii.greater, "A closing angle bracket")
        return PartialRange(offset: offset, count: count)
    }

    /// `section-part`; stops before a dot that no digit follows.
    private mutating func partNumbers() throws(GrammarStop) -> [UInt32] {
        var part = [try nzNumber()]
        while current == Ascii.dot, position + 1 < bytes.count, Ascii.isDigit(bytes[position + 1]) {
            guard part.count < IMAPLimits.partDepthMax else { throw .no(.limit, "The part lies too deep") }
            advance()
            part.append(try nzNumber())
        }
        return part
    }

    /// `section-msgtext`, and MIME of a part.
    private mutating func sectionText(ofPart: Bool, headerFields: inout Int) throws(GrammarStop) -> BodySection.Text {
        switch word() {
        case "HEADER": return .header
        case "TEXT": return .text
        case "MIME" where ofPart: return .mime
        case "HEADER.FIELDS": return .headerFields(try headerList(count: &headerFields))
        case "HEADER.FIELDS.NOT": return .headerFieldsNot(try headerList(count: &headerFields))
        default: throw .bad("The section is not known")
        }
    }

    private mutating func headerList(count: inout Int) throws(GrammarStop) -> [String] {
        try space()
        var names: [String] = []
        var total = count
        try list { (reader) throws(GrammarStop) in
            total += 1
            guard total <= IMAPLimits.headerFieldsMax else { throw .no(.limit, "Too many header fields") }
            let name = try reader.astring()
            // A field's name is printable ASCII without a colon (RFC 5322 section 2.2); the answer repeats it.
            guard !name.isEmpty, name.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != Ascii.colon }) else {
                throw .bad("A header field cannot have this name")
            }
            names.append(String(decoding: name, as: UTF8.self))
        }
        count = total
        return names
    }
}
