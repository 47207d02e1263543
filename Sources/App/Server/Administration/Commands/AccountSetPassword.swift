import MailCore

package struct AccountSetPassword: AdministrationCommand {
    package static let words = "account passwd"

    package var address: String
    /// From `PasswordVerifier.make`: the password itself does not travel.
    package var verifier: String

    package init(address: String, verifier: String) {
        self.address = address
        self.verifier = verifier
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
        _ = try session.perform(account.id, .setCredential(NewCredential(verifier: verifier)))
        return AdministrationResult("the password of \(account.address) is set", ["address": .string(account.address)])
    }
}

extension AccountSetPassword: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "AccountSetPassword(\(address), redacted)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}
