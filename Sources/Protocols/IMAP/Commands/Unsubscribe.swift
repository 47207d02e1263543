extension IMAPCommandRow {
    /// UNSUBSCRIBE mailbox (RFC 9051 section 6.3.8).
    static let unsubscribe = IMAPCommandRow("UNSUBSCRIBE", in: .loggedIn) { (reader) throws(GrammarStop) in
        try reader.space()
        let mailbox = try reader.mailbox(.existing)
        try reader.end()
        return .perform(.unsubscribe(mailbox))
    }
}
