extension SMTPCommand {
    /// DATA (RFC 5321 section 4.1.1.4).
    static let data = SMTPCommand("DATA", stages: [.transaction]) { machine, line, actions in
        machine.data(&line, into: &actions)
    }
}

extension SMTPServerMachine {
    fileprivate mutating func data(_ line: inout ArgumentCursor, into actions: inout [SMTPAction]) {
        guard line.hasNoMore() else { return refuse(.syntaxError("DATA takes no argument"), into: &actions) }
        guard chunkProgress == nil else { return actions.append(.reply(.badSequence("BDAT was used; RSET ends it"))) }
        // RFC 3030 section 3
        guard envelope?.bodyType != .binary else {
            return actions.append(.reply(.badSequence("BODY=BINARYMIME comes by BDAT; RSET ends it")))
        }
        guard let envelope, !envelope.recipients.isEmpty else { return actions.append(.reply(withoutRecipients)) }
        phase = .awaitingBodyStart
        actions.append(.startBody(envelope))
    }

    /// A client that pipelines says DATA before it knows that every RCPT failed: no error is counted. LMTP wants 503
    /// always (RFC 2033 section 4.2), RFC 5321 section 3.3 leaves the choice.
    var withoutRecipients: SMTPReply {
        if configuration.dialect == .lmtp || refusedRecipientCount == 0 { return .badSequence("RCPT comes first") }
        return SMTPReply(554, .init(5, 5, 1), "No valid recipients")
    }
}
