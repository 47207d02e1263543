/// What a handshake settled.
package struct TLSInfo: Equatable, Sendable {
    /// As libssl says it: `TLSv1.3`.
    package var version: String
    /// The cipher suite, by the name of its RFC: `TLS_AES_128_GCM_SHA256`.
    package var cipher: String
    /// Of its key, as libssl counts them.
    package var cipherBits: Int
    /// The name that the client asked for (SNI, RFC 6066 section 3), in lower case.
    package var serverName: String?
    /// The application protocol agreed on (RFC 7301).
    package var applicationProtocol: String?
    /// The session goes on from an earlier one (RFC 8446 section 2.2).
    package var isResumed: Bool
    /// The client's certificate, verified against the configured authority.
    package var clientCertificate: ClientCertificate?
}

/// Who a client is, by a certificate that was verified.
package struct ClientCertificate: Equatable, Sendable {
    /// Mail addresses among the alternative names (rfc822Name, RFC 5280 section 4.2.1.6), as they stand.
    package var mailAddresses: [String]
    /// The subject's common name.
    package var commonName: String?
    /// The whole subject in one line, for the log.
    package var subject: String
    /// Whoever has signed it, in the same form.
    package var issuer: String
    /// SHA-256 of the certificate.
    package var fingerprint: [UInt8]
}

/// Which octets bind an authentication to this session (RFC 5056).
package enum ChannelBinding: String, Sendable, CaseIterable {
    /// RFC 9266: different in every session.
    case exporter = "tls-exporter"
    /// RFC 5929 section 4: a hash of the server's certificate.
    case serverEndPoint = "tls-server-end-point"
}
