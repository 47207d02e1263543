import MailCore

/// `account disable` and `account enable`: mail stays, logins and deliveries are refused meanwhile.
package struct AccountSetStatus: AdministrationCommand {
    package static let words = "account status"

    package var address: String
    package var enabled: Bool

    package init(address: String, enabled: Bool) {
        self.address = address
        self.enabled = enabled
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
        _ = try session.perform(account.id, .setStatus(enabled ? .active : .disabled))
        return AdministrationResult(
            "\(account.address) is \(enabled ? "enabled" : "disabled")",
            ["address": .string(account.address), "status": .string(enabled ? "active" : "disabled")])
    }
}
