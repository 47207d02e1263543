// The parameters behind the path of MAIL and of RCPT (RFC 5321 section 4.1.2).
//
// An extension adds its parameters as lines of `MailParameters.table` or `RecipientParameters.table`, and says there
// whether the session offers it.

/// One `keyword[=value]` behind a path (RFC 5321 section 4.1.2, `esmtp-param`).
struct SMTPParameter: Equatable {
    /// In upper case.
    let keyword: String
    let value: String?
}

/// What a parameter does to the envelope, or to the recipient that RCPT names; a refusal is thrown as the reply to give. A
/// parameter of an extension that this session does not offer is not known.
struct SMTPParameterRule<Subject>: Sendable {
    typealias Apply = @Sendable (String?, inout Subject, SMTPServerMachine) throws(SMTPParameterRefusal) -> Void

    let keyword: String
    let apply: Apply
}

/// The parameters of MAIL; those of RCPT are in RecipientParameters.
enum MailParameters {
    static let table: [SMTPParameterRule<SMTPEnvelope>] = [
        size, body, utf8, auth, requireTLS, returned, envelopeID, holdFor, holdUntil, deliverBy,
    ]

    private typealias Rule = SMTPParameterRule<SMTPEnvelope>

    /// RFC 1870 section 6.1: refused at once when over the limit.
    private static let size = Rule(keyword: "SIZE") { value, envelope, machine throws(SMTPParameterRefusal) in
        guard let digits = value?.utf8, (1...SMTPLimits.sizeDigitsMax).contains(digits.count),
            digits.allSatisfy(Ascii.isDigit)
        else { throw SMTPParameterRefusal(.syntaxError("SIZE needs a number of octets")) }
        guard let octets = Int(value!), octets <= machine.configuration.messageOctetsMax else {
            throw SMTPParameterRefusal(BodyRefusal.tooLarge.reply)
        }
        envelope.declaredOctets = octets
    }

    /// RFC 6152 section 3; RFC 3030 section 3.
    private static let body = Rule(keyword: "BODY") { value, envelope, machine throws(SMTPParameterRefusal) in
        let isBinaryOffered = machine.configuration.offersBinary
        switch value?.uppercased() {
        case "7BIT": envelope.bodyType = .sevenBit
        case "8BITMIME": envelope.bodyType = .eightBit
        case "BINARYMIME" where isBinaryOffered: envelope.bodyType = .binary
        default:
            let words = isBinaryOffered ? "7BIT, 8BITMIME or BINARYMIME" : "7BIT or 8BITMIME"
            throw SMTPParameterRefusal(.syntaxError("BODY is \(words)"))
        }
    }

    /// RFC 6531 section 3.4: takes no value.
    private static let utf8 = Rule(keyword: "SMTPUTF8") { value, envelope, _ throws(SMTPParameterRefusal) in
        guard value == nil else { throw SMTPParameterRefusal(.syntaxError("SMTPUTF8 takes no value")) }
        envelope.isUTF8 = true
    }

    /// RFC 4954 section 5: who first submitted the message, in xtext, or `<>`. It is read and then taken for `<>`, as
    /// section 5 asks of a server that does not trust its client in this.
    private static let auth = Rule(keyword: "AUTH") { value, _, machine throws(SMTPParameterRefusal) in
        guard machine.configuration.dialect == .submission else { throw SMTPParameterRefusal(.unknownParameter) }
        guard let value, value == "<>" || SMTPXtext(encoded: value) != nil else {
            throw SMTPParameterRefusal(.syntaxError("AUTH takes an address in xtext, or <>"))
        }
    }

    /// RFC 8689 section 2: only where TLS is on.
    private static let requireTLS = Rule(keyword: "REQUIRETLS") {
        value, envelope, machine throws(SMTPParameterRefusal) in
        guard machine.configuration.offersRequireTLS else { throw SMTPParameterRefusal(.unknownParameter) }
        guard value == nil else { throw SMTPParameterRefusal(.syntaxError("REQUIRETLS takes no value")) }
        guard machine.isSecure else {
            throw SMTPParameterRefusal(SMTPReply(530, .init(5, 7, 0), "REQUIRETLS needs STARTTLS first"))
        }
        envelope.requiresTLS = true
    }

    /// RFC 3461 section 4.3.
    private static let returned = Rule(keyword: "RET") { value, envelope, machine throws(SMTPParameterRefusal) in
        guard machine.configuration.offersDSN else { throw SMTPParameterRefusal(.unknownParameter) }
        guard let content = value.flatMap({ SMTPReturnedContent(rawValue: $0.uppercased()) }) else {
            throw SMTPParameterRefusal(.syntaxError("RET is FULL or HDRS"))
        }
        envelope.returnedContent = content
    }

    /// RFC 3461 section 4.4: xtext of printable characters.
    private static let envelopeID = Rule(keyword: "ENVID") { value, envelope, machine throws(SMTPParameterRefusal) in
        guard machine.configuration.offersDSN else { throw SMTPParameterRefusal(.unknownParameter) }
        guard let value, value.utf8.count <= SMTPLimits.envelopeIDOctetsMax, let xtext = SMTPXtext(encoded: value),
            xtext.octets.allSatisfy({ (0x20...0x7E).contains($0) })
        else {
            throw SMTPParameterRefusal(
                .syntaxError("ENVID is xtext of printable characters, up to \(SMTPLimits.envelopeIDOctetsMax)"))
        }
        envelope.envelopeID = xtext
    }
}

