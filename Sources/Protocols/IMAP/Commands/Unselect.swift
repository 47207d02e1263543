extension IMAPCommandRow {
    /// UNSELECT (RFC 3691, RFC 9051 section 6.4.2).
    static let unselect = IMAPCommandRow("UNSELECT", in: .selected, .unselect) { (reader) throws(GrammarStop) in
        try reader.end()
        return .perform(.unselect)
    }
}
