// What the login commands of all protocols share.
import Authentication
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
}
