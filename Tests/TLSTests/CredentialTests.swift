// Certificate and key files, good and not.
import COpenSSL
import Testing

@testable import TLS

private let made = try? SelfSignedCertificate.make(hosts: ["mail.example.test", "example.test"], now: 1_800_000_000)
private let other = try? SelfSignedCertificate.make(hosts: ["other.test"], now: 1_800_000_000)

private func octets(_ text: String) -> [UInt8] { Array(text.utf8) }

@Suite struct CredentialTests {
    @Test func aSelfSignedOne() throws {
        let made = try #require(made)
        let credential = try TLSCredential(certificates: made.certificate, key: made.key)
        #expect(credential.names == ["mail.example.test", "example.test", "localhost"])
        #expect(credential.notAfter == Int64(1_800_000_000 - 3600 + 825 * 86_400))
        #expect(credential.objection(at: 1_800_000_000) == nil)
        #expect(credential.objection(at: 1_700_000_000) == "is not valid yet")
        #expect(credential.objection(at: 1_900_000_000) == "has expired")
        // A client that has it trusts it.
        let certificate = credential.certificate.pointer
        let store = X509_STORE_new()
        defer { X509_STORE_free(store) }
        X509_STORE_add_cert(store, certificate)
        let check = X509_STORE_CTX_new()
        defer { X509_STORE_CTX_free(check) }
        X509_STORE_CTX_init(check, store, certificate, nil)
        let parameters = X509_STORE_CTX_get0_param(check)
        X509_VERIFY_PARAM_set_time(parameters, 1_800_000_000)
        X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_SERVER)
        X509_VERIFY_PARAM_set1_host(parameters, "mail.example.test", 0)
        #expect(X509_verify_cert(check) == 1)
        #expect(try SelfSignedCertificate.make(hosts: [], now: 0).certificate.count > 100)
        let odd = try SelfSignedCertificate.make(hosts: ["a,DNS:evil.test", "good.test"], now: 0)
        #expect(try TLSCredential(certificates: odd.certificate, key: odd.key).names == ["good.test", "localhost"])
    }

    @Test func chainsAndOneFileForBoth() throws {
        let (made, other) = (try #require(made), try #require(other))
        let credential = try TLSCredential(certificates: made.certificate + other.certificate, key: made.key)
        #expect(credential.chain.count == 1)
        #expect(
            try TLSCredential(certificates: made.key + made.certificate, key: made.certificate + made.key).chain.isEmpty
        )
    }

    /// A pair of files, and what is said of it.
    struct BadPair: Sendable, CustomTestStringConvertible {
        let certificate: [UInt8]
        let key: [UInt8]
        let reason: String
        var testDescription: String { reason }
    }

    static let badPairs = [
        BadPair(certificate: made?.certificate ?? [], key: other?.key ?? [], reason: "does not belong to the key"),
        BadPair(certificate: made?.key ?? [], key: made?.key ?? [], reason: "holds no certificate in PEM form"),
        BadPair(certificate: [], key: made?.key ?? [], reason: "holds no certificate in PEM form"),
        BadPair(
            certificate: octets("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            key: made?.key ?? [], reason: "holds a certificate that cannot be read"),
        BadPair(
            certificate: Array((made?.certificate ?? []).dropLast(100)), key: made?.key ?? [],
            reason: "holds a certificate that cannot be read"),
        BadPair(
            certificate: made?.certificate ?? [], key: made?.certificate ?? [],
            reason: "has no private key in PEM form"),
        BadPair(certificate: made?.certificate ?? [], key: [0, 1, 2], reason: "has no private key in PEM form"),
        BadPair(
            certificate: made?.certificate ?? [],
            key: octets("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
            reason: "has a private key that cannot be read"),
    ]

    @Test(arguments: badPairs)
    func whatIsWrongIsSaid(_ pair: BadPair) {
        let failure = #expect(throws: TLSFailure.self) {
            try TLSCredential(certificates: pair.certificate, key: pair.key)
        }
        #expect(failure?.reason.contains(pair.reason) == true, "\(failure?.reason ?? "")")
    }

    @Test func aKeyUnderAPasswordIsRefusedWithoutAsking() throws {
        let key = ll_new_p256_key()
        defer { EVP_PKEY_free(key) }
        let writer = BIO_new(BIO_s_mem())
        defer { BIO_free(writer) }
        let password = Array("secret".utf8)
        PEM_write_bio_PKCS8PrivateKey(
            writer, key, EVP_aes_256_cbc(), password.map { CChar($0) }, CInt(password.count), nil, nil)
        var text = [UInt8](repeating: 0, count: 8192)
        let count = BIO_read(writer, &text, CInt(text.count))
        let failure = #expect(throws: TLSFailure.self) {
            try TLSCredential(certificates: made?.certificate ?? [], key: Array(text.prefix(Int(count))))
        }
        #expect(failure?.reason.contains("under a password") == true)
    }

    @Test func authorities() throws {
        let (one, two) = (try TestAuthority("One"), try TestAuthority("Two"))
        let both = try TLSAuthority(certificates: one.pem + two.pem)
        #expect(both.certificates.count == 2)
        #expect(try both.fingerprint != TLSAuthority(certificates: one.pem).fingerprint)
        #expect(throws: TLSFailure.self) { try TLSAuthority(certificates: [1]) }
    }
}
