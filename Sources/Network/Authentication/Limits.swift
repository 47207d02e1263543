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
    /// Entries of each table in which failures are remembered.
    package static let ledgerEntriesMax = 10_000
    /// Networks from which one name is known to have logged in.
    package static let knownPlacesMax = 8
    /// The name of a channel binding, in octets; those registered have up to 20.
    static let bindingNameOctetsMax = 64
    /// A message of a SASL exchange, in octets: what 12,288 octets of base64 hold (RFC 4954 section 4).
    package static let messageOctetsMax = 9_216
    /// The same in base64.
    package static let messageTextOctetsMax = 12_288
    /// Addresses of a client certificate that are looked up.
    static let certificateNamesMax = 16
    /// Messages of a client in one exchange; the longest mechanism takes three.
    static let messagesMax = 8
    /// Accounts whose last good login is remembered.
    package static let cacheEntriesMax = 10_000
}

/// What an operator or a test may set.
package struct AuthenticationOptions: Sendable {
    /// Threads that derive keys; each login costs one of them some milliseconds.
    package var threads = 2
    /// Logins waiting for a thread, of each rank; one more is told to try later.
    package var pendingMax = 256
    /// How long the answer after the first failure is held back. It doubles with each further one.
    package var delayFirst = TimeAmount.milliseconds(500)
    package var delayMax = TimeAmount.seconds(15)
    /// Failures of one name from one network after which that name is refused there without a look at the password.
    package var failuresMax = 20
    /// The same over all names from one IPv4 address or 64 bits of IPv6...
    package var neighbourhoodFailuresMax = 100
    /// ...and from 24 bits of IPv4 or 48 bits of IPv6.
    package var districtFailuresMax = 1_000
    /// Failures of one name from anywhere after which its logins are slowed everywhere but where it is known...
    package var nameFailuresMax = 200
    /// ...by that much.
    package var nameDelay = TimeAmount.seconds(5)
    /// One failure is forgiven after each such span, in each of these counts.
    package var forgivenessPeriod = TimeAmount.seconds(30)
    /// How long a network from which a name has logged in is known to it.
    package var knownLifetime = TimeAmount.hours(24 * 30)
    /// The longest that answers to a name are held back where it is known.
    package var knownDelayMax = TimeAmount.seconds(2)
    /// From that many failures of a name from a network on, `slotsMax` answers to it are held back at a time.
    package var slotsFromFailures = 5
    package var slotsMax = 4
    /// How long a good login is answered without deriving keys anew.
    package var cacheLifetime = TimeAmount.seconds(60)

    /// SASL exchanges under way at a time, in all connections; one more is told to try later.
    package var exchangesMax = 4_096
    /// The mechanisms that may be offered; which are, depends on the connection too.
    package var mechanisms = Set(SASLMechanism.allCases)

    package init() {}
}
