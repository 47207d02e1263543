// The table of keys: what each takes, whether a running node can take a new value, and what it is now.
//
// File, environment and command line all come through this table, so they know the same keys and refuse the same
// values. `check-config --print` and the reload compare what `show` answers.
import Gateways
import MailCore
import MailTypes

struct ConfigurationKey: Sendable {
    /// As in the file, levels joined by dots: `limits.message-size`.
    let name: String
    /// A running node takes a new value on SIGHUP.
    private(set) var reloads: Bool
    let apply: @Sendable (inout NodeConfiguration, ConfigurationValue) throws(ConfigurationRefusal) -> Void
    let show: @Sendable (NodeConfiguration) -> String

    /// Its environment variable.
    var variable: String {
        "LETTERLOG_" + String(name.map { $0 == "." || $0 == "-" ? "_" : $0 }).uppercased()
    }

    init(
        _ name: String, reloads: Bool = false, show: @escaping @Sendable (NodeConfiguration) -> String,
        apply: @escaping @Sendable (inout NodeConfiguration, ConfigurationValue) throws(ConfigurationRefusal) -> Void
    ) {
        self.name = name
        self.reloads = reloads
        self.apply = apply
        self.show = show
    }

    /// The same, taken over by a running node.
    func reloading() -> ConfigurationKey {
        var key = self
        key.reloads = true
        return key
    }

    static let all: [ConfigurationKey] =
        site + listeners + trust + checks + milters + tls + logins + sending + limits + storage + accounts + log

    static func named(_ name: String) -> ConfigurationKey? { all.first { $0.name == name } }

    /// Whether keys lie under this name.
    static func isTable(_ name: String) -> Bool { all.contains { $0.name.hasPrefix(name + ".") } }
}

// MARK: The keys

extension ConfigurationKey {
    private static let site: [ConfigurationKey] = [
        ConfigurationKey("store", show: { $0.store ?? "" }) { configuration, value throws(ConfigurationRefusal) in
            configuration.store = try value.path()
        },
        ConfigurationKey("domain", show: { $0.domain ?? "" }) { configuration, value throws(ConfigurationRefusal) in
            configuration.domain = try value.domain()
        },
        ConfigurationKey("domains", show: { $0.domains.joined(separator: ", ") }) {
            configuration, value throws(ConfigurationRefusal) in
            var domains: [String] = []
            for text in try value.strings() { domains.append(try ConfigurationValue.text(text).domain()) }
            configuration.domains = domains
        },
        ConfigurationKey("hostname", show: { $0.hostName ?? "" }) { configuration, value throws(ConfigurationRefusal) in
            configuration.hostName = try value.domain()
        },
    ]

    private static let listeners: [ConfigurationKey] = GatewayProtocol.allCases.map { gateway in
        let show = { @Sendable (configuration: NodeConfiguration) -> String in
            let all = configuration.listeners ?? NodeConfiguration.demoListeners
            return (all[gateway] ?? []).map(\.description).joined(separator: ", ")
        }
        return ConfigurationKey("listeners.\(gateway.rawValue)", show: show) {
            configuration, value throws(ConfigurationRefusal) in
            var addresses: [ListenAddress] = []
            for text in try value.strings() where text != "off" { addresses.append(try listenAddress(text)) }
            // The first listener that is named takes the place of all the demo's.
            configuration.listeners = configuration.listeners ?? [:]
            configuration.listeners?[gateway] = addresses
        }
    }

    private static let trust: [ConfigurationKey] = [
        peers("listeners.proxy-from", \.proxyFrom),
        peers("listeners.clients-from", \.clientsFrom),
    ]

    private static let limits: [ConfigurationKey] = [
        octets("limits.message-size", \.limits.messageOctetsMax, 10_000...4_000_000_000),
        count("limits.recipients", \.limits.recipientsMax, 100...1000),
        count("limits.connections", \.limits.connectionsMax, 1...100_000),
        count("limits.connections-per-address", \.limits.connectionsPerAddressMax, 1...100_000),
        count("limits.connections-per-network", \.limits.connectionsPerNetworkMax, 1...100_000),
        count("limits.sessions-per-account", \.limits.sessionsPerAccountMax, 1...100_000),
        count("limits.login-failures", \.limits.loginFailuresMax, 3...1000),
        seconds("limits.smtp-timeout", \.limits.smtpSilenceSecondsMax, 1...86_400),
        seconds("limits.pop3-timeout", \.limits.pop3SilenceSecondsMax, 1...86_400),
        seconds("limits.imap-timeout", \.limits.imapSilenceSecondsMax, 1...86_400),
        seconds("limits.drain-timeout", \.limits.drainSecondsMax, 0...3600),
        count("limits.queue-requests", \.limits.queueRequestsMax, 1...1_000_000),
        octets("limits.queue-size", \.limits.queueOctetsMax, 1 << 20...1 << 40),
    ]

