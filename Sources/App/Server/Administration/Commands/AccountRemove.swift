import MailCore
import MailTypes

package struct AccountRemove: AdministrationCommand {
    package static let words = "account remove"

    package var address: String

    package init(address: String) { self.address = address }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
        _ = try session.perform(account.id, .removeAccount)
        // The roles it held go to another account of the domain: mail to postmaster must arrive.
        var heirText = ""
        if let domain = Address(account.address)?.domain, let heir = try RoleAddresses.heir(of: domain, session) {
            let roles = try RoleAddresses.claim(heir, domain: domain, session)
            let name = try session.engine.read { try $0.primaryAddress(heir) }
            if !roles.isEmpty, let name { heirText = "; \(name) now receives for \(roles.joined(separator: ", "))" }
        }
        return AdministrationResult(
            "\(account.address) is removed; its history stays in the log" + heirText,
            ["address": .string(account.address), "status": "removed"])
    }
}
