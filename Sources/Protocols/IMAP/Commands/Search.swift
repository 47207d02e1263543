extension IMAPCommandRow {
    /// SEARCH [RETURN (options)] [CHARSET name] keys (RFC 9051 section 6.4.4, RFC 4731, 5182).
    static let search = IMAPCommandRow("SEARCH", in: .selected) { (reader) throws(GrammarStop) in
        .perform(.search(try reader.search(isUID: false)))
    }

    /// UID SEARCH (RFC 9051 section 6.4.9).
    static let uidSearch = IMAPCommandRow("UID SEARCH", in: .selected) { (reader) throws(GrammarStop) in
        .perform(.search(try reader.search(isUID: true)))
    }
}

extension CommandReader {
    fileprivate mutating func search(isUID: Bool) throws(GrammarStop) -> SearchRequest {
        try space()
        let options = try searchReturn()
        var charset: String?
        if skip(word: "CHARSET") {
            // RFC 6855 section 3: after ENABLE UTF8=ACCEPT everything is UTF-8 already.
            guard !context.enabled.contains(.utf8Accept) else { throw .bad("CHARSET has no place after UTF8=ACCEPT") }
            try space()
            charset = try self.charset()
            try space()
        }
        let key = try searchProgram()
        try end()
        return SearchRequest(isUID: isUID, options: options, charset: charset, key: key)
    }

    /// `RETURN (options) SP`, or nil where it is absent.
    mutating func searchReturn() throws(GrammarStop) -> SearchReturn? {
        guard skip(word: "RETURN") else { return nil }
        try space()
        var options: SearchReturn = []
        var count = 0
        try list(allowsEmpty: true) { (reader) throws(GrammarStop) in
            count += 1
            guard count <= IMAPLimits.optionsMax else { throw .no(.limit, "Too many options") }
            switch reader.word() {
            case "MIN": options.insert(.min)
            case "MAX": options.insert(.max)
            case "ALL": options.insert(.all)
            case "COUNT": options.insert(.count)
            case "SAVE": options.insert(.save)
            default: throw .bad("A return option is not known")
            }
        }
        try space()
        // RFC 4731 section 3.1: no options mean ALL.
        return options.isEmpty ? .all : options
    }

    /// `charset`, in upper case.
    mutating func charset() throws(GrammarStop) -> String {
        let octets = try string(orRunOf: Ascii.isAtom)
        guard (1...IMAPLimits.charsetOctetsMax).contains(octets.count), octets.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { throw .bad("The charset has no such name") }
        return String(decoding: octets, as: UTF8.self).uppercased()
    }
}
