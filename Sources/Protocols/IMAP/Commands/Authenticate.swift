import Octets

extension IMAPCommandRow {
    /// AUTHENTICATE mechanism [initial-response] (RFC 9051 section 6.2.2, RFC 4959).
    static let authenticate = IMAPCommandRow("AUTHENTICATE", in: .notAuthenticated) { (reader) throws(GrammarStop) in
        try reader.space()
        let mechanism = try reader.atom().uppercased()
        guard mechanism.utf8.count <= IMAPLimits.saslMechanismOctetsMax else {
            throw .bad("There is no such mechanism")
        }
        guard reader.skip(Ascii.space) else {
            try reader.end()
            return .authenticate(mechanism: mechanism, initialResponse: nil)
        }
        let text = reader.take { Ascii.isAtom($0) }
        try reader.end()
        // `=` is an empty response (RFC 4959 section 3).
        if text.elementsEqual([Ascii.equals]) { return .authenticate(mechanism: mechanism, initialResponse: []) }
        guard !text.isEmpty, let response = Base64.decode(text) else { throw .bad("The response is not base64") }
        return .authenticate(mechanism: mechanism, initialResponse: response)
    }
}
