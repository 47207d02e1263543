import NIOCore
import SMTP

/// Where all mail for other hosts goes, instead of by MX.
package struct SmartHost: Sendable {
    package var host: String
    package var port: Int
    package var tls: SMTPClientTLS
    /// TLS from the first octet (RFC 8314).
    package var isImplicitTLS: Bool
    /// Its certificate has to be its own, from an authority that this machine trusts.
    package var verifies: Bool
    package var credentials: SMTPClientCredentials?

    package init(
        host: String, port: Int, tls: SMTPClientTLS = .opportunistic, isImplicitTLS: Bool = false,
        verifies: Bool = false,
        credentials: SMTPClientCredentials? = nil
    ) {
        self.host = host
        self.port = port
        self.tls = tls
        self.isImplicitTLS = isImplicitTLS
        self.verifies = verifies
        self.credentials = credentials
    }
}

/// What an operator may set. The defaults are those of RFC 5321 section 4.5.4.
package struct DeliveryOptions: Sendable {
    /// Messages are taken from the queue; otherwise they wait in it.
    package var isOn = true
    /// Our name in EHLO, Received and reports.
    package var hostName: String
    package var smartHost: SmartHost?
    /// The port of other hosts.
    package var port = 25
    /// Of connections to one destination.
    package var connectionsPerDestinationMax = 4
    package var connectionsMax = 50
    /// Messages being worked on at once.
    package var messagesMax = 200
    /// Until the second attempt; it doubles up to `retryMax`.
    package var retryFirst = TimeAmount.minutes(5)
    package var retryMax = TimeAmount.hours(4)
    /// A message that cannot be delivered for so long goes back.
    package var lifetime = TimeAmount.hours(120)
    /// The sender is told once that a message waits.
    package var warnAfter = TimeAmount.hours(4)
    package var connectTimeout = TimeAmount.seconds(30)
    /// An idle connection is kept for another message.
    package var idleMax = TimeAmount.seconds(5)
    /// A host that could not be reached, or refused to talk, is left alone for so long.
    package var hostRest: TimeAmount { min(.seconds(DeliveryLimits.hostRestSeconds), retryFirst) }
    /// Nil where the node has no TLS.
    package var makeTLSHandler: ClientTLSMaker?

    /// A number used once, for a login: printable ASCII without commas, that nobody can guess.
    package var makeNonce: @Sendable () -> String? = { nil }

    /// Random numbers, to spread load over equal hosts.
    package var draw: @Sendable () -> UInt64

    package init(hostName: String, draw: @escaping @Sendable () -> UInt64) {
        self.hostName = hostName
        self.draw = draw
    }

    /// How long after its `attempts`-th attempt a message is tried again.
    package func retryDelay(afterAttempts attempts: Int) -> TimeAmount {
        let doublings = min(max(attempts - 1, 0), 20)
        return min(retryMax, .nanoseconds(retryFirst.nanoseconds.multipliedReportingOverflow(by: 1 << doublings).0))
    }

    /// The attempt after which the sender is told of the delay: the first whose next try lies behind `warnAfter`. It
    /// follows from the number of attempts, so that a restart tells it neither twice nor never.
    package var attemptsBeforeWarning: Int {
        var attempts = 1
        var elapsed = TimeAmount.zero
        while attempts < 1_000 {
            elapsed = elapsed + retryDelay(afterAttempts: attempts)
            if elapsed >= warnAfter { return attempts }
            attempts += 1
        }
        return attempts
    }
}
