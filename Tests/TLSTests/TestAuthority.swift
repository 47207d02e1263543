// An authority that vouches for clients and servers.
import COpenSSL
import Testing

@testable import TLS

final class Issued {
    let certificate: OpaquePointer
    let key: OpaquePointer

    init(certificate: OpaquePointer, key: OpaquePointer) {
        self.certificate = certificate
        self.key = key
    }

    deinit {
        X509_free(certificate)
        EVP_PKEY_free(key)
    }

    var pem: [UInt8] { text { PEM_write_bio_X509($0, certificate) } }
    var keyPEM: [UInt8] { text { PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) } }

    func credential() throws -> TLSCredential { try TLSCredential(certificates: pem, key: keyPEM) }

    private func text(_ write: (OpaquePointer?) -> CInt) -> [UInt8] {
        let writer = BIO_new(BIO_s_mem())
        defer { BIO_free(writer) }
        #expect(write(writer) == 1)
        var text = [UInt8](repeating: 0, count: BIO_ctrl(writer, BIO_CTRL_PENDING, 0, nil))
        let count = BIO_read(writer, &text, CInt(text.count))
        return Array(text.prefix(Int(count)))
    }
}

final class TestAuthority {
    private let own: Issued

    init(_ name: String) throws {
        own = try Self.make(
            name, [(NID_basic_constraints, "critical,CA:TRUE"), (NID_key_usage, "keyCertSign")], 30, nil)
    }

    var pem: [UInt8] { own.pem }

    func issue(_ name: String, mail: [String], days: Int = 30, usage: String = "clientAuth") throws -> Issued {
        var parts = [(NID_ext_key_usage, usage)]
        if !mail.isEmpty { parts.append((NID_subject_alt_name, mail.map { "email:\($0)" }.joined(separator: ","))) }
        return try Self.make(name, parts, days, own)
    }

    /// A server's.
    ///
    /// - Parameter names: as openssl.cnf writes them: `DNS:mail.example.test`, `IP:127.0.0.1`.
    func issue(
        server name: String, _ names: [String], days: Int = 30, usage: String = "serverAuth"
    ) throws -> Issued {
        var parts = [(NID_ext_key_usage, usage)]
        if !names.isEmpty { parts.append((NID_subject_alt_name, names.joined(separator: ","))) }
        return try Self.make(name, parts, days, own)
    }

    private static func make(_ name: String, _ parts: [(CInt, String)], _ days: Int, _ issuer: Issued?) throws -> Issued
    {
        let issued = Issued(certificate: X509_new(), key: ll_new_p256_key())
        let certificate = issued.certificate
        X509_set_version(certificate, 2)
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), 7)
        X509_gmtime_adj(X509_getm_notBefore(certificate), -100 * 86_400)
        X509_gmtime_adj(X509_getm_notAfter(certificate), days * 86_400)
        let subject = X509_get_subject_name(certificate)
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, Array(name.utf8), CInt(name.utf8.count), -1, 0)
        X509_set_issuer_name(certificate, issuer.map { X509_get_subject_name($0.certificate) } ?? subject)
        X509_set_pubkey(certificate, issued.key)
        for (kind, value) in parts {
            var context = X509V3_CTX()
            X509V3_set_ctx(&context, issuer?.certificate ?? certificate, certificate, nil, nil, 0)
            let part = X509V3_EXT_conf_nid(nil, &context, kind, value)
            guard part != nil, X509_add_ext(certificate, part, -1) == 1 else {
                throw ClientFailure(description: "no certificate: \(value)")
            }
            X509_EXTENSION_free(part)
        }
        guard X509_sign(certificate, issuer?.key ?? issued.key, EVP_sha256()) > 0 else {
            throw ClientFailure(description: "no signature")
        }
        return issued
    }
}
