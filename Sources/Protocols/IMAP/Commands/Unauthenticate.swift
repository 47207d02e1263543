extension IMAPCommandRow {
    /// UNAUTHENTICATE (RFC 8437).
    static let unauthenticate = IMAPCommandRow("UNAUTHENTICATE", in: .loggedIn, .unauthenticate) {
        (reader) throws(GrammarStop) in
        try reader.end()
        return .perform(.unauthenticate)
    }
}
