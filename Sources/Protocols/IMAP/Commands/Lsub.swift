extension IMAPCommandRow {
    /// LSUB reference pattern (RFC 3501 section 6.3.9).
    static let lsub = IMAPCommandRow("LSUB", in: .loggedIn) { (reader) throws(GrammarStop) in
        try reader.space()
        let reference = try reader.listPattern(isPattern: false)
        try reader.space()
        let pattern = try reader.listPattern(isPattern: true)
        try reader.end()
        return .perform(.list(ListRequest(isLsub: true, reference: reference, patterns: [pattern])))
    }
}
