// AUTHENTICATE (RFC 9051 section 6.2.2): each message of the exchange goes to SASL, and what it came to is decided like a
// LOGIN.
import Authentication
import IMAP
import MailTypes

extension IMAPSession {
    func authenticate(_ mechanism: String, _ response: [UInt8]?) {
        exchange = connection.gateway.sasl.begin(
            mechanism, initialResponse: response, context: connection.loginContext(.imap),
            completion: connection.answeringLogin { [self] in answered($0) })
    }

    func authenticationContinues(_ response: [UInt8]) {
        exchange?.step(response, completion: connection.answeringLogin { [self] in answered($0) })
    }

    func authenticationCancelled() {
        exchange?.cancel()
        exchange = nil
    }

    private func answered(_ answer: SASLAnswer) {
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
