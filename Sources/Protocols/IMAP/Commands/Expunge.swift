extension IMAPCommandRow {
    /// EXPUNGE (RFC 9051 section 6.4.3).
    static let expunge = IMAPCommandRow("EXPUNGE", in: .selected) { (reader) throws(GrammarStop) in
        try reader.end()
        return .perform(.expunge(nil))
    }

    /// UID EXPUNGE set (RFC 4315 section 2.1, RFC 9051 section 6.4.9).
    static let uidExpunge = IMAPCommandRow("UID EXPUNGE", in: .selected, .uidPlus) { (reader) throws(GrammarStop) in
        try reader.space()
        let set = try reader.sequenceSet()
        try reader.end()
        return .perform(.expunge(set))
    }
}
