// AUTH: each message of the exchange goes to SASL; whoever is in has an account, under which it sends.
import Authentication
import Logging
import MailTypes
import SMTP

extension SMTPSession: SASLSession {
    var loginContext: LoginContext { connection.loginContext(.smtp) }

    /// What may be offered on this connection as it is now: at the start, and anew after STARTTLS.
    func refreshMechanisms() {
        guard machine.configuration.dialect == .submission else { return }
        machine.mechanisms = connection.gateway.sasl.mechanisms(loginContext)
    }

    func answered(_ answer: SASLAnswer) {
        guard !machine.isClosed else { return }
        switch answer {
        case .challenge(let octets): act { machine.loginChallenged(octets, into: &actions) }
        case .finished(let login):
            exchange = nil
            let verdict = verdict(on: login)
            act { machine.loginFinished(verdict, into: &actions) }
        case .failed(let failure):
            exchange = nil
            act { machine.loginFinished(failure.verdict, into: &actions) }
        }
    }

    private func verdict(on login: LoginAnswer) -> SMTPLoginVerdict {
        switch login.verdict {
        case .accepted(let account):
            switch connection.logIn(account, credential: login.credential) {
            case .admitted:
                self.account = account
                return .accepted
            case .denied: return .denied
            case .tooMany, .tryLater: return .tryLater
            }
        case .denied:
            connection.denyLogin(isUnheard: login.isUnheard)
            return .denied
        case .tryLater:
            connection.counters.reject(login.isUnheard ? .loginLimit : .temporary)
            return .tryLater
        }
    }
}

extension SASLFailure {
    fileprivate var verdict: SMTPLoginVerdict {
        switch self {
        case .malformed: .malformed
        case .unknownMechanism: .unknownMechanism
        case .encryptionRequired: .encryptionRequired
        }
    }
}
