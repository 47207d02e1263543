// What the login commands of all protocols share.
import Authentication
import Logging
import MailCore
import MailTypes
import NIOCore

extension Connection {
    /// What SASL is to know of this connection, as it stands now.
    func loginContext(_ scope: CredentialScopes) -> LoginContext {
        LoginContext(
            scope: scope, source: client.source, isPlaintextAllowed: isPlaintextAllowed, channel: loginChannel)
    }

    private var loginChannel: LoginChannel? {
        guard isSecure else { return nil }
        return LoginChannel(
            exporter: channelBinding(.exporter), serverEndPoint: channelBinding(.serverEndPoint),
            certificateAddresses: tlsInfo?.clientCertificate?.mailAddresses ?? [])
    }

    /// A completion for SASL: hands `body` the answer on this connection's loop, once its delay is over.
    func answeringLogin(_ body: @escaping (SASLAnswer) -> Void) -> @Sendable (SASLAnswer) -> Void {
        answering { [self] (answer: SASLAnswer) in
            guard case .finished(let login) = answer, login.wait > .zero else { return body(answer) }
            after(login.wait) { body(answer) }
        }
    }

    /// Enters this session under its account. To be asked when the password has been found good; the client hears
    /// nothing before.
    ///
    /// - Parameter credential: the one that was good; the session ends when it is revoked.
    func logIn(_ account: AccountID, credential: UInt32?) -> LoginAdmission {
        let admission = gateway.admit(card, SessionCard.Login(account: account, credential: credential))
        switch admission {
        case .admitted:
            counters.loginsAccepted.add()
            log.info("logged in", metadata: ["account": "\(account.rawValue)", "client": "\(client.description)"])
        case .tooMany:
            counters.reject(.accountLimit)
            gateway.notices.say(
                .loginRefused, log, ["client": "\(client.description)", "account": "\(account.rawValue)"])
        case .denied: denyLogin(isUnheard: false)
        case .tryLater: counters.reject(.temporary)
        }
        return admission
    }

    /// Counts and logs a login that was refused.
    ///
    /// - Parameter isUnheard: for its failures before, without a look at the password.
    func denyLogin(isUnheard: Bool) {
        counters.loginsDenied.add()
        if isUnheard { counters.reject(.loginLimit) }
        gateway.notices.say(isUnheard ? .loginBlocked : .loginDenied, log, ["client": "\(client.description)"])
    }

    /// The session goes on without its account.
    func logOut() { gateway.registry.logOut(card) }
}
