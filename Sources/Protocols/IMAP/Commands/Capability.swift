extension IMAPCommandRow {
    /// CAPABILITY (RFC 9051 section 6.1.1).
    static let capability = IMAPCommandRow("CAPABILITY", in: .any) { (reader) throws(GrammarStop) in
        try reader.end()
        return .capability
    }
}
