// What the handler tells the machine: its answers, and what happens around the session. An answer that arrives after
// the session was closed is passed over; one to a question that was not asked is a mistake of ours and stops.

extension SMTPServerMachine {
    /// Sends the greeting (RFC 5321 section 3.1); first of all.
    package mutating func start(into actions: inout [SMTPAction]) {
        precondition(phase == .awaitingStart, "a session starts once")
        phase = .command
        actions.append(.reply(greeting))
    }

    private var greeting: SMTPReply {
        let name = configuration.dialect == .lmtp ? "LMTP" : "ESMTP"
        return SMTPReply(220, nil, "\(configuration.hostName) \(name) Letterlog")
    }

    /// Instead of `start`: turns the client away, since too many are here.
    package mutating func refuseConnection(into actions: inout [SMTPAction]) {
        precondition(phase == .awaitingStart, "a session starts once")
        close(.tooManyConnections, .tooManyConnections, into: &actions)
    }

    /// Answers `SMTPAction.checkSender`.
    package mutating func senderChecked(_ verdict: SenderVerdict, into actions: inout [SMTPAction]) {
        if isClosed { return }
        guard case .awaitingSender(let envelope) = phase else { preconditionFailure("no sender was asked about") }
        if endSession(after: verdict.reply, into: &actions) { return }
        if verdict == .accepted { open(envelope) }
        actions.append(.reply(verdict.reply))
        returnToCommands(into: &actions)
    }

    /// Answers `SMTPAction.checkRecipient`.
    package mutating func recipientChecked(_ verdict: RecipientVerdict, into actions: inout [SMTPAction]) {
        if isClosed { return }
        guard case .awaitingRecipient(let recipient) = phase else {
            preconditionFailure("no recipient was asked about")
        }
        if endSession(after: verdict.reply, into: &actions) { return }
        if verdict == .accepted {
            envelope?.recipients.append(recipient)
        } else {
            refusedRecipientCount += 1
        }
        actions.append(.reply(verdict.reply))
        returnToCommands(into: &actions)
    }

    /// Answers `SMTPAction.startBody`. A refusal leaves the transaction open, so that the client may say DATA again.
    package mutating func bodyStarted(_ verdict: BodyVerdict, into actions: inout [SMTPAction]) {
        if isClosed { return }
        if case .awaitingChunkStart(let chunk) = phase { return chunkStarted(chunk, verdict, into: &actions) }
        precondition(phase == .awaitingBodyStart, "no body was asked about")
        actions.append(.reply(verdict.reply))
        if verdict == .ready {
            body = BodyProgress()
            phase = .body
        } else {
            returnToCommands(into: &actions)
        }
    }

    /// Answers `SMTPAction.deliver`.
    ///
    /// - Parameter outcomes: one for each of the envelope's recipients, in their order, repeats included. SMTP, which
    ///   has a single reply, tells success only when all have it; else a temporary failure before a permanent one.
    package mutating func deliveryFinished(_ outcomes: [DeliveryOutcome], into actions: inout [SMTPAction]) {
        if isClosed { return }
        precondition(phase == .awaitingDelivery, "no delivery was asked for")
        precondition(outcomes.count == envelope?.recipients.count, "one outcome per recipient")
        let told = configuration.dialect == .lmtp ? outcomes : [DeliveryOutcome.forAll(outcomes)]
        for outcome in told {
            let reply = outcome.reply(configuration.dialect)
            if endSession(after: reply, into: &actions) { return }
            actions.append(.reply(reply))
        }
        finishTransaction(into: &actions)
    }

    /// RFC 5321 section 3.8: after 421 nothing follows.
    private mutating func endSession(after reply: SMTPReply, into actions: inout [SMTPAction]) -> Bool {
        guard reply.code == 421 else { return false }
        close(.ended, reply, into: &actions)
        return true
    }

    /// Answers `SMTPAction.startTLS`: the handshake is done. The client begins anew, and nothing that it said before counts
    /// (RFC 3207 section 4.2).
    package mutating func tlsStarted(into actions: inout [SMTPAction]) {
        if isClosed { return }
        precondition(phase == .awaitingTLS, "TLS was not begun")
        isSecure = true
        clientName = ""
        isExtended = false
        resetTransaction(into: &actions)
        returnToCommands(into: &actions)
    }

    /// Answers `SMTPAction.replaceClient`. The session begins anew, with the greeting.
    package mutating func clientReplaced(_ verdict: ClientVerdict, into actions: inout [SMTPAction]) {
        if isClosed { return }
        precondition(phase == .awaitingClient, "no client was replaced")
        guard verdict == .accepted else { return close(.tooManyConnections, .tooManyConnections, into: &actions) }
        clientName = replacedClient?.greeting ?? ""
        isExtended = replacedClient?.isExtended ?? false
        forwarded = SMTPForwardedMessage()
        resetTransaction(into: &actions)
        actions.append(.reply(greeting))
        returnToCommands(into: &actions)
    }

    /// The client has been silent for too long (RFC 5321 section 4.5.3.2). While the client waits for us this does
    /// nothing.
    package mutating func timedOut(into actions: inout [SMTPAction]) {
        guard !isClosed, !isWaiting else { return }
        close(.timedOut, .timedOut, into: &actions)
    }

    /// The server stops (RFC 5321 section 3.8): at once between commands; else after the answer that is due, or after
    /// the message that is under way. How long that may take is the handler's to bound.
    package mutating func shuttingDown(into actions: inout [SMTPAction]) {
        ending = (.shuttingDown, .shuttingDown)
        guard phase == .command || phase == .authenticating || phase == .awaitingStart else { return }
        close(.shuttingDown, .shuttingDown, into: &actions)
    }

    /// The server ends this session for a reason of its own (RFC 5321 section 3.8): at once, a message that is under way
    /// included; only one whose storing is awaited gets its answer first.
    package mutating func ended(_ text: String, into actions: inout [SMTPAction]) {
        let reply = SMTPReply(421, SMTPEnhancedCode(4, 7, 0), text)
        switch phase {
        case .closed: return
        case .awaitingDelivery: ending = (.ended, reply)
        // Nothing can be said in the middle of a handshake.
        case .awaitingTLS: close(.ended, nil, into: &actions)
        default: close(.ended, reply, into: &actions)
        }
    }

    /// The connection is gone: nothing can be told any more.
    package mutating func disconnected(into actions: inout [SMTPAction]) {
        guard !isClosed else { return }
        close(.disconnected, nil, into: &actions)
    }
}
