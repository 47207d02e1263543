// Who stands behind a login name, and which of the account's credentials come into question.
import Digests
import MailCore
import MailEngine
import MailTypes

struct LoginSubject: Sendable {
    /// Nil when nobody has that name.
    var account: AccountID?
    /// The account may log in.
    var isActive = false
    /// Those of the label that was named, or all.
    var credentials: [CredentialRow] = []
    /// Those of them that open this protocol today.
    var usable: [CredentialRow] = []

    /// The one whose verifiers SCRAM offers: usable before unusable, the main one before others, the newest of those.
    /// An unusable one is offered too, and refused at the end: what the client sees must not depend on a status.
    var scramCandidate: CredentialRow? {
        func rank(_ row: CredentialRow) -> (Int, Int, UInt32) {
            (usable.contains { $0.id == row.id } ? 1 : 0, row.label == Self.mainLabel ? 1 : 0, row.id)
        }
        return credentials.filter { $0.scheme == .scram }.max { rank($0) < rank($1) }
    }

    /// The label of the credential that `account passwd` sets.
    static let mainLabel = "password"
}

extension MailEngine {
    /// Reads what is known of a name: some microseconds.
    func loginSubject(_ name: LoginName?, _ scope: CredentialScopes) throws -> LoginSubject {
        guard let name else { return LoginSubject() }
        let now = clock()
        return try read { state in
            guard let owner = try state.owner(of: name.address),
                let head = try state.head(owner), head.status != .removed
            else { return LoginSubject() }
            let credentials = try state.credentials(owner).filter { name.label == nil || $0.label == name.label }
            let usable = credentials.filter {
                $0.scopes.isSuperset(of: scope) && ($0.expires.map { $0 > now } ?? true)
            }
            return LoginSubject(
                account: owner, isActive: head.status == .active, credentials: credentials, usable: usable)
        }
    }
}

/// Verifiers of passwords that nobody knows, for names that nobody has: the same for a name as long as the key is.
struct DecoyVerifiers: Sendable {
    /// 32 octets that no one else knows.
    let key: [UInt8]
    let iterations: Int

    func verifier(_ algorithm: DigestAlgorithm, for name: String) -> ScramVerifier {
        let label = Array("\(algorithm.rawValue) \(name.lowercased())".utf8)
        func seed(_ use: UInt8) -> [UInt8] { HMACDigest.code(.sha256, key: key, message: [use] + label) }
        let verifier = ScramVerifier(
            algorithm: algorithm, iterations: iterations,
            salt: Array(seed(0).prefix(AuthenticationLimits.saltOctets)),
            storedKey: Array(seed(1).prefix(algorithm.octets)), serverKey: Array(seed(2).prefix(algorithm.octets)))
        guard let verifier else { preconditionFailure("the limits of this room make a valid verifier") }
        return verifier
    }
}
