import Gateways

extension ConfigurationKey {
    static let checks: [ConfigurationKey] = [
        ConfigurationKey("checks.policy", show: { $0.checks.policy.rawValue }) {
            configuration, value throws(ConfigurationRefusal) in
            configuration.checks.policy = try value.word(CheckPolicy.self)
        },
        seconds("checks.timeout", \.checks.waitSecondsMax, 1...120),
        peers("checks.trusted", \.checks.trusted),
        strings("checks.name-servers", \.checks.nameServers),
    ]
}
