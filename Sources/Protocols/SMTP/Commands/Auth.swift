// AUTH (RFC 4954 section 4): a SASL exchange in lines of base64, until the handler says how it ended.
//
// Invariants
// - A response is consumed only when a challenge has been sent.
// - Whatever is wrong with a response ends the exchange with one reply, and the handler is told
//   (`cancelAuthentication`). A close tells it too.
// - Once a client is in, it stays in: no second AUTH, none within a transaction (section 4).
import MailTypes
import Octets

extension SMTPCommand {
    /// AUTH mechanism [initial-response]
    static let auth = SMTPCommand("AUTH", in: [.submission], stages: [.greeted]) { machine, line, actions in
        machine.auth(&line, into: &actions)
    }
}

/// How an exchange ended.
package enum SMTPLoginVerdict: Equatable, Sendable {
    case accepted
    /// Wrong in some way that the client does not learn.
    case denied
    case tryLater
    /// A message is none of its mechanism.
    case malformed
    /// There is no such mechanism, or not for this connection.
    case unknownMechanism
    case encryptionRequired

    /// RFC 4954 section 6.
    var reply: SMTPReply {
        switch self {
        case .accepted: SMTPReply(235, .init(2, 7, 0), "Authentication successful")
        case .denied: SMTPReply(535, .init(5, 7, 8), "Authentication credentials invalid")
        case .tryLater: SMTPReply(454, .init(4, 7, 0), "Temporary authentication failure, try again later")
        case .malformed: SMTPReply(501, .init(5, 5, 2), "The response is none of this mechanism")
        case .unknownMechanism: SMTPReply(504, .init(5, 5, 4), "Mechanism not available")
        case .encryptionRequired:
            SMTPReply(538, .init(5, 7, 11), "Encryption required for the requested mechanism")
        }
    }
}

extension SMTPServerMachine {
    fileprivate mutating func auth(_ line: inout ArgumentCursor, into actions: inout [SMTPAction]) {
        guard !isAuthenticated else { return actions.append(.reply(.badSequence("Already authenticated"))) }
        guard isExtended else { return actions.append(.reply(.badSequence("EHLO comes first"))) }
        line.skipSpaces()
        // sasl-mech of RFC 4422 section 3.1: letters, digits, `-` and `_`, of any case here.
        let name = line.take { Ascii.isLetterOrDigit($0) || $0 == Ascii.hyphen || $0 == Ascii.underscore }
        guard (1...SMTPLimits.mechanismOctetsMax).contains(name.count),
            line.isAtEnd || line.current == Ascii.space
        else { return refuse(.syntaxError("AUTH mechanism [initial-response]"), into: &actions) }
        let response = line.rest()
        var initial: SecretOctets?
        if !response.isEmpty {
            guard let octets = response.elementsEqual([Ascii.equals]) ? [] : Base64.decode(response) else {
                return refuse(.notBase64, into: &actions)
            }
            initial = SecretOctets(octets)
        }
        phase = .awaitingLogin
        actions.append(
            .beginAuthentication(mechanism: String(decoding: name, as: UTF8.self), initialResponse: initial))
    }

    /// Takes a line of the exchange.
    /// - Returns: where the next line begins, or `start` when no whole line is there yet.
    mutating func receiveResponse(
        _ bytes: UnsafeRawBufferPointer, from start: Int, into actions: inout [SMTPAction]
    ) -> Int {
        switch responseLines.next(in: bytes, from: start) {
        case .incomplete(let consumed): return consumed
        case .tooLong(let next):
            // RFC 4954 section 4 has 500 for it, section 4.1 5.5.6.
            endAuthentication(
                SMTPReply(500, .init(5, 5, 6), "Authentication exchange line is too long"), into: &actions)
            return next
        case .bad(let next):
            endAuthentication(.notBase64, into: &actions)
            return next
        case .line(let range, let next):
            take(UnsafeRawBufferPointer(rebasing: bytes[range]), into: &actions)
            return next
        }
    }

    private mutating func take(_ line: UnsafeRawBufferPointer, into actions: inout [SMTPAction]) {
        if line.elementsEqual([Ascii.asterisk]) {
            return endAuthentication(SMTPReply(501, .init(5, 7, 0), "Authentication cancelled"), into: &actions)
        }
        guard let octets = Base64.decode(line) else { return endAuthentication(.notBase64, into: &actions) }
        phase = .awaitingLogin
        actions.append(.continueAuthentication(SecretOctets(octets)))
    }

    private mutating func endAuthentication(_ reply: SMTPReply, into actions: inout [SMTPAction]) {
        phase = .command
        actions.append(.cancelAuthentication)
        refuse(reply, into: &actions)
    }

    /// Answers `beginAuthentication` and `continueAuthentication` when the exchange goes on.
    package mutating func loginChallenged(_ challenge: [UInt8], into actions: inout [SMTPAction]) {
        if isClosed { return }
        precondition(phase == .awaitingLogin, "no exchange is under way")
        actions.append(.reply(SMTPReply(334, nil, Base64.encode(challenge))))
        phase = .authenticating
        if let ending { close(ending.reason, ending.reply, into: &actions) }
    }

    /// Answers `beginAuthentication` and `continueAuthentication` when the exchange is over.
    package mutating func loginFinished(_ verdict: SMTPLoginVerdict, into actions: inout [SMTPAction]) {
        if isClosed { return }
        precondition(phase == .awaitingLogin, "no exchange is under way")
        switch verdict {
        case .accepted: isAuthenticated = true
        case .denied:
            loginFailureCount += 1
            if loginFailureCount >= SMTPLimits.loginFailuresMax {
                return close(.tooManyLoginFailures, verdict.reply, into: &actions)
            }
        case .malformed, .unknownMechanism, .encryptionRequired:
            phase = .command
            refuse(verdict.reply, into: &actions)
            if phase == .command { returnToCommands(into: &actions) }
            return
        case .tryLater: break
        }
        actions.append(.reply(verdict.reply))
        returnToCommands(into: &actions)
    }
}
