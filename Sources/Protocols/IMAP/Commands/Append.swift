extension IMAPCommandRow {
    /// APPEND mailbox, and messages (RFC 9051 section 6.3.12, RFC 3502, 4469, 6855). `AppendReader` reads on.
    static let append = IMAPCommandRow("APPEND", in: .loggedIn, takesMessages: true) { (reader) throws(GrammarStop) in
        try reader.space()
        // A mailbox that is not there may be created by the client: TRYCREATE is the handler's to say.
        return .append(AppendTarget(mailbox: try reader.mailbox(.destination)))
    }
}
