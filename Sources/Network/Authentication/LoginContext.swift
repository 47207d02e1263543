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

extension LoginChannel {
    /// The data of the binding that a client names, or nil where it is none of ours.
    func binding(named name: String) -> [UInt8]? {
        switch name {
        case "tls-exporter": exporter
        case "tls-server-end-point": serverEndPoint
        default: nil
        }
    }

    /// Both bindings are there. A client picks the one it knows, so that offering -PLUS with one of them would lock out
    /// the clients that pick the other.
    var canBind: Bool { exporter?.isEmpty == false && serverEndPoint?.isEmpty == false }
}
