extension IMAPCommandRow {
    /// NOOP (RFC 9051 section 6.1.2).
    static let noop = IMAPCommandRow("NOOP", in: .any) { (reader) throws(GrammarStop) in
        try reader.end()
        return .perform(.noop)
    }
}
