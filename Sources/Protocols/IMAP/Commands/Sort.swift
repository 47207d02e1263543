extension IMAPCommandRow {
    /// SORT [RETURN (options)] (criteria) charset keys (RFC 5256 section 3, RFC 5267 section 3).
    static let sort = IMAPCommandRow("SORT", in: .selected, .sort) { (reader) throws(GrammarStop) in
        .perform(.sort(try reader.sort(isUID: false)))
    }

    /// UID SORT.
    static let uidSort = IMAPCommandRow("UID SORT", in: .selected, .sort) { (reader) throws(GrammarStop) in
        .perform(.sort(try reader.sort(isUID: true)))
    }
}

extension CommandReader {
    fileprivate mutating func sort(isUID: Bool) throws(GrammarStop) -> SortRequest {
        try space()
        let options = try searchReturn()
        var criteria: [SortCriterion] = []
        try list { (reader) throws(GrammarStop) in
            guard criteria.count < IMAPLimits.sortKeysMax else { throw .no(.limit, "Too many sort keys") }
            let isReverse = reader.skip(word: "REVERSE")
            if isReverse { try reader.space() }
            guard let key = SortCriterion.Key(rawValue: reader.word()), reader.context.offers(key.capability) else {
                throw .bad("A sort key is not known")
            }
            criteria.append(SortCriterion(key, isReverse: isReverse))
        }
        try space()
        let charset = try charset()
        try space()
        let key = try searchProgram()
        try end()
        return SortRequest(isUID: isUID, options: options, criteria: criteria, charset: charset, key: key)
    }
}
