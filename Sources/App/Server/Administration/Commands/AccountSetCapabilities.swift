import Gateways
import MailCore

/// `account capabilities`: what of IMAP an account is not offered, for clients that cannot cope with it.
package struct AccountSetCapabilities: AdministrationCommand {
    package static let words = "account capabilities"

    package var address: String
    /// Names as CAPABILITY has them; empty offers all again, nil leaves it as it is.
    package var without: [String]?

    package init(address: String, without: [String]?) {
        self.address = address
        self.without = without
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
        let key = DisabledCapabilities.settingKey
        if let without {
            let names = try without.map { text in
                guard let name = DisabledCapabilities.name(text) else {
                    throw AdministrationFailure("\(text) is no capability of IMAP that can be left out")
                }
                return name
            }
            let value = Set(names).sorted().joined(separator: " ")
            _ = try session.perform(account.id, .setSetting(key: key, value: value.isEmpty ? nil : value))
        }
        let setting = try session.engine.read { try $0.setting(account.id, key) } ?? ""
        let left = setting.split(separator: " ").map(String.init)
        return AdministrationResult(
            "\(account.address): " + (left.isEmpty ? "all of IMAP" : "IMAP without \(left.joined(separator: ", "))"),
            ["address": .string(account.address), "without": .array(left.map { .string($0) })],
            isAnswer: without == nil)
    }
}
