import IMAP
import NIOCore

extension Connection {
    /// What a session of IMAP begins with, as this connection stands.
    var imapConfiguration: IMAPServerConfiguration {
        let options = gateway.options
        var configuration = IMAPServerConfiguration(
            hostName: options.hostName, allowsPlaintextLogin: isPlaintextAllowed,
            appendOctetsMax: UInt64(options.messageOctetsMax))
        configuration.canStartTLS = offersTLS
        configuration.mechanisms = gateway.sasl.mechanisms(loginContext(.imap))
        configuration.mechanismsUnderTLS = gateway.sasl.mechanismsUnderTLS(loginContext(.imap))
        return configuration
    }
}
