// What the handler tells the machine: its answers, and what happens around the session. An answer that arrives after
// the session was closed is passed over; one to a question that was not asked is a mistake of ours and stops.

extension POP3ServerMachine {
    /// Sends the greeting (RFC 1939 section 4); first of all.
    package mutating func start(into actions: inout [POP3Action]) {
        precondition(phase == .awaitingStart, "a session starts once")
        phase = .command
        actions.append(.reply(.ok("\(configuration.hostName) POP3 Letterlog")))
    }

    /// Instead of `start`: turns the client away, since too many are here.
    package mutating func refuseConnection(into actions: inout [POP3Action]) {
        precondition(phase == .awaitingStart, "a session starts once")
        let reply = POP3Reply.error("Too many connections, try again later", code: .systemTemporary)
        close(.tooManyConnections, reply, into: &actions)
    }

    /// Answers `POP3Action.login`.
    package mutating func loginFinished(_ result: POP3LoginResult, into actions: inout [POP3Action]) {
        if isClosed { return }
        precondition(phase == .awaitingLogin, "no login was asked about")
        if case .success(let maildrop) = result {
            let view = MaildropView(maildrop)
            self.view = view
            actions.append(.reply(.ok("Maildrop has \(view.count) messages (\(view.octets) octets)")))
        } else if let refusal = result.refusal {
            if result == .failure { loginFailureCount += 1 }
            if result == .malformed || result == .unknownMechanism || result == .encryptionRequired {
                phase = .command
                refuse(refusal, into: &actions)
                if phase == .command { returnToCommands(into: &actions) }
                return
            }
            if loginFailureCount >= POP3Limits.loginFailuresMax {
                return close(.tooManyLoginFailures, refusal, into: &actions)
            }
            actions.append(.reply(refusal))
        }
        returnToCommands(into: &actions)
    }

    /// Answers `POP3Action.openBody`.
    package mutating func bodyOpened(_ result: POP3BodyResult, into actions: inout [POP3Action]) {
        if isClosed { return }
        guard case .awaitingBody(let retrieval) = phase else { preconditionFailure("no body was asked for") }
        switch result {
        case .opened:
            let text = retrieval.lines == nil ? "\(retrieval.octets) octets" : "Top of message follows"
            actions.append(.reply(.ok(text)))
            actions.append(.sendBody(retrieval))
            phase = .awaitingTransfer
        case .gone:
            actions.append(.reply(.error("Message is no longer there")))
            returnToCommands(into: &actions)
        case .needsUTF8:
            actions.append(.reply(.error("Message has a header in UTF-8; say UTF8 before login", code: .utf8)))
            returnToCommands(into: &actions)
        case .temporary:
            actions.append(.reply(.error("Cannot read the message now, try again later", code: .systemTemporary)))
            returnToCommands(into: &actions)
        }
    }

    /// The listing or body, with its last line, has been handed to the connection.
    package mutating func transferFinished(into actions: inout [POP3Action]) {
        if isClosed { return }
        precondition(phase == .awaitingTransfer, "no transfer was under way")
        returnToCommands(into: &actions)
    }

    /// The body broke off in the middle: the connection closes without the final dot.
    package mutating func transferFailed(into actions: inout [POP3Action]) {
        if isClosed { return }
        precondition(phase == .awaitingTransfer, "no transfer was under way")
        close(.transferFailed, nil, into: &actions)
    }

    /// Answers `POP3Action.commitDeletes`; success means on stable storage (RFC 1939 section 6).
    package mutating func deletesFinished(succeeded: Bool, into actions: inout [POP3Action]) {
        if isClosed { return }
        precondition(phase == .awaitingDeletes, "no deletion was asked for")
        let reply =
            succeeded
            ? POP3Reply.ok("Closing, marked messages removed")
            : .error("Some deleted messages not removed", code: .systemTemporary)
        close(.quit, reply, into: &actions)
    }

    /// Answers `POP3Action.startTLS`: the handshake is done, and nothing that the client said before counts (RFC 2595
    /// section 4).
    package mutating func tlsStarted(into actions: inout [POP3Action]) {
        if isClosed { return }
        precondition(phase == .awaitingTLS, "TLS was not begun")
        isSecure = true
        user = nil
        returnToCommands(into: &actions)
    }

    /// The client has been silent for too long: the session ends without a word, and removes nothing (RFC 1939
    /// section 3). While the client waits for us this does nothing.
    package mutating func timedOut(into actions: inout [POP3Action]) {
        guard !isClosed, !isWaiting else { return }
        close(.timedOut, nil, into: &actions)
    }

    /// The server stops: at once between commands, else after the answer that is due. How long that may take is the
    /// handler's to bound. POP3 has no reply that comes unasked.
    package mutating func shuttingDown(into actions: inout [POP3Action]) {
        isShuttingDown = true
        guard phase == .command || phase == .authenticating || phase == .awaitingStart else { return }
        close(.shuttingDown, nil, into: &actions)
    }

    /// The server ends this session for good: the client hears why in place of the answer to its next command, or of the
    /// one that is awaited. Nothing is removed, but by a QUIT that is being carried out, which gets its answer. A body
    /// that is on its way breaks off, since words within it would be part of the message; so does a handshake.
    package mutating func ended(_ text: String, into actions: inout [POP3Action]) {
        switch phase {
        case .closed: return
        case .awaitingDeletes: return
        case .awaitingTransfer, .awaitingTLS: close(.ended, nil, into: &actions)
        case .awaitingStart, .command, .awaitingLogin, .authenticating, .awaitingBody:
            close(.ended, .error(text, code: .systemPermanent), into: &actions)
        }
    }

    /// The connection is gone: nothing is removed (RFC 1939 section 6).
    package mutating func disconnected(into actions: inout [POP3Action]) {
        guard !isClosed else { return }
        close(.disconnected, nil, into: &actions)
    }
}
