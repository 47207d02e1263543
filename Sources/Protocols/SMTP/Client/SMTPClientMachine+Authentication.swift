import Octets

/// Where the login at a smart host stands (RFC 4954).
enum SMTPAuthStep: Equatable, Sendable {
    case plain
    /// AUTH LOGIN was said; the name is asked for.
    case loginName
    case loginPassword
    case loginDone
}

extension SMTPClientMachine {
    mutating func beginAuthentication(into actions: inout [SMTPClientAction]) {
        guard let credentials = configuration.credentials, isEncrypted || configuration.isLineSafe else {
            return close(.noTLS, into: &actions)
        }
        if features.mechanisms.contains("PLAIN") {
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
        case (.plain, 235), (.loginDone, 235):
            isAuthenticated = true
            becomeReady(into: &actions)
        case (.loginName, 334):
            say(Base64.encode(Array(credentials.user.utf8)), .auth(.loginPassword), into: &actions)
        case (.loginPassword, 334):
            say(Base64.encode(Array(credentials.password.utf8)), .auth(.loginDone), into: &actions)
        default:
            close(.refused(reply), into: &actions)
        }
    }
}
