extension IMAPCommandRow {
    /// DELETE mailbox (RFC 9051 section 6.3.5).
    static let delete = IMAPCommandRow("DELETE", in: .loggedIn) { (reader) throws(GrammarStop) in
        try reader.space()
        let mailbox = try reader.mailbox(.existing)
        try reader.end()
        return .perform(.delete(mailbox))
    }
}
