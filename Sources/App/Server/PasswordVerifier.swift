import Authentication
import MailCore

/// Makes of a password what the store keeps of it.
///
/// It runs in the process that was given the password, so that only the verifier travels to a node.
package enum PasswordVerifier {
    /// - Parameter password: UTF-8, 1...`ServerLimits.passwordOctetsMax` octets.
    /// - Throws: a failure that does not repeat the password.
    package static func make(_ password: [UInt8]) throws(AdministrationFailure) -> String {
        guard !password.isEmpty else { throw AdministrationFailure("the password is empty", .usage) }
        guard password.count <= ServerLimits.passwordOctetsMax else { throw Self.tooLong }
        guard let text = String(validating: password, as: UTF8.self) else {
            throw AdministrationFailure("the password is not UTF-8", .usage)
        }
        do {
            return try ScramCredential.make(text)
        } catch {
            switch error {
            case .tooLong: throw Self.tooLong
            case .unsuitable:
                throw AdministrationFailure("the password holds a control or unassigned character", .usage)
            case .iterations: throw AdministrationFailure("no verifier could be made")
            }
        }
    }

    /// What `account import` reads in the place of a password: a password, or a hash of crypt(5) that begins with its
    /// scheme, such as `{CRYPT}$y$...`, or `{SASL}`.
    package static func makeImported(_ text: String) throws(AdministrationFailure) -> String {
        if text.hasPrefix("{SASL}") { return external }
        switch CryptHash.parse(text) {
        case nil: return try make(Array(text.utf8))
        case .success(let hash)?: return hashMark + hash
        case .failure?:
            throw AdministrationFailure(
                "the hash is not taken: it is none of yescrypt, bcrypt, SHA-512 or SHA-256, or too dear", .usage)
        }
    }

    /// In the place of a verifier: saslauthd keeps the password.
    package static let external = "{SASL}"

    /// Tells a hash of crypt(5) from verifiers on its way to the node.
    private static let hashMark = "{CRYPT}"

    /// The credential of a verifier text that was made here.
    static func credential(_ verifier: String) throws(AdministrationFailure) -> NewCredential {
        if verifier == external { return NewCredential(scheme: .external, verifier: "") }
        guard verifier.hasPrefix(hashMark) else { return NewCredential(verifier: verifier) }
        let hash = String(verifier.dropFirst(hashMark.count))
        guard CryptHash.isTaken(hash) else { throw AdministrationFailure("the hash is not taken", .usage) }
        return NewCredential(scheme: .crypt, verifier: hash)
    }

    private static let tooLong = AdministrationFailure(
        "the password is longer than \(ServerLimits.passwordOctetsMax) octets", .usage)
}
