extension IMAPCommandRow {
    /// REPLACE number mailbox, and a message (RFC 8508).
    static let replace = IMAPCommandRow("REPLACE", in: .selected, .replace, takesMessages: true) {
        (reader) throws(GrammarStop) in
        let number = try reader.replacedNumber()
        return .append(AppendTarget(mailbox: try reader.mailbox(.destination), replaced: .sequenceNumber(number)))
    }

    /// UID REPLACE uid mailbox, and a message.
    static let uidReplace = IMAPCommandRow("UID REPLACE", in: .selected, .replace, takesMessages: true) {
        (reader) throws(GrammarStop) in
        let number = try reader.replacedNumber()
        return .append(AppendTarget(mailbox: try reader.mailbox(.destination), replaced: .uid(number)))
    }
}

extension CommandReader {
    /// `SP seq-number SP`, where 0 stands for `*`.
    fileprivate mutating func replacedNumber() throws(GrammarStop) -> UInt32 {
        try space()
        let number = skip(Ascii.asterisk) ? 0 : try nzNumber()
        try space()
        return number
    }
}
