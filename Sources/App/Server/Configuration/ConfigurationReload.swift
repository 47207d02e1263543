import MailCore

/// What a new configuration changes in a running node.
package struct ConfigurationReload: Sendable {
    /// The running configuration with the new values of what can be reloaded.
    package var configuration: NodeConfiguration
    package var taken: [String] = []
    /// Keys whose new value waits for a restart.
    package var waiting: [String] = []

    package init(from old: NodeConfiguration, to new: NodeConfiguration) {
        configuration = old
        for key in ConfigurationKey.all where key.show(old) != key.show(new) {
            if key.reloads { taken.append(key.name) } else { waiting.append(key.name) }
        }
        configuration.accounts = new.accounts
        configuration.log.level = new.log.level
        configuration.encryption = new.encryption
        configuration.encryption.enabled = old.encryption.enabled
        configuration.milters = new.milters
        configuration.sending = new.sending
    }
}

extension NodeConfiguration {
    /// Every key with its value, for `check-config --print`.
    package var listing: [(key: String, value: String)] {
        ConfigurationKey.all.map { ($0.name, $0.show(self)) }
    }
}
