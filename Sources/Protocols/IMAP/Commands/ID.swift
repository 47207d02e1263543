extension IMAPCommandRow {
    /// ID NIL, or ID (name value ...) (RFC 2971 section 3.1).
    static let id = IMAPCommandRow("ID", in: .any, .id) { (reader) throws(GrammarStop) in
        try reader.space()
        var fields: [IMAPIDField] = []
        if !reader.skip(word: "NIL") {
            try reader.list(allowsEmpty: true) { (reader) throws(GrammarStop) in
                guard fields.count < IMAPLimits.idFieldsMax else { throw .bad("Too many fields") }
                let name = try reader.string()
                try reader.space()
                let value: [UInt8]? = reader.skip(word: "NIL") ? nil : try reader.string()
                guard name.count <= IMAPLimits.idFieldOctetsMax, value?.count ?? 0 <= IMAPLimits.idValueOctetsMax else {
                    throw .bad("A field is too long")
                }
                fields.append(
                    IMAPIDField(
                        String(decoding: name, as: UTF8.self), value.map { String(decoding: $0, as: UTF8.self) }))
            }
        }
        try reader.end()
        return .id(fields)
    }
}
