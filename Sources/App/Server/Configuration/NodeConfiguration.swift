// What a site can say about its node. Every field has the default of a first run.
import Gateways
import MailCore
import MailEngine
import MailTypes
import TLS

package struct NodeConfiguration: Sendable {
    /// The store's directory; nil when neither file, environment nor command line names one.
    package var store: String?
    /// The domain a login name without `@` gets; nil takes the one that `init` wrote into the store.
    package var domain: String?
    /// Domains that are ours beside those that have accounts, in lower case: an unknown address in one is refused for
    /// good.
    package var domains: [String] = []
    /// The name of this host in greetings and `Received`; nil takes the system's.
    package var hostName: String?
    /// Nil takes `demoListeners`.
    package var listeners: [GatewayProtocol: [ListenAddress]]?
    /// Peers of the listeners for mail that speak the PROXY protocol.
    package var proxyFrom = TrustedPeers()
    package var clientsFrom = TrustedPeers()
    /// What becomes of the detail in `user+detail@domain`.
    package var detail = DetailDelivery.inbox
    package var checks = Checks()
    /// Filters that judge and change mail, in their order.
    package var milters: [MilterOptions] = []
    package var encryption = Encryption()
    package var logins = Logins()
    package var sending = Sending()
    package var limits = Limits()
    package var storage = Storage()
    package var maildir = Maildir()
    package var cache = Cache()
    package var accounts = Accounts()
    package var log = Log()

    package init() {}

    /// What is asked about mail from elsewhere: the keys under `checks`.
    package struct Checks: Sendable {
        package var policy = CheckPolicy.off
        /// Seconds that the answer to a message may wait for the DNS.
        package var waitSecondsMax = 20
        /// Relays of this site, whose mail is not checked.
        package var trusted = TrustedPeers()
        /// Empty takes those of /etc/resolv.conf.
        package var nameServers: [String] = []
        package init() {}
    }

    /// TLS: the keys under `tls`.
    package struct Encryption: Hashable, Sendable {
        package var enabled = true
        /// Of the main certificate, with those that lead to its authority; nil takes the store's own.
        package var certificate: String?
        /// Nil takes the certificate's file.
        package var key: String?
        /// Files of further certificates by the name that a client asks for, in lower case.
        package var certificates: [String: String] = [:]
        /// The same of their keys; a name that is missing takes its certificate's file.
        package var keys: [String: String] = [:]
        /// The file of the authorities whose certificates clients may present.
        package var clientAuthority: String?
        package var minimumVersion = TLSVersion.tls12
        package init() {}
    }

    package struct Limits: Sendable {
        /// Octets of one message.
        package var messageOctetsMax = 50_000_000
        package var recipientsMax = 1000
        package var connectionsMax = 4000
        package var connectionsPerAddressMax = 500
        package var connectionsPerNetworkMax = 2000
        package var sessionsPerAccountMax = 100
        /// Of one name from one network, after which it is refused there for a while.
        package var loginFailuresMax = 20
        /// Seconds without a command until a session is ended.
        package var smtpSilenceSecondsMax = 300
        package var pop3SilenceSecondsMax = 600
        package var imapSilenceSecondsMax = 1800
        /// Seconds a session may take to end when the node stops.
        package var drainSecondsMax = 10
        /// Changes waiting for the writer; one more is told to try again.
        package var queueRequestsMax = 4096
        /// Octets of messages waiting for the writer.
        package var queueOctetsMax = 64 << 20
        package init() {}
    }

    package struct Storage: Sendable {
        /// Free octets below which new mail is refused; nil takes 5 percent of the file system, at least 4 GiB.
        package var softFreeOctets: Int?
        /// Free octets below which only deletions are taken; nil takes 1 GiB.
        package var hardFreeOctets: Int?
        package init() {}
    }

    package struct Maildir: Sendable {
        package var enabled = true
        /// Nil takes `<store>-maildir`: beside the store, never in it.
        package var root: String?
        package init() {}
    }

    package struct Cache: Sendable {
        /// About what the parse cache may take on disk; 0 keeps none.
        package var octetsMax = 1 << 30
        package init() {}
    }

    /// What a new account gets.
    package struct Accounts: Sendable {
        package struct DefaultMailbox: Hashable, Sendable {
            package var name: MailboxName
            package var specialUse: SpecialUse?
            package init(_ name: MailboxName, _ specialUse: SpecialUse?) {
                self.name = name
                self.specialUse = specialUse
            }
        }

        /// Beside INBOX, which every account has.
        package var mailboxes = NodeConfiguration.defaultMailboxes
        /// Local parts that each domain receives for, in lower case.
        package var roles = ["postmaster", "abuse"]
        /// Days an expunged message can be restored.
        package var undeleteDays: UInt16 = 14
        /// 0 is no limit.
        package var quotaOctets = 0
        /// 0 is no limit.
        package var quotaMessages = 0
        package init() {}
    }

    package struct Log: Sendable {
        package var format = LogFormat.auto
        package var level = LogLevel.info
        package init() {}
    }

    /// The loopback ports of a first run.
    package static let demoListeners: [GatewayProtocol: [ListenAddress]] = [
        .smtp: [.tcp(host: "127.0.0.1", port: 1025)],
        .lmtp: [.tcp(host: "127.0.0.1", port: 1024)],
        .submission: [.tcp(host: "127.0.0.1", port: 1587)],
        .submissions: [.tcp(host: "127.0.0.1", port: 1465)],
        .pop3: [.tcp(host: "127.0.0.1", port: 1110)],
        .pop3s: [.tcp(host: "127.0.0.1", port: 1995)],
        .imap: [.tcp(host: "127.0.0.1", port: 1143)],
        .imaps: [.tcp(host: "127.0.0.1", port: 1993)],
        .http: [.tcp(host: "127.0.0.1", port: 8080)],
    ]

    static let defaultMailboxes: [Accounts.DefaultMailbox] = {
        let uses: [(String, SpecialUse)] = [
            ("Drafts", .drafts), ("Sent", .sent), ("Archive", .archive), ("Junk", .junk), ("Trash", .trash),
        ]
        return uses.compactMap { name, use in MailboxName(name).map { Accounts.DefaultMailbox($0, use) } }
    }()
}

/// How the node writes its log.
package enum LogFormat: String, CaseIterable, Sendable {
    /// Text on a terminal, JSON lines otherwise.
    case auto
    case text, json
}

/// The least important lines that are written.
package enum LogLevel: String, CaseIterable, Sendable {
    case debug, info, notice, warning, error
}

extension NodeConfiguration {
    /// The listeners to open, in the order of their protocols' names in the manual.
    package var listenerList: [(GatewayProtocol, ListenAddress)] {
        let wanted = listeners ?? Self.demoListeners
        return GatewayProtocol.allCases.flatMap { name in (wanted[name] ?? []).map { (name, $0) } }
    }

    /// Where the Maildirs of a store are.
    package func maildirRoot(store: String) -> String {
        if let root = maildir.root { return root }
        var path = store
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        return path + "-maildir"
    }
}
