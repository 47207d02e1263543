// Ends sessions whose account or credential is no longer what let them in.
//
// The engine tells after every commit which accounts' status or credentials changed; what they are now is read from the
// state. A login checks once more after it was entered, so that a change between the look at the password and the entry
// is seen by one of the two.
import Logging
import MailCore
import MailEngine
import MailTypes

/// What a login comes to beyond its password.
enum LoginAdmission: Equatable, Sendable {
    case admitted
    /// The account has as many sessions as it may.
    case tooMany
    /// The account or credential changed while the login was on its way.
    case denied
    /// The state could not be read.
    case tryLater
}

extension GatewayContext {
    /// Enters a session that has shown who it is.
    func admit(_ card: SessionCard, _ login: SessionCard.Login) -> LoginAdmission {
        guard registry.logIn(card, login) else { return .tooMany }
        do {
            guard let end = try end(of: login) else { return .admitted }
            log.info("login came too late", metadata: ["why": "\(end)"])
            registry.logOut(card)
            return .denied
        } catch {
            registry.logOut(card)
            return .tryLater
        }
    }

    /// Looks at the sessions of accounts whose status or credentials changed. Reads the state: not for an event loop.
    func endSessions(of accounts: [AccountID]) {
        for account in accounts {
            for card in registry.sessions(of: account) {
                guard let login = card.login, login.account == account else { continue }
                do {
                    if let end = try end(of: login) { card.tell(.end(end)) }
                } catch {
                    // Whether it may stay cannot be told, so it may not.
                    log.error("an account cannot be read", metadata: ["error": "\(error)"])
                    card.tell(.end(.accountClosed))
                }
            }
        }
    }

    /// Why a session with that login may not go on; nil when it may.
    private func end(of login: SessionCard.Login) throws -> SessionEnd? {
        try engine.read { state in
            guard let head = try state.head(login.account), head.status == .active else { return .accountClosed }
            guard let credential = login.credential else { return nil }
            let isThere = try state.credentials(login.account).contains { $0.id == credential }
            return isThere ? nil : .credentialRevoked
        }
    }
}
