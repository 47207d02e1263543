extension IMAPCommandRow {
    /// STATUS mailbox (items) (RFC 9051 section 6.3.11).
    static let status = IMAPCommandRow("STATUS", in: .loggedIn) { (reader) throws(GrammarStop) in
        try reader.space()
        let mailbox = try reader.mailbox(.existing)
        try reader.space()
        let attributes = try reader.statusAttributes()
        try reader.end()
        return .perform(.status(mailbox, attributes))
    }
}
