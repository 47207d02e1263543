import SMTP

extension GatewayOptions {
    /// What a session of SMTP or LMTP that begins now is configured with.
    func smtp(_ dialect: SMTPDialect, _ sending: SendingOptions) -> SMTPServerConfiguration {
        var configuration = SMTPServerConfiguration(dialect: dialect, hostName: hostName)
        configuration.messageOctetsMax = messageOctetsMax
        configuration.recipientsMax = recipientsMax
        configuration.bareLineEnds = bareLineEnds
        if sending.isOpen {
            // What the queue can keep: reports about copies here come from it too.
            configuration.offersDSN = true
            if dialect == .submission {
                configuration.offersBinary = true
                configuration.holdSecondsMax = GatewayLimits.holdSecondsMax
                configuration.deliverBySecondsMin = 0
            }
        }
        // RFC 8689 section 4: what does not come by submission goes to a mailbox and no further, and what cannot is refused
        // before it is taken, so that nothing of it is ever sent on.
        configuration.offersRequireTLS = sending.isOpen || dialect != .submission
        return configuration
    }
}

extension Connection {
    /// The same, as it stands for this client.
    func smtpConfiguration(_ dialect: SMTPDialect) -> SMTPServerConfiguration {
        var configuration = gateway.options.smtp(dialect, gateway.sending)
        configuration.offersTLS = offersTLS
        configuration.beginsSecure = isSecure
        configuration.trustsPeer = dialect != .submission && gateway.options.clientsFrom.contains(client)
        return configuration
    }
}
