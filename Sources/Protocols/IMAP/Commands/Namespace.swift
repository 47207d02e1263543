extension IMAPCommandRow {
    /// NAMESPACE (RFC 2342, RFC 9051 section 6.3.10).
    static let namespace = IMAPCommandRow("NAMESPACE", in: .loggedIn, .namespace) { (reader) throws(GrammarStop) in
        try reader.end()
        return .namespace
    }
}
