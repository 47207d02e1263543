import Authentication

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

    private static let tooLong = AdministrationFailure(
        "the password is longer than \(ServerLimits.passwordOctetsMax) octets", .usage)
}
