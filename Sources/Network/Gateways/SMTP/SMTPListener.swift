import SMTP

extension GatewayOptions {
    /// What a listener of SMTP is configured with. LMTP's is in LMTP/.
    func smtp(_ dialect: SMTPDialect) -> SMTPServerConfiguration {
        var configuration = SMTPServerConfiguration(dialect: dialect, hostName: hostName)
        configuration.messageOctetsMax = messageOctetsMax
        configuration.recipientsMax = recipientsMax
        configuration.bareLineEnds = bareLineEnds
        return configuration
    }
}
