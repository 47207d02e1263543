/// One message on its way to one host.
struct SMTPClientTransaction: Sendable {
    let message: SMTPClientMessage
    /// Of those whose RCPT was refused, or of all after the end of the message.
    var outcomes: [SMTPRecipientOutcome?]
    /// DATA went out behind RCPT, before it was known whether any recipient was taken.
    var isPipelined = false
    /// Why nothing can be sent: MAIL was refused.
    var refusal: SMTPServerReply?

    init(_ message: SMTPClientMessage) {
        self.message = message
        outcomes = Array(repeating: nil, count: message.recipients.count)
    }

    var hasTaken: Bool { refusal == nil && outcomes.contains { $0 == nil } }

    /// What is known when the connection is gone.
    func outcomes(atEnd end: SMTPClientEnd) -> [SMTPRecipientOutcome] {
        let rest: SMTPRecipientOutcome
        switch end {
        case .refused(let reply):
            rest = reply.isPositive ? .unanswered("the server answered out of turn") : SMTPRecipientOutcome(reply)
        case .timedOut: rest = .unanswered("the server was silent for too long")
        case .malformed: rest = .unanswered("the server sent what is no SMTP")
        case .noTLS: rest = .unanswered("the server offers no TLS")
        case .noMechanism: rest = .unanswered("the server offers no way to log in")
        case .unproved: rest = .unanswered("the server did not prove that it knows the password")
        case .quit, .disconnected: rest = .unanswered("the connection was lost")
        }
        return outcomes.map { $0 ?? rest }
    }
}

extension SMTPClientMachine {
    /// Sends a message; after `ready`.
    package mutating func send(_ message: SMTPClientMessage, into actions: inout [SMTPClientAction]) {
        precondition(phase == .ready, "one message at a time, when the server is ready")
        precondition(!message.recipients.isEmpty, "a message goes to somebody")
        let refusal = obstacle(message).map(SMTPRecipientOutcome.failed)
        if let outcome = refusal ?? lack(message).map(SMTPRecipientOutcome.incapable) {
            actions.append(.finished(message.recipients.map { _ in outcome }))
            return becomeReady(into: &actions)
        }
        phase = .busy
        transaction = SMTPClientTransaction(message)
        var lines = ["MAIL FROM:<\(message.sender)>\(parameters(message))"]
        awaited.append(.mail)
        if features.hasPipelining {
            appendRecipients(message, &lines)
            transaction?.isPipelined = true
            // BDAT is followed by its octets, so it waits until somebody is to have them.
            if !message.isBinary {
                lines.append("DATA")
                awaited.append(.data)
            }
        }
        actions.append(.send(Array((lines.joined(separator: "\r\n") + "\r\n").utf8)))
    }

    private mutating func appendRecipients(_ message: SMTPClientMessage, _ lines: inout [String]) {
        for (index, recipient) in message.recipients.enumerated() {
            lines.append("RCPT TO:<\(recipient)>\(parameters(message, ofRecipient: index))")
            awaited.append(.recipient(index))
        }
    }

    /// RFC 3461 section 5.2.
    private func parameters(_ message: SMTPClientMessage, ofRecipient index: Int) -> String {
        guard features.hasDSN else { return "" }
        var text = ""
        var notify = message.notify.indices.contains(index) ? message.notify[index] : ""
        if let deliverBy = message.deliverBy, deliverBy.mode == .notify, !features.hasDeliverBy, notify != "NEVER" {
            // RFC 2852 section 4.1.4.2: the next host does not watch the clock, so it is to tell of delays.
            if notify.isEmpty { notify = "FAILURE" }
            if !notify.contains("DELAY") { notify += ",DELAY" }
        }
        if !notify.isEmpty { text += " NOTIFY=\(notify)" }
        if message.originals.indices.contains(index), !message.originals[index].isEmpty {
            text += " ORCPT=\(message.originals[index])"
        }
        return text
    }

    /// What the server has told before that it cannot take.
    private func obstacle(_ message: SMTPClientMessage) -> SMTPServerReply? {
        if features.messageOctetsMax > 0, message.octets > features.messageOctetsMax {
            let text = "message of \(message.octets) octets, the next host takes \(features.messageOctetsMax)"
            return SMTPServerReply(552, SMTPEnhancedCode(5, 3, 4), lines: [text])
        }
        if message.needsUTF8, !features.hasSMTPUTF8 {
            let text = "the next host takes no internationalized addresses or header fields"
            return SMTPServerReply(550, SMTPEnhancedCode(5, 6, 7), lines: [text])
        }
        return nil
    }

    /// What this server lacks, and another host of the domain may have.
    private func lack(_ message: SMTPClientMessage) -> SMTPServerReply? {
        if message.mustRequireTLS, !isEncrypted || !features.hasRequireTLS {
            // RFC 8689 section 4.2.1.
            return SMTPServerReply(
                550, SMTPEnhancedCode(5, 7, 30), lines: ["TLS is required, and the next host does not promise it"])
        }
        if message.isBinary, !features.hasBinaryMIME || !features.hasChunking {
            // RFC 3030 section 3.
            return SMTPServerReply(
                554, SMTPEnhancedCode(5, 6, 1), lines: ["the next host takes no binary messages"])
        }
        if let deliverBy = message.deliverBy, deliverBy.mode == .return,
            !features.hasDeliverBy || deliverBy.seconds < max(1, features.deliverBySecondsMin)
        {
            // RFC 2852 section 4.1.4.1.
            return SMTPServerReply(
                550, SMTPEnhancedCode(5, 4, 7), lines: ["the next host does not promise to deliver in time"])
        }
        return nil
    }

