/// Whom a client takes for the server that it wants.
package enum TLSTrust: Sendable {
    /// Whoever answers: sealed, but to nobody known (RFC 7435). Against those who listen, not against those who meddle.
    case anyone
    /// The server that the system's authorities vouch for by the name that was asked for.
    case system
    /// The server that these authorities vouch for by that name; a certificate may be its own authority.
    case authority(TLSAuthority)
}

package struct TLSClientOptions: Sendable {
    package var trust: TLSTrust
    /// What we present where a server asks for a certificate.
    package var credential: TLSCredential?
    package var minimumVersion = TLSVersion.tls12

    package init(trust: TLSTrust) { self.trust = trust }
}
