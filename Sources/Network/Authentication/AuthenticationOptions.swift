import NIOCore

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
