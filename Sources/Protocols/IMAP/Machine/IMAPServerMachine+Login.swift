import Octets

// AUTHENTICATE, LOGIN and what follows them (RFC 9051 section 6.2).

extension IMAPServerMachine {
    mutating func authenticate(_ mechanism: String, _ response: [UInt8]?, into actions: inout [IMAPAction]) {
        guard configuration.mechanisms.contains(mechanism) else {
            return finish(
                configuration.mechanismsUnderTLS.contains(mechanism)
                    ? .no("Passwords are not taken over an unencrypted connection", code: .privacyRequired)
                    : .no("There is no such mechanism", code: .cannot), into: &actions)
        }
        phase = .awaitingLogin
        actions.append(.authenticate(mechanism: mechanism, initialResponse: response))
    }

    mutating func takeSASLLine(_ line: UnsafeRawBufferPointer, isWhole: Bool, into actions: inout [IMAPAction]) {
        if isWhole, line.elementsEqual([Ascii.asterisk]) {
            actions.append(.authenticationCancelled)
            return finish(.bad("The exchange was broken off"), into: &actions)
        }
        guard isWhole, let response = Base64.decode(line) else {
            actions.append(.authenticationCancelled)
            return finish(.bad("The line is not base64"), into: &actions)
        }
        phase = .awaitingLogin
        actions.append(.authenticationResponse(response))
    }

    mutating func takeIdleLine(_ line: UnsafeRawBufferPointer, into actions: inout [IMAPAction]) {
        var reader = CommandReader(line, context)
        let isDone = reader.skip(word: "DONE") && reader.isAtEnd
        overridingOutcome = isDone ? nil : .bad("DONE expected")
        phase = .performing
        actions.append(.stopIdle)
    }

    // MARK: Answers

    /// The exchange goes on: the client gets `octets`, which may be empty.
    package mutating func challenge(_ octets: [UInt8], into actions: inout [IMAPAction]) {
        guard !isClosed else { return }
        precondition(phase == .awaitingLogin, "no exchange is open")
        phase = .saslLine
        actions.append(.reply(.challenge(octets)))
    }

    package mutating func loginFinished(_ result: IMAPLoginResult, into actions: inout [IMAPAction]) {
        guard !isClosed else { return }
        precondition(phase == .awaitingLogin, "no login was asked for")
        if case .success(let hidden) = result {
            state = .authenticated
            self.hidden = hidden
            loginFailureCount = 0
            return finish(.ok("Logged in", code: .capability(capabilityNames)), into: &actions)
        }
        loginFailureCount += 1
        let isLast = loginFailureCount >= IMAPLimits.loginFailuresMax
        finish(result.refusal, isLast: isLast, into: &actions)
        if isLast, !isClosed {
            close(.tooManyLoginFailures, .bye("Too many failed logins"), into: &actions)
        }
    }

    /// TLS is there: the client begins anew, and what it is offered may differ (RFC 9051 section 6.2.1).
    package mutating func tlsStarted(_ configuration: IMAPServerConfiguration, into actions: inout [IMAPAction]) {
        guard !isClosed else { return }
        precondition(phase == .awaitingTLS, "TLS was not asked for")
        self.configuration = configuration
        isEncrypted = true
        endCommand()
        returnToCommands(into: &actions)
    }

    /// Both directions are compressed now.
    package mutating func compressionStarted(into actions: inout [IMAPAction]) {
        guard !isClosed else { return }
        precondition(phase == .awaitingCompression, "compression was not asked for")
        isCompressed = true
        endCommand()
        returnToCommands(into: &actions)
    }
}

extension IMAPLoginResult {
    /// What the client hears, where it is not in.
    fileprivate var refusal: IMAPOutcome {
        switch self {
        case .success: .ok("Logged in")
        case .failure: .no("Wrong name or password", code: .authenticationFailed)
        case .notAuthorized: .no("This login is not allowed", code: .authorizationFailed)
        case .malformed: .bad("The exchange is malformed")
        case .unknownMechanism: .no("There is no such mechanism", code: .cannot)
        case .limited: .no("Too many logins, try again later", code: .limit)
        case .temporary: .no("Logins are not possible now, try again later", code: .unavailable)
        }
    }
}
