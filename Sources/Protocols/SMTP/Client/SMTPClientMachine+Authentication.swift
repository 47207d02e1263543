import Octets

/// Where the login at a smart host stands (RFC 4954).
enum SMTPAuthStep: Equatable, Sendable {
    case plain
    /// AUTH LOGIN was said; the name is asked for.
    case loginName
    case loginPassword
    case loginDone
    /// The server's first message comes next.
    case scramFirst
    /// The server's proof comes next.
    case scramProof
    /// It was right; the end comes next.
    case scramDone
}

extension SMTPClientMachine {
    /// The strongest mechanism that is offered: SCRAM, which shows the password to nobody, before PLAIN and LOGIN.
    mutating func beginAuthentication(into actions: inout [SMTPClientAction]) {
        guard let credentials = configuration.credentials, isEncrypted || configuration.isLineSafe else {
            return close(.noTLS, into: &actions)
        }
        scram = configuration.scramNonce.flatMap {
            SMTPScramExchange(
                Set(features.mechanisms), user: credentials.user, nonce: $0, binding: isEncrypted ? channelBinding : nil
            )
        }
        if let scram {
            let first = Base64.encode(Array(scram.first.utf8))
            say("AUTH \(scram.mechanism) \(first)", .auth(.scramFirst), into: &actions)
        } else if features.mechanisms.contains("PLAIN") {
            // RFC 4616: no authorization identity, the name, the password.
            let message = [0] + Array(credentials.user.utf8) + [0] + Array(credentials.password.utf8)
            say("AUTH PLAIN \(Base64.encode(message))", .auth(.plain), into: &actions)
        } else if features.mechanisms.contains("LOGIN") {
            say("AUTH LOGIN", .auth(.loginName), into: &actions)
        } else {
            close(.noMechanism, into: &actions)
        }
    }

    mutating func authenticated(
        _ reply: SMTPServerReply, _ step: SMTPAuthStep, into actions: inout [SMTPClientAction]
    ) {
        guard let credentials = configuration.credentials else { return close(.malformed, into: &actions) }
        switch (step, reply.code) {
        case (.plain, 235), (.loginDone, 235), (.scramDone, 235):
            isAuthenticated = true
            scram = nil
            becomeReady(into: &actions)
        case (.loginName, 334):
            say(Base64.encode(Array(credentials.user.utf8)), .auth(.loginPassword), into: &actions)
        case (.loginPassword, 334):
            say(Base64.encode(Array(credentials.password.utf8)), .auth(.loginDone), into: &actions)
        case (.scramFirst, 334):
            guard let message = Self.message(reply), let challenge = scram?.challenge(message) else {
                return close(.unproved, into: &actions)
            }
            actions.append(.prove(challenge))
        case (.scramProof, 334):
            guard let message = Self.message(reply), scram?.accepts(message) == true else {
                return close(.unproved, into: &actions)
            }
            // RFC 4954 section 4: the answer to a challenge that asks for nothing.
            say("", .auth(.scramDone), into: &actions)
        case (.scramFirst, 235), (.scramProof, 235):
            // RFC 5802 section 3: who lets us in without a proof does not know the password.
            close(.unproved, into: &actions)
        default:
            close(.refused(reply), into: &actions)
        }
    }

    /// Answers `prove`; nil where the proof could not be made.
    package mutating func proved(_ proof: SMTPScramProof?, into actions: inout [SMTPClientAction]) {
        guard phase == .busy, awaited.isEmpty, let last = proof.flatMap({ scram?.last($0) }) else {
            return close(.disconnected, into: &actions)
        }
        say(Base64.encode(Array(last.utf8)), .auth(.scramProof), into: &actions)
    }

    private static func message(_ reply: SMTPServerReply) -> String? {
        guard let octets = Base64.decode(Array(reply.text.utf8)) else { return nil }
        return String(validating: octets, as: UTF8.self)
    }
}
