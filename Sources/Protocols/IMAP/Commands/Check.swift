extension IMAPCommandRow {
    /// CHECK (RFC 3501 section 6.4.1): there is nothing to check, so it is NOOP.
    static let check = IMAPCommandRow("CHECK", in: .selected) { (reader) throws(GrammarStop) in
        try reader.end()
        return .perform(.noop)
    }
}
