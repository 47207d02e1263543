/// Domains that are ours before they have an address: a setting of the system account, one name a line, in order.
package enum DomainSetting {
    package static let key = "domains"

    /// - Parameter key: of this setting, or of another that lists domains.
    package static func domains(
        _ state: any StateReader, in key: String = DomainSetting.key
    ) throws(StateFault) -> [String] {
        (try state.setting(.system, key) ?? "").split(separator: "\n").map(String.init)
    }

    /// The setting's value; nil when there is none to keep.
    package static func value(_ domains: some Collection<String>) -> String? {
        domains.isEmpty ? nil : domains.sorted().joined(separator: "\n")
    }
}
