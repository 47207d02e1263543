import MailTypes

extension IMAPCommandRow {
    /// COPY set mailbox (RFC 9051 section 6.4.7).
    static let copy = IMAPCommandRow("COPY", in: .selected) { (reader) throws(GrammarStop) in
        let (set, mailbox) = try reader.setAndMailbox()
        return .perform(.copy(set, mailbox, isUID: false))
    }

    /// UID COPY set mailbox (RFC 9051 section 6.4.9).
    static let uidCopy = IMAPCommandRow("UID COPY", in: .selected) { (reader) throws(GrammarStop) in
        let (set, mailbox) = try reader.setAndMailbox()
        return .perform(.copy(set, mailbox, isUID: true))
    }
}

extension CommandReader {
    /// `SP sequence-set SP mailbox`, as in COPY and MOVE.
    mutating func setAndMailbox() throws(GrammarStop) -> (SequenceSet, MailboxName) {
        try space()
        let set = try sequenceSet()
        try space()
        let mailbox = try mailbox(.destination)
        try end()
        return (set, mailbox)
    }
}
