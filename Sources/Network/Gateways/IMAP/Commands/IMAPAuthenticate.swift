// AUTHENTICATE (RFC 9051 section 6.2.2): each message of the exchange goes to SASL, and what it came to is decided like a
// LOGIN.
import Authentication
import IMAP
import MailTypes

extension IMAPSession: SASLSession {
    var loginContext: LoginContext { connection.loginContext(.imap) }

    func answered(_ answer: SASLAnswer) {
        guard !isOver else { return }
        switch answer {
        case .challenge(let octets): act { machine.challenge(octets, into: &actions) }
        case .finished(let login):
            exchange = nil
            decided(login)
        case .failed(let failure):
            exchange = nil
            act { machine.loginFinished(failure.result, into: &actions) }
        }
    }
}

extension SASLFailure {
    fileprivate var result: IMAPLoginResult {
        switch self {
        case .malformed: .malformed
        case .unknownMechanism, .encryptionRequired: .unknownMechanism
        }
    }
}
