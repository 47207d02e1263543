extension IMAPCommandRow {
    /// IDLE (RFC 2177, RFC 9051 section 6.3.13).
    static let idle = IMAPCommandRow("IDLE", in: .loggedIn, .idle) { (reader) throws(GrammarStop) in
        try reader.end()
        return .idle
    }
}
