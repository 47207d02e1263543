// LOGIN (RFC 9051 section 6.2.3): the password is checked on other threads; a failure is answered late, not at once.
import Authentication
import IMAP
import Logging
import MailEngine
import MailTypes
import NIOCore

extension IMAPSession {
    func logIn(_ credentials: IMAPCredentials) {
        let answer = connection.answering { [self] (answer: LoginAnswer) in
            let wait = answer.wait
            guard wait > .zero else { return decided(answer) }
            connection.after(wait) { [self] in decided(answer) }
        }
        connection.gateway.authenticator.logIn(
            credentials.user, password: credentials.password, scope: .imap, from: connection.client.source,
            completion: answer)
    }

    func decided(_ answer: LoginAnswer) {
        guard !isOver else { return }
        switch answer.verdict {
        case .accepted(let account):
            switch connection.logIn(account, credential: answer.credential) {
            case .admitted: accepted(account)
            case .denied: act { machine.loginFinished(.failure, into: &actions) }
            case .tooMany: act { machine.loginFinished(.limited, into: &actions) }
            case .tryLater: act { machine.loginFinished(.temporary, into: &actions) }
            }
        case .denied:
            connection.denyLogin(isUnheard: answer.isUnheard)
            act { machine.loginFinished(.failure, into: &actions) }
        case .tryLater:
            connection.counters.reject(answer.isUnheard ? .loginLimit : .temporary)
            act { machine.loginFinished(.temporary, into: &actions) }
        }
    }

    func accepted(_ account: AccountID) {
        let setting: String?
        do {
            setting = try engine.read { try $0.setting(account, DisabledCapabilities.settingKey) }
        } catch {
            connection.log.error("the account's settings cannot be read", metadata: ["error": "\(error)"])
            connection.logOut()
            return act { machine.loginFinished(.temporary, into: &actions) }
        }
        self.account = account
        let hidden = DisabledCapabilities.capabilities(setting)
        act { machine.loginFinished(.success(hidden: hidden), into: &actions) }
    }

    func identified(_ fields: [IMAPIDField]) {
        let said = fields.compactMap { field in field.value.map { "\(field.name)=\($0)" } }.joined(separator: " ")
        clientName = String(said.prefix(GatewayLimits.imapClientNameMax))
        connection.log.info("client says it is", metadata: ["id": "\(clientName)"])
    }

    /// UNAUTHENTICATE (RFC 8437): as if the client had just connected.
    func unauthenticate() {
        leaveMailbox()
        connection.logOut()
        account = nil
        keywords = []
        clientName = ""
        isRecorded = false
        finish(.ok("Log in again"))
    }
}
