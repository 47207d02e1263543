import MailTypes

extension SMTPCommand {
    /// MAIL FROM:<reverse-path> [parameters] (RFC 5321 section 4.1.1.2).
    static let mail = SMTPCommand("MAIL", stages: [.greeted]) { machine, line, actions in
        machine.mail(&line, into: &actions)
    }
}

extension SMTPServerMachine {
    fileprivate mutating func mail(_ line: inout ArgumentCursor, into actions: inout [SMTPAction]) {
        // RFC 6409 section 4.3
        if configuration.dialect == .submission, !isAuthenticated {
            return actions.append(.reply(SMTPReply(530, .init(5, 7, 0), "Authentication required")))
        }
        line.skipSpaces()
        guard line.skip(word: "FROM:") else {
            return refuse(.syntaxError("MAIL FROM:<address>"), into: &actions)
        }
        line.skipSpaces()
        var sender: Address?
        var hasNonASCII = false
        switch PathParser.path(&line) {
        case .null: sender = nil
        case .mailbox(let address, let nonASCII): (sender, hasNonASCII) = (address, nonASCII)
        case .postmaster, nil:
            return refuse(SMTPReply(501, .init(5, 1, 7), "Bad sender address; write <local@domain>"), into: &actions)
        }
        var envelope = SMTPEnvelope(reversePath: sender)
        envelope.began = now
        do {
            try SMTPParameterRule.applyAll(&line, table: MailParameters.table, to: &envelope, machine: self)
        } catch {
            return refuse(error, into: &actions)
        }
        if hasNonASCII, !envelope.isUTF8 {
            return refuse(SMTPReply(550, .init(5, 6, 7), "Non-ASCII sender needs SMTPUTF8"), into: &actions)
        }
        // RFC 6409 section 6.1. The null path of a notification is anybody's.
        if configuration.checksSenders || configuration.dialect == .submission && sender != nil {
            phase = .awaitingSender(envelope)
            return actions.append(.checkSender(envelope))
        }
        open(envelope)
        actions.append(.reply(SenderVerdict.accepted.reply))
    }

    mutating func open(_ envelope: SMTPEnvelope) {
        self.envelope = envelope
        refusedRecipientCount = 0
    }

    /// A message over the limit is no error of the client's; a parameter that cannot be read is.
    mutating func refuse(_ refusal: SMTPParameterRefusal, into actions: inout [SMTPAction]) {
        guard refusal.reply != BodyRefusal.tooLarge.reply else { return actions.append(.reply(refusal.reply)) }
        refuse(refusal.reply, into: &actions)
    }
}
