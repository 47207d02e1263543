// AUTH: each message of the exchange goes to SASL, and what it came to is decided like a PASS.
import Authentication
import MailTypes
import POP3

extension POP3Session {
    /// What may be offered on this connection as it is now: at the start, and anew after STLS.
    func refreshMechanisms() {
        machine.mechanisms = connection.gateway.sasl.mechanisms(connection.loginContext(.pop3))
    }

    func beginAuthentication(_ mechanism: String, _ initialResponse: SecretOctets?) {
        exchange = connection.gateway.sasl.begin(
            mechanism, initialResponse: initialResponse?.octets, context: connection.loginContext(.pop3),
            completion: connection.answeringLogin { [self] in answered($0) })
    }

    func continueAuthentication(_ response: SecretOctets) {
        exchange?.step(response.octets, completion: connection.answeringLogin { [self] in answered($0) })
    }

    func cancelAuthentication() {
        exchange?.cancel()
        exchange = nil
    }

    private func answered(_ answer: SASLAnswer) {
        guard !machine.isClosed else { return }
        switch answer {
        case .challenge(let octets): act { machine.loginChallenged(octets, into: &actions) }
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
    fileprivate var result: POP3LoginResult {
        switch self {
        case .malformed: .malformed
        case .unknownMechanism: .unknownMechanism
        case .encryptionRequired: .encryptionRequired
        }
    }
}
