import MailTypes

/// Keys that sign mail of our domains: a setting of the system account for each domain that has some, and one that names
/// those domains, since settings are not listed.
///
/// A domain's setting is a line for each key, `selector created secret`: milliseconds since 1970, and the key in base64 of
/// PKCS #8. It is a secret; nothing that shows settings shows one whose name `isSecret`.
package enum DKIMSetting {
    /// Domains that have keys, as `DomainSetting` writes them.
    package static let domainsKey = "dkim"
    private static let keyPrefix = "dkim."

    package struct Key: Hashable, Sendable {
        package var selector: String
        package var created: Timestamp
        /// Base64 of PKCS #8.
        package var secret: SecretOctets

        package init(selector: String, created: Timestamp, secret: SecretOctets) {
            self.selector = selector
            self.created = created
            self.secret = secret
        }
    }

    package static func key(_ domain: String) -> String { keyPrefix + domain }

    /// Whether the value of this setting must not be shown.
    package static func isSecret(_ key: String) -> Bool { key.hasPrefix(keyPrefix) }

    package static func domains(_ state: any StateReader) throws(StateFault) -> [String] {
        try DomainSetting.domains(state, in: domainsKey)
    }

    package static func keys(_ domain: String, _ state: any StateReader) throws(StateFault) -> [Key] {
        keys(try state.setting(.system, key(domain)) ?? "")
    }

    /// Of a domain's setting; lines that are none are passed over.
    package static func keys(_ value: String) -> [Key] {
        value.split(separator: "\n").compactMap { line in
            let parts = line.split(separator: " ")
            guard parts.count == 3, let created = Int64(parts[1]) else { return nil }
            return Key(
                selector: String(parts[0]), created: Timestamp(milliseconds: created),
                secret: SecretOctets(Array(parts[2].utf8)))
        }
    }

    /// The setting's value; nil when there is none to keep.
    package static func value(_ keys: [Key]) -> String? {
        keys.isEmpty
            ? nil
            : keys.map { key in
                "\(key.selector) \(key.created.rawValue) \(String(decoding: key.secret.octets, as: UTF8.self))"
            }.joined(separator: "\n")
    }
}
