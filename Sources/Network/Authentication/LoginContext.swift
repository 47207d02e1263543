import MailCore

/// What TLS says of a connection that matters to a login. The room of TLS fills it.
package struct LoginChannel: Sendable {
    /// The channel binding `tls-exporter` (RFC 9266): 32 octets; nil where the connection cannot give it.
    package var exporter: [UInt8]?
    /// The channel binding `tls-server-end-point` (RFC 5929 section 4); nil where the certificate's digest is unknown.
    package var serverEndPoint: [UInt8]?
    /// Mail addresses of the client's certificate, when it gave one and a trusted authority signed it; else empty.
    package var certificateAddresses: [String]

    package init(exporter: [UInt8]? = nil, serverEndPoint: [UInt8]? = nil, certificateAddresses: [String] = []) {
        self.exporter = exporter
        self.serverEndPoint = serverEndPoint
        self.certificateAddresses = certificateAddresses
    }
}

/// What a gateway knows when a client wants to log in.
package struct LoginContext: Sendable {
    /// The protocol.
    package var scope: CredentialScopes
    /// Where the client comes from, for the slow-down.
    package var source: LoginSource
    /// Passwords and tokens may be sent: the connection is encrypted, or on loopback.
    package var isPlaintextAllowed: Bool
    /// Nil without TLS.
    package var channel: LoginChannel?

    package init(
        scope: CredentialScopes, source: LoginSource, isPlaintextAllowed: Bool, channel: LoginChannel? = nil
    ) {
        self.scope = scope
        self.source = source
        self.isPlaintextAllowed = isPlaintextAllowed
        self.channel = channel
    }
}