extension MailParameters {
    /// RFC 4865 section 4.2.
    private static let holdFor = Rule(keyword: "HOLDFOR") { value, envelope, machine throws(SMTPParameterRefusal) in
        guard let longest = machine.configuration.holdSecondsMax else { throw SMTPParameterRefusal(.unknownParameter) }
        guard let digits = value?.utf8, (1...SMTPLimits.holdDigitsMax).contains(digits.count),
            digits.allSatisfy(Ascii.isDigit), let seconds = Int(value!), (1...longest).contains(seconds)
        else { throw SMTPParameterRefusal(.syntaxError("HOLDFOR is 1 to \(longest) seconds")) }
        try hold(.seconds(seconds), &envelope, machine)
    }

    private static let holdUntil = Rule(keyword: "HOLDUNTIL") {
        value, envelope, machine throws(SMTPParameterRefusal) in
        guard let longest = machine.configuration.holdSecondsMax else { throw SMTPParameterRefusal(.unknownParameter) }
        let last = machine.now + longest
        guard let time = value.flatMap(InternetTime.seconds), time <= last else {
            throw SMTPParameterRefusal(.syntaxError("HOLDUNTIL is a UTC time up to \(InternetTime.text(last))"))
        }
        try hold(.until(time), &envelope, machine)
    }

    private static func hold(
        _ hold: SMTPHold, _ envelope: inout SMTPEnvelope, _ machine: SMTPServerMachine
    ) throws(SMTPParameterRefusal) {
        guard envelope.hold == nil else { throw SMTPParameterRefusal(.syntaxError("HOLDFOR or HOLDUNTIL, not both")) }
        envelope.hold = hold
        try checkTimes(envelope, machine)
    }

    /// RFC 2852 section 4.
    private static let deliverBy = Rule(keyword: "BY") { value, envelope, machine throws(SMTPParameterRefusal) in
        guard let shortest = machine.configuration.deliverBySecondsMin else {
            throw SMTPParameterRefusal(.unknownParameter)
        }
        guard let by = value.flatMap(SMTPDeliverBy.init(parameter:)) else {
            throw SMTPParameterRefusal(.syntaxError("BY is seconds;R or seconds;N, with T behind it to be traced"))
        }
        guard by.mode == .notify || by.seconds >= shortest else {
            throw SMTPParameterRefusal(
                SMTPReply(555, .init(5, 5, 4), "BY with R is at least \(shortest) seconds here"))
        }
        envelope.deliverBy = by
        try checkTimes(envelope, machine)
    }

    /// RFC 4865 section 5.2.2: what is held for longer than it has to be delivered in contradicts itself.
    private static func checkTimes(
        _ envelope: SMTPEnvelope, _ machine: SMTPServerMachine
    ) throws(SMTPParameterRefusal) {
        guard let hold = envelope.hold, let by = envelope.deliverBy else { return }
        guard hold.release(at: machine.now) <= machine.now + by.seconds else {
            throw SMTPParameterRefusal(.syntaxError("The message is to be held for longer than it may take"))
        }
    }
}

/// The parameters of RCPT: those of DSN (RFC 3461 sections 4.1 and 4.2).
enum RecipientParameters {
    static let table: [SMTPParameterRule<SMTPRecipient>] = [notify, originalRecipient]

    private typealias Rule = SMTPParameterRule<SMTPRecipient>

    private static let notify = Rule(keyword: "NOTIFY") { value, recipient, machine throws(SMTPParameterRefusal) in
        guard machine.configuration.offersDSN else { throw SMTPParameterRefusal(.unknownParameter) }
        guard let notify = value.flatMap(SMTPNotify.init(parameter:)) else {
            throw SMTPParameterRefusal(.syntaxError("NOTIFY is NEVER, or of SUCCESS,FAILURE,DELAY"))
        }
        recipient.notify = notify
    }

    private static let originalRecipient = Rule(keyword: "ORCPT") {
        value, recipient, machine throws(SMTPParameterRefusal) in
        guard machine.configuration.offersDSN else { throw SMTPParameterRefusal(.unknownParameter) }
        guard let original = value.flatMap(SMTPOriginalRecipient.init(parameter:)),
            machine.envelope?.isUTF8 == true || original.parameter.utf8.allSatisfy({ $0 < 0x80 })
        else { throw SMTPParameterRefusal(.syntaxError("ORCPT is a kind of address; and the address in xtext")) }
        recipient.originalRecipient = original
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
        _ cursor: inout ArgumentCursor, table: [SMTPParameterRule], to subject: inout Subject,
        machine: SMTPServerMachine
    ) throws(SMTPParameterRefusal) {
        let parameters = try read(&cursor)
        for (index, parameter) in parameters.enumerated() {
            guard let rule = table.first(where: { $0.keyword == parameter.keyword }) else {
                throw SMTPParameterRefusal(.unknownParameter)
            }
            guard !parameters[..<index].contains(where: { $0.keyword == parameter.keyword }) else {
                throw SMTPParameterRefusal(.syntaxError("Parameter given twice"))
            }
            try rule.apply(parameter.value, &subject, machine)
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
