/// Every bound of this room that nobody sets, in one place.
package enum TLSLimits {
    /// Octets of a client's first message. With post-quantum keys, tickets and long lists it has two or three thousand;
    /// libssl would take 128 KiB, and makes room for what the message says of itself.
    package static let helloOctetsMax = 16 << 10
    /// Octets that a client may send until its handshake is done; a chain of certificates fits in well.
    package static let handshakeOctetsMax = 64 << 10
    /// Octets of the certificates that a client may present.
    package static let clientCertificatesOctetsMax = 32 << 10
    /// Octets that a server may send until our handshake with it is done.
    package static let serverHandshakeOctetsMax = 256 << 10
    /// Octets of the certificates that a server may present.
    package static let serverCertificatesOctetsMax = 128 << 10
    /// KeyUpdate messages of one session (RFC 8446 section 4.6.3). Each makes us derive keys and answer; a client has to
    /// send one for some hundred gigabytes.
    package static let keyUpdatesMax = 128
    /// Plain octets in a record (RFC 8446 section 5.1).
    package static let recordOctetsMax = 16 << 10
    /// What encryption may add to a record: header, explicit nonce, tag, content type.
    static let recordOverheadOctetsMax = 64
    /// Writes that wait for a flush are joined up to this many octets.
    static let gatheredOctetsMax = recordOctetsMax
    /// Octets of a name that is asked for (RFC 1035 section 2.3.4).
    static let serverNameOctetsMax = 255
    /// Sessions resume for that long after their ticket was given out, in seconds. Keys that seal tickets change as often.
    static let ticketSecondsMax = 2 * 3600
    /// Tickets for a client that has shaken hands in full.
    static let ticketsPerSession = 1
    /// How long a handshake may take when nobody says otherwise, in seconds.
    package static let handshakeSecondsMax: Int64 = 30
    /// Octets of a certificate or key file.
    package static let certificateFileOctetsMax = 1 << 20
    /// Certificates in a file, its chain or its authorities.
    static let certificatesPerFileMax = 512
}
