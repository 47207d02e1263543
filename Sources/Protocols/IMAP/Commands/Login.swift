extension IMAPCommandRow {
    /// LOGIN userid password (RFC 9051 section 6.2.3).
    static let login = IMAPCommandRow("LOGIN", in: .notAuthenticated) { (reader) throws(GrammarStop) in
        try reader.space()
        let user = try reader.text(octetsMax: IMAPLimits.credentialOctetsMax, "The user name")
        try reader.space()
        let password = try reader.astring()
        try reader.end()
        guard password.count <= IMAPLimits.credentialOctetsMax else { throw .no(.limit, "The password is too long") }
        return .login(IMAPCredentials(user: user, password: password))
    }
}
