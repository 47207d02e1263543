extension IMAPCommandRow {
    /// SUBSCRIBE mailbox (RFC 9051 section 6.3.7).
    static let subscribe = IMAPCommandRow("SUBSCRIBE", in: .loggedIn) { (reader) throws(GrammarStop) in
        try reader.space()
        let mailbox = try reader.mailbox(.existing)
        try reader.end()
        return .perform(.subscribe(mailbox))
    }
}
