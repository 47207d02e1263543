/// One `keyword[=value]` behind a path (RFC 5321 section 4.1.2, `esmtp-param`).
struct SMTPParameter: Equatable {
    /// In upper case.
    let keyword: String
    let value: String?
}

/// What a parameter does to the envelope; a refusal is thrown as the reply to give.
///
/// An extension adds its parameters as lines of `mailTable` or `recipientTable`.
struct SMTPParameterRule: Sendable {
    let keyword: String
    let apply: @Sendable (String?, inout SMTPEnvelope, SMTPServerConfiguration) throws(SMTPParameterRefusal) -> Void

    static let mailTable: [SMTPParameterRule] = [size, body, utf8, auth]
    /// Empty until DSN (RFC 3461) comes.
    static let recipientTable: [SMTPParameterRule] = []

    /// RFC 1870 section 6.1: refused at once when over the limit.
    private static let size = SMTPParameterRule(keyword: "SIZE") {
        value, envelope, configuration throws(SMTPParameterRefusal) in
        guard let digits = value?.utf8, (1...SMTPLimits.sizeDigitsMax).contains(digits.count),
            digits.allSatisfy(Ascii.isDigit)
        else { throw SMTPParameterRefusal(.syntaxError("SIZE needs a number of octets")) }
        guard let octets = Int(value!), octets <= configuration.messageOctetsMax else {
            throw SMTPParameterRefusal(BodyRefusal.tooLarge.reply)
        }
        envelope.declaredOctets = octets
    }

    /// RFC 6152 section 3.
    private static let body = SMTPParameterRule(keyword: "BODY") {
        value, envelope, _ throws(SMTPParameterRefusal) in
        switch value?.uppercased() {
        case "7BIT": envelope.bodyType = .sevenBit
        case "8BITMIME": envelope.bodyType = .eightBit
        default: throw SMTPParameterRefusal(.syntaxError("BODY is 7BIT or 8BITMIME"))
        }
    }

    /// RFC 6531 section 3.4: takes no value.
    private static let utf8 = SMTPParameterRule(keyword: "SMTPUTF8") {
        value, envelope, _ throws(SMTPParameterRefusal) in
        guard value == nil else { throw SMTPParameterRefusal(.syntaxError("SMTPUTF8 takes no value")) }
        envelope.isUTF8 = true
    }
}

extension SMTPParameterRule {
    /// RFC 4954 section 5: who first submitted the message, in xtext (RFC 3461 section 4), or `<>`. It is read and then
    /// taken for `<>`, as section 5 asks of a server that does not trust its client in this.
    private static let auth = SMTPParameterRule(keyword: "AUTH") {
        value, _, configuration throws(SMTPParameterRefusal) in
        guard configuration.dialect == .submission else { throw SMTPParameterRefusal(.unknownParameter) }
        guard let value, value == "<>" || isXtext(value) else {
            throw SMTPParameterRefusal(.syntaxError("AUTH takes an address in xtext, or <>"))
        }
    }

    /// Printable ASCII but `+` and `=`, and `+` with two hexadecimal digits in upper case.
    private static func isXtext(_ value: String) -> Bool {
        let octets = Array(value.utf8)
        var index = 0
        while index < octets.count {
            if octets[index] == Ascii.plus {
                let digits = octets[(index + 1)...].prefix(2)
                guard digits.count == 2, digits.allSatisfy({ Ascii.isDigit($0) || (0x41...0x46).contains($0) }) else {
                    return false
                }
                index += 3
            } else {
                guard (0x21...0x7E).contains(octets[index]), octets[index] != Ascii.equals else { return false }
                index += 1
            }
        }
        return !octets.isEmpty
    }
}

/// A parameter that ends its command, with the reply to give.
struct SMTPParameterRefusal: Error {
    let reply: SMTPReply
    init(_ reply: SMTPReply) { self.reply = reply }
}

extension SMTPParameterRule {
    /// Reads the parameters up to the end of the line and applies them.
    static func applyAll(
        _ cursor: inout ArgumentCursor, table: [SMTPParameterRule], to envelope: inout SMTPEnvelope,
        configuration: SMTPServerConfiguration
    ) throws(SMTPParameterRefusal) {
        let parameters = try read(&cursor)
        for (index, parameter) in parameters.enumerated() {
            guard let rule = table.first(where: { $0.keyword == parameter.keyword }) else {
                throw SMTPParameterRefusal(.unknownParameter)
            }
            guard !parameters[..<index].contains(where: { $0.keyword == parameter.keyword }) else {
                throw SMTPParameterRefusal(.syntaxError("Parameter given twice"))
            }
            try rule.apply(parameter.value, &envelope, configuration)
        }
    }

    private static func read(_ cursor: inout ArgumentCursor) throws(SMTPParameterRefusal) -> [SMTPParameter] {
        var parameters: [SMTPParameter] = []
        while !cursor.isAtEnd {
            let hadSpace = cursor.current == Ascii.space || cursor.current == Ascii.tab
            cursor.skipSpaces()
            if cursor.isAtEnd { break }
            guard hadSpace, let parameter = one(&cursor) else {
                throw SMTPParameterRefusal(.syntaxError("Parameters are keyword or keyword=value"))
            }
            parameters.append(parameter)
        }
        return parameters
    }

    private static func one(_ cursor: inout ArgumentCursor) -> SMTPParameter? {
        let keyword = cursor.take { Ascii.isLetterOrDigit($0) || $0 == Ascii.hyphen }
        guard let first = keyword.first, first != Ascii.hyphen else { return nil }
        var value: String?
        if cursor.skip(Ascii.equals) {
            let run = cursor.take { ((0x21...0x7E).contains($0) && $0 != Ascii.equals) || $0 >= 0x80 }
            guard !run.isEmpty, let text = String(validating: run, as: UTF8.self) else { return nil }
            value = text
        }
        return SMTPParameter(keyword: String(decoding: keyword, as: UTF8.self).uppercased(), value: value)
    }
}
