extension IMAPCommandRow {
    /// CLOSE (RFC 9051 section 6.4.1).
    static let close = IMAPCommandRow("CLOSE", in: .selected) { (reader) throws(GrammarStop) in
        try reader.end()
        return .perform(.close)
    }
}
