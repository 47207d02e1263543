// How commands and sessions end.

extension IMAPServerMachine {
    /// The client has connected. An encrypted connection has its TLS already.
    package mutating func start(isEncrypted: Bool = false, into actions: inout [IMAPAction]) {
        precondition(phase == .awaitingStart, "the session has begun")
        self.isEncrypted = isEncrypted
        phase = .command
        let text = "\(configuration.hostName) IMAP Letterlog"
        actions.append(.reply(.untagged(.ok(text, code: .capability(capabilityNames)))))
    }

    /// Turns the client away.
    package mutating func refuseConnection(into actions: inout [IMAPAction]) {
        precondition(phase == .awaitingStart, "the session has begun")
        close(
            .tooManyConnections, .bye("Too many connections, try again later", code: .unavailable),
            into: &actions)
    }

    /// The command has been performed, or refused; its untagged responses are written.
    package mutating func commandFinished(_ outcome: IMAPOutcome, into actions: inout [IMAPAction]) {
        guard !isClosed else { return }
        precondition(phase == .performing, "no command is being performed")
        if outcome.status == .ok, let stateAfter {
            state = stateAfter
            if stateAfter == .notAuthenticated {
                // RFC 8437 section 3: as it was before login, but for TLS and compression.
                enabled = []
                hidden = []
            }
        }
        finish(overridingOutcome ?? outcome, into: &actions)
    }

    /// A SELECT has succeeded; its untagged responses are written. For one that failed: `commandFinished`.
    package mutating func mailboxSelected(isReadOnly: Bool, into actions: inout [IMAPAction]) {
        guard !isClosed else { return }
        precondition(phase == .performing, "no command is being performed")
        state = .selected(isReadOnly: isReadOnly)
        finish(.ok("Selected", code: isReadOnly ? .readOnly : .readWrite), into: &actions)
    }

    /// The mailbox that is open exists no more, or not as the client knows it: none is open from here on (RFC 9051
    /// section 3, transition 6). Between commands, in IDLE, or while a command is performed, whose answer still comes.
    package mutating func mailboxClosed(_ text: String, into actions: inout [IMAPAction]) {
        guard !isClosed, isSelected else { return }
        state = .authenticated
        actions.append(.reply(.untagged(.ok(text, code: .closed))))
    }

    // MARK: Ends

    /// The handler ends the session: the account was disabled, the mailbox is gone, the store has failed. Nothing more is
    /// said to a command that is being performed.
    package mutating func end(_ code: IMAPResponseCode?, _ text: String, into actions: inout [IMAPAction]) {
        guard !isClosed else { return }
        close(.ended, .bye(text, code: code), into: &actions)
    }

    /// The client has been silent for too long (RFC 9051 section 5.4). While it waits for us this does nothing.
    package mutating func timedOut(into actions: inout [IMAPAction]) {
        guard !isClosed, !isWaiting else { return }
        close(.timedOut, .bye("Silent for too long"), into: &actions)
    }

    /// The server stops: at once between commands, else after the answer that is due. How long that may take is the
    /// handler's to bound.
    package mutating func shuttingDown(into actions: inout [IMAPAction]) {
        guard !isClosed else { return }
        isShuttingDown = true
        guard !isWaiting || phase == .awaitingStart else { return }
        closeForShutdown(into: &actions)
    }

    /// The connection is gone.
    package mutating func disconnected(into actions: inout [IMAPAction]) {
        guard !isClosed else { return }
        close(.disconnected, nil, into: &actions)
    }

    // MARK: For this machine

    /// Replies to the command and ends it. Commands that were not understood are counted.
    ///
    /// - Parameter isLast: the session is closed after it by the caller.
    mutating func finish(_ outcome: IMAPOutcome, isLast: Bool = false, into actions: inout [IMAPAction]) {
        actions.append(.reply(tag.isEmpty ? .untagged(outcome) : .tagged(tag, outcome)))
        endCommand()
        phase = .command
        if isLast { return }
        if outcome.status == .ok { badCommandCount = 0 }
        if outcome.status == .bad {
            badCommandCount += 1
            if badCommandCount >= IMAPLimits.badCommandsMax {
                return close(.tooManyErrors, .bye("Too many errors"), into: &actions)
            }
        }
        returnToCommands(into: &actions)
    }

    /// Forgets the command that has ended.
    mutating func endCommand() {
        tag = ""
        literalCount = 0
        lineStart = 0
        droppedOctets = 0
        stateAfter = nil
        append = nil
        overridingOutcome = nil
    }

    /// The next command may come, unless the server is going down.
    mutating func returnToCommands(into actions: inout [IMAPAction]) {
        phase = .command
        if isShuttingDown { closeForShutdown(into: &actions) }
    }

    private mutating func closeForShutdown(into actions: inout [IMAPAction]) {
        close(.shuttingDown, .bye("Shutting down, try again later", code: .unavailable), into: &actions)
    }

    mutating func close(_ reason: IMAPCloseReason, _ bye: IMAPOutcome?, into actions: inout [IMAPAction]) {
        discardAppend(into: &actions)
        if phase == .saslLine || phase == .awaitingLogin { actions.append(.authenticationCancelled) }
        phase = .closed
        held = []
        droppedTail = []
        refusal = nil
        if let bye { actions.append(.reply(.untagged(bye))) }
        actions.append(.close(reason))
    }
}
