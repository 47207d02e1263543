import MailTypes

extension SMTPCommand {
    /// RCPT TO:<forward-path> [parameters] (RFC 5321 section 4.1.1.3).
    static let rcpt = SMTPCommand("RCPT", stages: [.transaction]) { machine, line, actions in
        machine.rcpt(&line, into: &actions)
    }
}

extension SMTPServerMachine {
    fileprivate mutating func rcpt(_ line: inout ArgumentCursor, into actions: inout [SMTPAction]) {
        guard chunkProgress == nil else { return actions.append(.reply(.badSequence("BDAT was used; RSET ends it"))) }
        line.skipSpaces()
        guard line.skip(word: "TO:") else { return refuse(.syntaxError("RCPT TO:<address>"), into: &actions) }
        line.skipSpaces()
        guard let envelope, let (named, hasNonASCII) = recipient(PathParser.path(&line)) else {
            refusedRecipientCount += 1
            return refuse(SMTPReply(501, .init(5, 1, 3), "Bad recipient address; write <local@domain>"), into: &actions)
        }
        var recipient = named
        do {
            try SMTPParameterRule.applyAll(&line, table: RecipientParameters.table, to: &recipient, machine: self)
        } catch {
            refusedRecipientCount += 1
            return refuse(error, into: &actions)
        }
        if hasNonASCII, !envelope.isUTF8 {
            refusedRecipientCount += 1
            return refuse(SMTPReply(553, .init(5, 6, 7), "Non-ASCII recipient needs SMTPUTF8"), into: &actions)
        }
        guard envelope.recipients.count < configuration.recipientsMax else {
            return actions.append(.reply(.tooManyRecipients))
        }
        phase = .awaitingRecipient(recipient)
        actions.append(.checkRecipient(recipient))
    }

    private func recipient(_ path: SMTPPath?) -> (SMTPRecipient, hasNonASCII: Bool)? {
        switch path {
        case .mailbox(let address, let hasNonASCII): return (SMTPRecipient(address), hasNonASCII)
        case .postmaster:
            guard let address = Address(localPart: "postmaster", domain: configuration.hostName) else { return nil }
            return (SMTPRecipient(address, isBarePostmaster: true), false)
        case .null, nil: return nil
        }
    }
}

extension SMTPServerMachine {
    /// A recipient that a filter adds to a message with this envelope, with parameters as RCPT has them. What RCPT would refuse is
    /// passed over: the client has not said it, and nobody else would hear of a refusal.
    package func recipient(
        _ address: Address, parameters: [String], in envelope: SMTPEnvelope
    ) -> (recipient: SMTPRecipient, passedOver: [String]) {
        var machine = self
        machine.envelope = envelope
        var recipient = SMTPRecipient(address)
        let passedOver = parameters.filter { parameter in
            Array(" \(parameter)".utf8).withUnsafeBytes { bytes in
                var line = ArgumentCursor(bytes)
                do throws(SMTPParameterRefusal) {
                    try SMTPParameterRule.applyAll(
                        &line, table: RecipientParameters.table, to: &recipient, machine: machine)
                    return false
                } catch {
                    return true
                }
            }
        }
        return (recipient, passedOver)
    }
}
