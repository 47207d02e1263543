internal import COpenSSL

/// A certificate that vouches for itself, with its key, in PEM form: for the first run, and where nobody has others.
package struct SelfSignedCertificate: Sendable {
    package let certificate: [UInt8]
    package let key: [UInt8]

    /// Clients refuse certificates that are good for longer (825 days, CA/Browser Forum ballot 193).
    package static let days = 825
    /// Names of this machine that it is always for.
    private static let localNames = ["DNS:localhost", "IP:127.0.0.1", "IP:::1"]

    /// - Parameters:
    ///   - hosts: host names, the first of which it is named after; those that are none are passed over.
    ///   - now: seconds since 1970.
    package static func make(hosts: [String], now: Int64) throws(TLSFailure) -> SelfSignedCertificate {
        let hosts = hosts.filter { !$0.isEmpty && $0.utf8.allSatisfy(isOfHostName) && $0.utf8.count <= 255 }
        guard let key = ll_new_p256_key() else { throw .library(.library, "no key can be made") }
        defer { EVP_PKEY_free(key) }
        guard let certificate = X509_new() else { throw .library(.library, "no certificate can be made") }
        defer { X509_free(certificate) }
        let names = hosts.map { "DNS:\($0)" } + localNames.filter { name in !hosts.contains { "DNS:\($0)" == name } }
        let isMade =
            X509_set_version(certificate, 2) == 1 && setSerial(certificate)
            && setDates(certificate, now) && setNames(certificate, hosts.first ?? "localhost")
            && X509_set_pubkey(certificate, key) == 1
            && add(NID_subject_alt_name, names.joined(separator: ","), to: certificate)
            && add(NID_basic_constraints, "critical,CA:FALSE", to: certificate)
            && add(NID_key_usage, "critical,digitalSignature", to: certificate)
            && add(NID_ext_key_usage, "serverAuth", to: certificate)
            && add(NID_subject_key_identifier, "hash", to: certificate)
            && X509_sign(certificate, key, EVP_sha256()) > 0
        guard isMade else { throw .library(.library, "no certificate can be made") }
        return SelfSignedCertificate(
            certificate: try text { PEM_write_bio_X509($0, certificate) },
            key: try text { PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) })
    }

    private static func isOfHostName(_ octet: UInt8) -> Bool {
        switch octet {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    /// Random, so that clients that remember serial numbers can tell a new one (RFC 5280 section 4.1.2.2).
    private static func setSerial(_ certificate: OpaquePointer) -> Bool {
        guard let number = BN_new() else { return false }
        defer { BN_free(number) }
        return BN_rand(number, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1
            && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nil
    }

    /// From an hour ago, for clocks that are behind.
    private static func setDates(_ certificate: OpaquePointer, _ now: Int64) -> Bool {
        var time = time_t(now)
        return X509_time_adj_ex(X509_getm_notBefore(certificate), 0, -3600, &time) != nil
            && X509_time_adj_ex(X509_getm_notAfter(certificate), CInt(days), -3600, &time) != nil
    }

    private static func setNames(_ certificate: OpaquePointer, _ name: String) -> Bool {
        // A common name has at most 64 characters; the alternative names are what counts (RFC 9525 section 1.3).
        let common = Array(name.utf8.prefix(64))
        let subject = X509_get_subject_name(certificate)
        return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, common, CInt(common.count), -1, 0) == 1
            && X509_set_issuer_name(certificate, subject) == 1
    }

    private static func add(_ kind: CInt, _ value: String, to certificate: OpaquePointer) -> Bool {
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, certificate, certificate, nil, nil, 0)
        guard let part = X509V3_EXT_conf_nid(nil, &context, kind, value) else { return false }
        defer { X509_EXTENSION_free(part) }
        return X509_add_ext(certificate, part, -1) == 1
    }

    private static func text(_ write: (OpaquePointer) -> CInt) throws(TLSFailure) -> [UInt8] {
        guard let writer = BIO_new(BIO_s_mem()) else { throw .library(.library, "memory is short") }
        defer { BIO_free(writer) }
        var text = [UInt8](repeating: 0, count: 16 << 10)
        guard write(writer) == 1 else { throw .library(.library, "no PEM can be written") }
        let count = BIO_read(writer, &text, CInt(text.count))
        guard count > 0 else { throw .library(.library, "no PEM can be written") }
        return Array(text.prefix(Int(count)))
    }
}
