import Authentication
import Digests
import NIOCore
import Projections
import SMTP
import TLS

/// What the site says about its gateways. Every default is what a first run gets.
package struct GatewayOptions: Sendable {
    /// The name of this host in greetings and `Received`: a domain, printable ASCII.
    package var hostName: String
    /// Belongs to login names without `@` and to `<postmaster>`.
    package var defaultDomain: String
    /// Domains that are ours beside those that have a postmaster or a catch-all, in lower case. It decides what an
    /// unknown address is told, never that one is taken.
    package var isLocalDomain: @Sendable (String) -> Bool = { _ in false }

    /// What becomes of the detail in `user+detail`.
    package var detail = DetailDelivery.inbox
    /// What may be sent to other hosts.
    package var sending = SendingOptions()
    /// Peers that speak the PROXY protocol on the listeners for mail: they must, and are believed.
    package var proxyFrom = TrustedPeers()

    /// Mail systems on the listeners for SMTP and LMTP that are believed when they say for whom they speak (XCLIENT) and
    /// where a message came from (XFORWARD).
    package var clientsFrom = TrustedPeers()

    /// Connections to all listeners together but HTTP's.
    package var connectionsMax = 4_000
    /// Those of them from one address: an IPv4 address, or the 64 leading bits of an IPv6 address. Unix sockets do not
    /// count.
    package var connectionsPerAddressMax = 500
    /// Those from one network: the 24 leading bits of an IPv4 address, the 48 of an IPv6 address. This machine's own
    /// addresses do not count.
    package var connectionsPerNetworkMax = 2_000
    /// Sessions that are logged in to one account.
    package var sessionsPerAccountMax = 100
    /// Connections to the HTTP listeners.
    package var httpConnectionsMax = 100

    /// RFC 5321 section 4.5.3.2.7.
    package var smtpCommandSilenceMax = TimeAmount.minutes(5)
    /// RFC 5321 section 4.5.3.2.5.
    package var smtpBodySilenceMax = TimeAmount.minutes(3)
    /// RFC 1939 section 3 asks for at least ten minutes.
    package var pop3SilenceMax = TimeAmount.minutes(10)
    /// RFC 9051 section 5.4 asks for at least 30 minutes after login, also in IDLE.
    package var imapSilenceMax = TimeAmount.minutes(30)
    /// Before login.
    package var imapLoginSilenceMax = TimeAmount.minutes(3)
    package var httpSilenceMax = TimeAmount.seconds(30)
    /// How long a client may take to read what is left when its session is over.
    package var closingMax = TimeAmount.seconds(30)

    /// What is asked about messages from elsewhere.
    package var checks = InboundCheckOptions()

    /// Filters that judge and change mail, in their order.
    package var milters: [MilterOptions] = []

    /// Certificates and what goes with them; nil offers no TLS, and then no listener is opened that other machines reach.
    package var tls: TLSServer?
    /// How long a client may take for its handshake.
    package var tlsHandshakeMax = TimeAmount.seconds(TLSLimits.handshakeSecondsMax)

    /// The size limit of a message, in octets. The engine's own limit must not be below.
    package var messageOctetsMax = SMTPLimits.messageOctetsDefault
    package var recipientsMax = SMTPLimits.recipientsMax
    package var bareLineEnds = BareLineEndPolicy.refuse

    /// Event loops; 0 is one for each processor, at most 8.
    package var eventLoops = 0
    /// Threads that read and write files of large messages.
    package var fileThreads = 2
    /// Threads that read listings and searches of IMAP.
    package var readThreads = 2
    /// Permissions of a Unix socket.
    package var unixSocketMode: UInt32 = 0o660
    package var authentication = AuthenticationOptions()
    /// How often an idle client of IMAP hears something.
    package var imapKeepAliveEvery = GatewayLimits.imapKeepAliveEvery
    /// What one SORT or THREAD may hold.
    package var imapSortOctetsMax = GatewayLimits.imapSortOctetsMax
    /// By which long reading is cut into slices and tells how far it is. Any thread asks it.
    package var readingClock: @Sendable () -> NIODeadline = { .now() }
    /// What is known of messages that were parsed before.
    package var cache = MessageCache()
    /// 32 random octets that stay the same over restarts; see `PasswordAuthenticator`.
    package var loginKey = randomBytes(count: 32)
    /// Keeps passwords of accounts beside their own credentials.
    package var externalPasswords: ExternalPasswords?
    /// Judges access tokens; without it no mechanism with them is offered.
    package var tokens: (any TokenService)?

    package init(hostName: String, defaultDomain: String) {
        self.hostName = hostName
        self.defaultDomain = defaultDomain.lowercased()
    }
}

/// Where mail to `user+detail@domain` goes (RFC 5233).
package enum DetailDelivery: String, CaseIterable, Sendable {
    /// To the INBOX of `user@domain`.
    case inbox
    /// To its mailbox of the detail's name, when there is one; else to INBOX.
    case folder
    /// Nowhere: the plus is a character as any other.
    case off
}
