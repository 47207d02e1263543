extension IMAPCommandRow {
    /// MOVE set mailbox (RFC 9051 section 6.4.8).
    static let move = IMAPCommandRow("MOVE", in: .selected, .move) { (reader) throws(GrammarStop) in
        let (set, mailbox) = try reader.setAndMailbox()
        return .perform(.move(set, mailbox, isUID: false))
    }

    /// UID MOVE set mailbox (RFC 9051 section 6.4.9).
    static let uidMove = IMAPCommandRow("UID MOVE", in: .selected, .move) { (reader) throws(GrammarStop) in
        let (set, mailbox) = try reader.setAndMailbox()
        return .perform(.move(set, mailbox, isUID: true))
    }
}
