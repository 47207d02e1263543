import MailCore
import MailTypes

package struct AccountAlias: AdministrationCommand {
    package static let words = "account alias"

    package var address: String
    /// `*@domain` receives what no other address of the domain does.
    package var alias: String
    package var adds: Bool

    package init(address: String, alias: String, adds: Bool) {
        self.address = address
        self.alias = alias
        self.adds = adds
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
        let isCatchAll = alias.hasPrefix("*@")
        guard let other = isCatchAll ? Address(alias) : try session.address(alias) else {
            throw AdministrationFailure("\(alias) is not an address", .usage)
        }
        if adds {
            // A role address that the domain's first account holds by default may be given to another.
            if let owner = try session.engine.read({ try $0.owner(of: other) }), owner != account.id {
                try RoleAddresses.release(other, session)
            }
            _ = try session.perform(account.id, .addAddress(other, isCatchAll ? .catchAll : .alias))
        } else {
            _ = try session.perform(account.id, .removeAddress(other))
        }
        let text = other.directoryKey
        return AdministrationResult(
            adds ? "\(account.address) also receives for \(text)" : "\(account.address) no longer receives for \(text)",
            ["address": .string(account.address), "alias": .string(text), "added": .bool(adds)])
    }
}
