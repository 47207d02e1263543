import MailTypes
import TLS

extension ConfigurationKey {
    static let tls: [ConfigurationKey] = [
        bool("tls.enabled", \.encryption.enabled),
        path("tls.certificate", \.encryption.certificate),
        path("tls.key", \.encryption.key),
        paths("tls.certificates", \.encryption.certificates),
        paths("tls.keys", \.encryption.keys),
        path("tls.client-authority", \.encryption.clientAuthority),
        ConfigurationKey(
            "tls.minimum-version", reloads: true, show: { $0.encryption.minimumVersion.rawValue }
        ) { configuration, value throws(ConfigurationRefusal) in
            configuration.encryption.minimumVersion = try value.word(TLSVersion.self)
        },
    ]

    private static func path(
        _ name: String, _ field: any Field<String?>
    ) -> ConfigurationKey {
        ConfigurationKey(name, reloads: true, show: { $0[keyPath: field] ?? "" }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration[keyPath: field] = try value.path()
        }
    }

    /// Files by host name.
    private static func paths(
        _ name: String, _ field: any Field<[String: String]>
    ) -> ConfigurationKey {
        let show = { @Sendable (configuration: NodeConfiguration) -> String in
            let files = configuration[keyPath: field].sorted { $0.key < $1.key }
            return files.map { "\($0.key)=\($0.value)" }.joined(separator: ", ")
        }
        return ConfigurationKey(name, reloads: true, show: show) { configuration, value throws(ConfigurationRefusal) in
            var files: [String: String] = [:]
            for entry in try value.entries() {
                let wild = entry.key.hasPrefix("*.")
                let host = try ConfigurationValue.text(wild ? String(entry.key.dropFirst(2)) : entry.key).domain()
                files[(wild ? "*." : "") + host] = try ConfigurationValue.text(entry.value).path()
            }
            configuration[keyPath: field] = files
        }
    }
}