    private static let storage: [ConfigurationKey] = [
        ConfigurationKey("storage.soft-free", show: { $0.storage.softFreeOctets.map(String.init) ?? "" }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration.storage.softFreeOctets = try value.octets(0...1 << 60)
        },
        ConfigurationKey("storage.hard-free", show: { $0.storage.hardFreeOctets.map(String.init) ?? "" }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration.storage.hardFreeOctets = try value.octets(0...1 << 60)
        },
        bool("maildir.enabled", \.maildir.enabled),
        ConfigurationKey("maildir.root", show: { $0.maildir.root ?? "" }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration.maildir.root = try value.path()
        },
        octets("cache.size", \.cache.octetsMax, 0...1 << 40),
    ]

    private static let accounts: [ConfigurationKey] = [
        ConfigurationKey("accounts.mailboxes", reloads: true, show: { $0.accounts.mailboxes.text }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration.accounts.mailboxes = try value.mailboxes()
        },
        ConfigurationKey("accounts.roles", reloads: true, show: { $0.accounts.roles.joined(separator: ", ") }) {
            configuration, value throws(ConfigurationRefusal) in
            var roles: [String] = []
            for text in try value.strings() {
                guard Address(localPart: text, domain: "example.test") != nil, !text.contains("@") else {
                    throw ConfigurationRefusal("takes local parts such as postmaster, not `\(text)`")
                }
                roles.append(text.lowercased())
            }
            configuration.accounts.roles = roles
        },
        ConfigurationKey("accounts.undelete-days", reloads: true, show: { "\($0.accounts.undeleteDays)" }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration.accounts.undeleteDays = UInt16(try value.count(0...36_500))
        },
        ConfigurationKey("accounts.detail", show: { $0.detail.rawValue }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration.detail = try value.word(DetailDelivery.self)
        },
        octets("accounts.quota-size", \.accounts.quotaOctets, 0...1 << 60, reloads: true),
        count("accounts.quota-messages", \.accounts.quotaMessages, 0...1 << 60, reloads: true),
    ]

    private static let log: [ConfigurationKey] = [
        ConfigurationKey("log.format", show: { $0.log.format.rawValue }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration.log.format = try value.word(LogFormat.self)
        },
        ConfigurationKey("log.level", reloads: true, show: { $0.log.level.rawValue }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration.log.level = try value.word(LogLevel.self)
        },
    ]

    // MARK: Kinds of keys

    typealias Field<Value> = WritableKeyPath<NodeConfiguration, Value> & Sendable

    static func bool(_ name: String, _ field: any Field<Bool>) -> ConfigurationKey {
        ConfigurationKey(name, show: { "\($0[keyPath: field])" }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration[keyPath: field] = try value.bool()
        }
    }

    /// Empty takes it away.
    static func text(_ name: String, _ field: any Field<String?>) -> ConfigurationKey {
        ConfigurationKey(name, show: { $0[keyPath: field] ?? "" }) {
            configuration, value throws(ConfigurationRefusal) in
            let text = try value.single()
            configuration[keyPath: field] = text.isEmpty ? nil : text
        }
    }

    static func strings(_ name: String, _ field: any Field<[String]>) -> ConfigurationKey {
        ConfigurationKey(name, show: { $0[keyPath: field].joined(separator: ", ") }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration[keyPath: field] = try value.strings()
        }
    }

    static func peers(_ name: String, _ field: any Field<TrustedPeers>) -> ConfigurationKey {
        ConfigurationKey(name, show: { $0[keyPath: field].text }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration[keyPath: field] = try value.peers()
        }
    }

