extension IMAPCommandRow {
    /// LOGOUT (RFC 9051 section 6.1.3).
    static let logout = IMAPCommandRow("LOGOUT", in: .any) { (reader) throws(GrammarStop) in
        try reader.end()
        return .logout
    }
}
