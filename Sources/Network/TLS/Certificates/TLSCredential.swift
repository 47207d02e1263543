internal import COpenSSL

/// A certificate with its chain and its private key, ready to be presented.
// libcrypto's objects are not changed after they were parsed, and count their references atomically.
package final class TLSCredential: @unchecked Sendable {
    let certificate: Certificate
    let chain: [Certificate]
    let key: OpaquePointer

    /// - Parameters:
    ///   - certificates: PEM: the certificate, then those that lead to the authority.
    ///   - key: PEM; may be the same file.
    /// - Throws: what is wrong with the pair, as the end of a sentence that begins with the file's name.
    package init(certificates: [UInt8], key: [UInt8]) throws(TLSFailure) {
        var found = try Certificate.all(inPEM: certificates)
        certificate = found.removeFirst()
        chain = found
        self.key = try Self.parse(key)
        guard X509_check_private_key(certificate.pointer, self.key) == 1 else {
            ERR_clear_error()
            throw TLSFailure(.library, "does not belong to the key")
        }
    }

    deinit { EVP_PKEY_free(key) }

    /// - Throws: what is wrong, with the key as the one that is spoken of.
    private static func parse(_ octets: [UInt8]) throws(TLSFailure) -> OpaquePointer {
        guard octets.firstRange(of: Array("PRIVATE KEY-----".utf8)) != nil else {
            throw TLSFailure(.library, "has no private key in PEM form")
        }
        return try withReader(octets) { reader throws(TLSFailure) in
            // Without a callback libcrypto would ask for the password on the terminal.
            guard let key = PEM_read_bio_PrivateKey(reader, nil, { _, _, _, _ in 0 }, nil) else {
                ERR_clear_error()
                if octets.firstRange(of: Array("ENCRYPTED".utf8)) != nil {
                    throw TLSFailure(.library, "has a private key under a password, which nobody is there to give")
                }
                throw TLSFailure(.library, "has a private key that cannot be read")
            }
            return key
        }
    }

    /// The host names it is for, in lower case; some begin with `*.`.
    package var names: [String] { certificate.names }
    /// Seconds since 1970.
    package var notAfter: Int64? { certificate.notAfter }

    /// What speaks against it at a time in seconds since 1970; nil when nothing does.
    package func objection(at time: Int64) -> String? {
        guard let begin = certificate.notBefore, let end = certificate.notAfter else { return "has no dates" }
        if time < begin { return "is not valid yet" }
        if time > end { return "has expired" }
        return nil
    }
}

/// Authorities whose certificates the other side may present.
package final class TLSAuthority: Sendable {
    /// Where Debian keeps the authorities that the system trusts (package ca-certificates).
    package static let systemFile = "/etc/ssl/certs/ca-certificates.crt"

    let certificates: [Certificate]
    /// Differs when the certificates do: tickets of clients that others vouched for are not taken.
    let fingerprint: [UInt8]

    /// - Throws: what is wrong, as the end of a sentence that begins with the file's name.
    package init(certificates octets: [UInt8]) throws(TLSFailure) {
        certificates = try Certificate.all(inPEM: octets)
        var hash = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
        let joined = certificates.flatMap { digest(of: $0.pointer, EVP_sha256()) ?? [] }
        SHA256(joined, joined.count, &hash)
        fingerprint = hash
    }
}
