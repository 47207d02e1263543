extension IMAPCommandRow {
    /// STARTTLS (RFC 9051 section 6.2.1).
    static let startTLS = IMAPCommandRow("STARTTLS", in: .notAuthenticated) { (reader) throws(GrammarStop) in
        try reader.end()
        return .startTLS
    }
}
