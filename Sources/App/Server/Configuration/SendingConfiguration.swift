// The keys `sending.*`: whether and how mail leaves for other hosts.
import Delivery
import MailTypes

extension NodeConfiguration {
    package struct Sending: Hashable, Sendable {
        package var enabled = true
        /// Nil takes the name of this host.
        package var hostName: String?
        /// Of other hosts.
        package var port = 25
        package var smartHost: String?
        package var smartHostPort = 25
        package var smartHostTLS = SmartHostTLS.opportunistic
        /// Nil verifies where TLS is not opportunistic.
        package var smartHostVerify: Bool?
        package var smartHostUser: String?
        package var smartHostPasswordFile: String?
        /// A file of authorities that other hosts' certificates are judged by; nil takes the system's.
        package var authority: String?
        /// Nil takes /etc/resolv.conf.
        package var nameServers: [String] = []
        /// The file of DNSSEC's root keys; nil validates nothing.
        package var trustAnchor: String?
        package var connectionsPerHostMax = 4
        package var connectionsMax = 50
        package var messagesMax = 200
        package var connectSecondsMax = 30
        package var retryFirstSeconds = 300
        package var retrySecondsMax = 14_400
        package var lifetimeSeconds = 432_000
        package var warnSeconds = 14_400
        package var checksSender = true
        package var hidesClient = false
        /// 0 is no limit.
        package var recipientsPerHourMax = 0
        package init() {}
    }
}

/// How a smart host is spoken to.
package enum SmartHostTLS: String, CaseIterable, Sendable {
    case off, opportunistic, required
    /// From the first octet (RFC 8314).
    case implicit
}

extension ConfigurationKey {
    static let sending: [ConfigurationKey] = sendingKeys.map { $0.reloading() }

    private static let sendingKeys: [ConfigurationKey] = [
        bool("sending.enabled", \.sending.enabled),
        ConfigurationKey("sending.hostname", show: { $0.sending.hostName ?? "" }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration.sending.hostName = try value.domain()
        },
        count("sending.port", \.sending.port, 1...65_535),
        ConfigurationKey(
            "sending.smart-host",
            show: { site in site.sending.smartHost.map { "\($0):\(site.sending.smartHostPort)" } ?? "" }
        ) { configuration, value throws(ConfigurationRefusal) in
            try configuration.sending.setSmartHost(try value.single())
        },
        ConfigurationKey("sending.smart-host-tls", show: { $0.sending.smartHostTLS.rawValue }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration.sending.smartHostTLS = try value.word(SmartHostTLS.self)
        },
        ConfigurationKey("sending.smart-host-verify", show: { $0.sending.smartHostVerify.map { "\($0)" } ?? "" }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration.sending.smartHostVerify = try value.bool()
        },
        text("sending.smart-host-user", \.sending.smartHostUser),
        text("sending.smart-host-password-file", \.sending.smartHostPasswordFile),
        text("sending.authority", \.sending.authority),
        strings("sending.name-servers", \.sending.nameServers),
        text("sending.trust-anchor", \.sending.trustAnchor),
        count("sending.connections-per-host", \.sending.connectionsPerHostMax, 1...100),
        count("sending.connections", \.sending.connectionsMax, 1...1000),
        count("sending.messages", \.sending.messagesMax, 1...2000),
        seconds("sending.connect-timeout", \.sending.connectSecondsMax, 1...300),
        seconds("sending.retry-first", \.sending.retryFirstSeconds, 1...86_400),
        seconds("sending.retry-max", \.sending.retrySecondsMax, 1...86_400),
        seconds("sending.lifetime", \.sending.lifetimeSeconds, 1...2_592_000),
        seconds("sending.warn-after", \.sending.warnSeconds, 1...2_592_000),
        bool("sending.check-sender", \.sending.checksSender),
        bool("sending.hide-client", \.sending.hidesClient),
        count("sending.recipients-per-hour", \.sending.recipientsPerHourMax, 0...1_000_000),
    ]
}

extension NodeConfiguration.Sending {
    /// `relay.example.net`, `relay.example.net:587`, `192.0.2.1:25`, `[2001:db8::1]:25`.
    fileprivate mutating func setSmartHost(_ text: String) throws(ConfigurationRefusal) {
        guard !text.isEmpty else { return smartHost = nil }
        let refusal = ConfigurationRefusal("takes a host such as relay.example.net:587, not `\(text)`")
        var host = text[...]
        var port = 25
        if text.hasPrefix("[") {
            guard let close = text.firstIndex(of: "]") else { throw refusal }
            host = text[text.index(after: text.startIndex)..<close]
            let rest = text[text.index(after: close)...]
            if !rest.isEmpty {
                guard rest.first == ":", let number = Int(rest.dropFirst()) else { throw refusal }
                port = number
            }
        } else if let colon = text.lastIndex(of: ":") {
            guard let number = Int(text[text.index(after: colon)...]) else { throw refusal }
            host = text[..<colon]
            port = number
        }
        let isHost = host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x40 }
        guard !host.isEmpty, isHost, (1...65_535).contains(port) else { throw refusal }
        smartHost = host.lowercased()
        smartHostPort = port
    }
}