    static func count(
        _ name: String, _ field: any Field<Int>, _ range: ClosedRange<Int>, reloads: Bool = false
    ) -> ConfigurationKey {
        ConfigurationKey(name, reloads: reloads, show: { "\($0[keyPath: field])" }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration[keyPath: field] = try value.count(range)
        }
    }

    private static func octets(
        _ name: String, _ field: any Field<Int>, _ range: ClosedRange<Int>, reloads: Bool = false
    ) -> ConfigurationKey {
        ConfigurationKey(name, reloads: reloads, show: { "\($0[keyPath: field])" }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration[keyPath: field] = try value.octets(range)
        }
    }

    static func seconds(_ name: String, _ field: any Field<Int>, _ range: ClosedRange<Int>) -> ConfigurationKey {
        ConfigurationKey(name, show: { "\($0[keyPath: field])s" }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration[keyPath: field] = try value.seconds(range)
        }
    }
}

/// `127.0.0.1:1025`, `[::1]:1025` or `unix:/path`.
func listenAddress(_ text: String) throws(ConfigurationRefusal) -> ListenAddress {
    guard let address = ListenAddress(parsing: text) else {
        throw ConfigurationRefusal("takes addresses such as 127.0.0.1:1025, [::1]:1025 or unix:/path, not `\(text)`")
    }
    return address
}

extension ConfigurationValue {
    func path() throws(ConfigurationRefusal) -> String {
        let text = try single()
        guard !text.isEmpty, !text.utf8.contains(0) else { throw ConfigurationRefusal("takes a path") }
        return text
    }

    func domain() throws(ConfigurationRefusal) -> String {
        let text = try single()
        guard let domain = DomainLabels.typed(text) else {
            throw ConfigurationRefusal("takes a domain such as example.test, not `\(text)`")
        }
        return domain
    }

    func word<Word: RawRepresentable & CaseIterable>(
        _ type: Word.Type
    ) throws(ConfigurationRefusal) -> Word where Word.RawValue == String {
        let text = try single()
        guard let word = Word(rawValue: text) else {
            let words = Word.allCases.map(\.rawValue).joined(separator: ", ")
            throw ConfigurationRefusal("takes one of \(words), not `\(text)`")
        }
        return word
    }

    /// Networks, and `unix` for whoever may connect to our Unix sockets.
    fileprivate func peers() throws(ConfigurationRefusal) -> TrustedPeers {
        var peers = TrustedPeers()
        for text in try strings() {
            if text == "unix" {
                peers.unixSockets = true
            } else if let network = IPNetwork(text) {
                peers.networks.append(network)
            } else {
                throw ConfigurationRefusal(
                    "takes addresses and networks such as 192.0.2.1, 10.1.0.0/16 or 2001:db8::/32, and unix, "
                        + "not `\(text)`")
            }
        }
        return peers
    }

    fileprivate func mailboxes() throws(ConfigurationRefusal) -> [NodeConfiguration.Accounts.DefaultMailbox] {
        var found: [NodeConfiguration.Accounts.DefaultMailbox] = []
        for entry in try entries() {
            guard let name = MailboxName(entry.key), !name.isInbox else {
                throw ConfigurationRefusal("`\(entry.key)` is no name for a mailbox beside INBOX")
            }
            guard !found.contains(where: { $0.name == name }) else {
                throw ConfigurationRefusal("names \(name) twice")
            }
            var use: SpecialUse?
            if !entry.value.isEmpty, entry.value != "none" {
                guard let named = SpecialUse(word: entry.value) else {
                    throw ConfigurationRefusal(
                        "`\(entry.value)` is no special use; there are \(SpecialUse.words) and none")
                }
                guard !found.contains(where: { $0.specialUse == named }) else {
                    throw ConfigurationRefusal("gives the special use \(named) twice")
                }
                use = named
            }
            found.append(.init(name, use))
        }
        return found
    }
}

extension TrustedPeers {
    fileprivate var text: String {
        (networks.map(\.description) + (unixSockets ? ["unix"] : [])).joined(separator: ", ")
    }
}

extension [NodeConfiguration.Accounts.DefaultMailbox] {
    fileprivate var text: String {
        map { "\($0.name)=\($0.specialUse.map { "\($0)" } ?? "none")" }.joined(separator: ", ")
    }
}
