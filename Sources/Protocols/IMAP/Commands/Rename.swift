extension IMAPCommandRow {
    /// RENAME mailbox mailbox (RFC 9051 section 6.3.6).
    static let rename = IMAPCommandRow("RENAME", in: .loggedIn) { (reader) throws(GrammarStop) in
        try reader.space()
        let mailbox = try reader.mailbox(.existing)
        try reader.space()
        let name = try reader.mailbox(.destination)
        try reader.end()
        return .perform(.rename(mailbox, to: name))
    }
}
