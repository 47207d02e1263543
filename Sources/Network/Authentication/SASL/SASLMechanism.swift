/// The ways to log in, strongest first. The raw values are their registered names.
package enum SASLMechanism: String, CaseIterable, Sendable {
    case scramSHA256Plus = "SCRAM-SHA-256-PLUS"
    case scramSHA1Plus = "SCRAM-SHA-1-PLUS"
    case scramSHA256 = "SCRAM-SHA-256"
    case scramSHA1 = "SCRAM-SHA-1"
    case external = "EXTERNAL"
    case oauthBearer = "OAUTHBEARER"
    case xoauth2 = "XOAUTH2"
    case plain = "PLAIN"
    case login = "LOGIN"

    /// In any case (RFC 4422 section 3.1 has upper case only; clients do otherwise).
    package init?(named name: String) { self.init(rawValue: name.uppercased()) }

    /// Binds the login to the TLS channel.
    var isPlus: Bool { self == .scramSHA256Plus || self == .scramSHA1Plus }

    var isSCRAM: Bool {
        switch self {
        case .scramSHA256Plus, .scramSHA1Plus, .scramSHA256, .scramSHA1: true
        case .external, .oauthBearer, .xoauth2, .plain, .login: false
        }
    }

    /// Whoever reads it can log in with what he read.
    var isPlaintext: Bool {
        switch self {
        case .plain, .login, .oauthBearer, .xoauth2: true
        case .scramSHA256Plus, .scramSHA1Plus, .scramSHA256, .scramSHA1, .external: false
        }
    }

    /// Carries an access token, which a token service judges.
    var isToken: Bool { self == .oauthBearer || self == .xoauth2 }

    /// The client speaks first; without an initial response it is sent an empty challenge (RFC 4422 section 3.2).
    var isClientFirst: Bool { self != .login }
}
