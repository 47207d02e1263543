import Gateways

extension ConfigurationKey {
    static let checks: [ConfigurationKey] = [
        ConfigurationKey("checks.policy", show: { $0.checks.policy.rawValue }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration.checks.policy = try value.word(CheckPolicy.self)
        },
        ConfigurationKey("checks.timeout", show: { "\($0.checks.waitSecondsMax)s" }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration.checks.waitSecondsMax = try value.seconds(1...120)
        },
        ConfigurationKey("checks.trusted", show: { $0.checks.trusted.text }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration.checks.trusted = try value.peers()
        },
        ConfigurationKey("checks.name-servers", show: { $0.checks.nameServers.joined(separator: ", ") }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration.checks.nameServers = try value.strings()
        },
    ]
}
