import NIOCore

/// Every bound of this room, in one place.
package enum AuthenticationLimits {
    /// Rounds of HMAC in a new verifier. RFC 7677 section 4 asks for at least 4,096; more costs every login.
    package static let iterationsDefault = 10_000
    /// Salt of a new verifier, in octets.
    package static let saltOctets = 16
    /// A login name, in octets: local part, `@` and domain of RFC 5321 section 4.5.3.1.
    package static let loginOctetsMax = 320
    /// A password, in octets, before and after preparation.
    package static let passwordOctetsMax = 512
    /// Verifiers looked at in one login.
    package static let verifiersPerLoginMax = 16
    /// Addresses whose failures are remembered.
    package static let ledgerEntriesMax = 10_000
    /// Accounts whose last good login is remembered.
    package static let cacheEntriesMax = 10_000
}

/// What an operator or a test may set.
package struct AuthenticationOptions: Sendable {
    /// Threads that derive keys; each login costs one of them some milliseconds.
    package var threads = 2
    /// Logins waiting for a thread; one more is told to try later.
    package var pendingMax = 256
    /// How long the answer after the first failure of an address is held back. It doubles with each further one.
    package var delayFirst = TimeAmount.milliseconds(500)
    package var delayMax = TimeAmount.seconds(15)
    /// Failures of one address after which its logins are refused without a look at the password.
    package var failuresMax = 20
    /// One failure of an address is forgiven after each such span.
    package var forgivenessPeriod = TimeAmount.seconds(30)
    /// How long a good login is answered without deriving keys anew.
    package var cacheLifetime = TimeAmount.seconds(60)

    package init() {}
}