    private func parameters(_ message: SMTPClientMessage) -> String {
        var text = ""
        if features.hasSize { text += " SIZE=\(message.octets)" }
        // Without 8BITMIME the octets go as they are, as every sender does; RFC 6152 section 3 would have them converted
        // or returned.
        if message.isBinary {
            text += " BODY=BINARYMIME"
        } else if message.is8Bit, features.has8BitMIME {
            text += " BODY=8BITMIME"
        }
        if message.needsUTF8 { text += " SMTPUTF8" }
        if message.wantsRequireTLS, features.hasRequireTLS, isEncrypted { text += " REQUIRETLS" }
        if features.hasDSN {
            // RFC 8689 section 5: the report goes the protected way, and so without the text.
            let returns = message.wantsRequireTLS && message.returns != nil ? .headers : message.returns
            if let returns { text += " RET=\(returns.rawValue)" }
            if !message.envelopeID.isEmpty { text += " ENVID=\(message.envelopeID)" }
        }
        if let deliverBy = message.deliverBy, features.hasDeliverBy { text += " BY=\(deliverBy.parameter)" }
        return text
    }

    mutating func takeInTransaction(
        _ reply: SMTPServerReply, to command: Awaited, into actions: inout [SMTPClientAction]
    ) {
        guard let message = transaction?.message else { return close(.malformed, into: &actions) }
        // The server goes: what follows in the pipeline has no answer any more.
        if reply.code == 421 { return close(.refused(reply), into: &actions) }
        switch command {
        case .mail:
            if !reply.isPositive { transaction?.refusal = reply }
            if transaction?.isPipelined == true { return }
            guard reply.isPositive else { return abandon(into: &actions) }
            sayRecipient(0, message, into: &actions)
        case .recipient(let index):
            // After a refused MAIL the rest of the pipeline is refused for being out of order; that is no reason.
            if !reply.isPositive, transaction?.refusal == nil {
                transaction?.outcomes[index] = SMTPRecipientOutcome(reply)
            }
            let isLast = index + 1 == message.recipients.count
            if transaction?.isPipelined == true, !isLast || !message.isBinary { return }
            guard isLast else { return sayRecipient(index + 1, message, into: &actions) }
            guard transaction?.hasTaken == true else { return abandon(into: &actions) }
            guard !message.isBinary else {
                actions.append(.send(Array("BDAT \(message.octets) LAST\r\n".utf8)))
                return actions.append(.sendChunk)
            }
            say("DATA", .data, into: &actions)
        case .data: dataAnswered(reply, into: &actions)
        case .end: finish(reply, into: &actions)
        default: close(.malformed, into: &actions)
        }
    }

    private mutating func sayRecipient(
        _ index: Int, _ message: SMTPClientMessage, into actions: inout [SMTPClientAction]
    ) {
        let parameters = parameters(message, ofRecipient: index)
        say("RCPT TO:<\(message.recipients[index])>\(parameters)", .recipient(index), into: &actions)
    }

    private mutating func dataAnswered(_ reply: SMTPServerReply, into actions: inout [SMTPClientAction]) {
        guard reply.code == 354 else {
            // A positive reply that does not ask for the message is none.
            if reply.isPositive { return close(.malformed, into: &actions) }
            if transaction?.hasTaken == true { transaction?.refusal = reply }
            return abandon(into: &actions)
        }
        guard transaction?.hasTaken == true else {
            // Nobody is to have it and the server wants it (RFC 2920 section 3.1): an empty message, whose reply is
            // of no account.
            awaited.append(.end)
            return actions.append(.send(Array(".\r\n".utf8)))
        }
        actions.append(.sendBody)
    }

    /// Answers `sendBody`: everything with its end is handed to the connection.
    package mutating func bodySent(into actions: inout [SMTPClientAction]) {
        guard phase == .busy, transaction != nil else { return }
        awaited.append(.end)
    }

    /// Nothing is sent; the transaction is cleared at the server.
    private mutating func abandon(into actions: inout [SMTPClientAction]) {
        guard let transaction else { return }
        self.transaction = nil
        let rest = transaction.refusal.map(SMTPRecipientOutcome.init) ?? .unanswered("not sent")
        actions.append(.finished(transaction.outcomes.map { $0 ?? rest }))
        say("RSET", .reset, into: &actions)
    }

    private mutating func finish(_ reply: SMTPServerReply, into actions: inout [SMTPClientAction]) {
        guard let transaction else { return }
        self.transaction = nil
        let rest = SMTPRecipientOutcome(transaction.refusal ?? reply)
        actions.append(.finished(transaction.outcomes.map { $0 ?? rest }))
        // A server that refuses a message after its end may keep the transaction open (Postfix does), and would refuse the
        // next MAIL, for good, for being out of order.
        guard reply.isPositive else { return say("RSET", .reset, into: &actions) }
        becomeReady(into: &actions)
    }
}
