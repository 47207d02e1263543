// AUTH: each message of the exchange goes to SASL, and what it came to is decided like a PASS.
import Authentication
import MailTypes
import POP3

extension POP3Session: SASLSession {
    var loginContext: LoginContext { connection.loginContext(.pop3) }

    /// What may be offered on this connection as it is now: at the start, and anew after STLS.
    func refreshMechanisms() {
        machine.mechanisms = connection.gateway.sasl.mechanisms(loginContext)
    }

    func answered(_ answer: SASLAnswer) {
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
