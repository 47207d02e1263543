import MailCore
import Projections

/// `account maildir`: whether an account's Maildir follows the state, takes others' changes too, or is left alone.
package struct AccountSetMaildir: AdministrationCommand {
    package static let words = "account maildir"

    package var address: String
    /// Nil leaves it as it is.
    package var mode: String?

    package init(address: String, mode: String?) {
        self.address = address
        self.mode = mode
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
        let key = MaildirProjection.settingKey
        var current = MaildirMode(setting: try session.engine.read { try $0.setting(account.id, key) })
        if let mode {
            guard let wanted = MaildirMode(rawValue: mode) else {
                throw AdministrationFailure("\(mode) is not one-way, two-way or off", .usage)
            }
            if wanted != current {
                let value = wanted == .oneWay ? nil : wanted.rawValue
                _ = try session.perform(account.id, .setSetting(key: key, value: value))
            }
            current = wanted
        }
        if current != .off, !session.configuration.maildir.enabled {
            try session.note("maildir.enabled is false, so this has no effect yet")
        }
        return AdministrationResult(
            "\(account.address): the Maildir is \(current.rawValue)",
            ["address": .string(account.address), "maildir": .string(current.rawValue)], isAnswer: mode == nil)
    }
}
