internal import COpenSSL

/// One certificate, parsed.
// libcrypto's object is not changed after it was parsed, and counts its references atomically.
final class Certificate: @unchecked Sendable {
    let pointer: OpaquePointer

    /// Takes over the reference.
    init(_ pointer: OpaquePointer) { self.pointer = pointer }

    deinit { X509_free(pointer) }

    /// DNS names among the alternative names, in lower case.
    var names: [String] { alternativeNames(of: pointer, GEN_DNS).map { $0.lowercased() } }
    /// Seconds since 1970.
    var notBefore: Int64? { seconds(X509_get0_notBefore(pointer)) }
    var notAfter: Int64? { seconds(X509_get0_notAfter(pointer)) }

    /// All certificates of a PEM file, in their order.
    static func all(inPEM octets: [UInt8]) throws(TLSFailure) -> [Certificate] {
        try withReader(octets) { reader throws(TLSFailure) in
            var certificates: [Certificate] = []
            while let pointer = PEM_read_bio_X509(reader, nil, nil, nil) {
                certificates.append(Certificate(pointer))
                guard certificates.count <= TLSLimits.certificatesPerFileMax else {
                    throw TLSFailure(.library, "holds more than \(TLSLimits.certificatesPerFileMax) certificates")
                }
            }
            // The end of the file is an error too: no further start line.
            let isEnd = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE
            guard isEnd, !certificates.isEmpty else {
                if isEnd {
                    ERR_clear_error()
                    throw TLSFailure(.library, "holds no certificate in PEM form")
                }
                throw .library(.library, "holds a certificate that cannot be read")
            }
            ERR_clear_error()
            return certificates
        }
    }
}

/// Lends a reader over `octets`.
func withReader<Result>(
    _ octets: [UInt8], _ body: (OpaquePointer) throws(TLSFailure) -> Result
) throws(TLSFailure) -> Result {
    ERR_clear_error()
    guard let reader = BIO_new_mem_buf(octets, CInt(clamping: octets.count)) else {
        throw .library(.library, "cannot be read")
    }
    defer { BIO_free(reader) }
    return try body(reader)
}

/// Alternative names of one type that are text in printable ASCII; others are passed over.
func alternativeNames(of certificate: OpaquePointer, _ type: CInt) -> [String] {
    guard let names = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else { return [] }
    defer { ll_names_free(names) }
    return (0..<ll_stack_count(names)).compactMap { index in
        var count: CInt = 0
        guard let text = ll_name_text(ll_stack_item(names, index), type, &count) else { return nil }
        let octets = UnsafeBufferPointer(start: text, count: Int(count))
        guard !octets.isEmpty, octets.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        return String(decoding: octets, as: UTF8.self)
    }
}

private func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64? {
    var parts = tm()
    guard ASN1_TIME_to_tm(time, &parts) == 1 else { return nil }
    return Int64(timegm(&parts))
}

extension ClientCertificate {
    /// Reads a certificate that was verified.
    init(_ certificate: OpaquePointer) {
        let subject = X509_get_subject_name(certificate)
        self.init(
            mailAddresses: alternativeNames(of: certificate, GEN_EMAIL), commonName: soleCommonName(subject),
            subject: oneLine(subject), issuer: oneLine(X509_get_issuer_name(certificate)),
            fingerprint: digest(of: certificate, EVP_sha256()) ?? [])
    }
}

/// The one common name of a subject; nil where there is none, or several, or it is not plain text.
private func soleCommonName(_ subject: OpaquePointer?) -> String? {
    let index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1)
    guard index >= 0, X509_NAME_get_index_by_NID(subject, NID_commonName, index) < 0 else { return nil }
    var text: UnsafeMutablePointer<UInt8>?
    let entry = X509_NAME_get_entry(subject, index)
    let count = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry))
    guard count >= 0, let text else { return nil }
    defer { ll_free(text) }
    let octets = UnsafeBufferPointer(start: text, count: Int(count))
    guard !octets.isEmpty, octets.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
    return String(validating: octets, as: UTF8.self)
}

/// RFC 2253, with everything escaped that is not printable ASCII.
private func oneLine(_ subject: OpaquePointer?) -> String {
    guard let writer = BIO_new(BIO_s_mem()) else { return "" }
    defer { BIO_free(writer) }
    ll_name_print(writer, subject)
    var text = [UInt8](repeating: 0, count: 1024)
    let count = BIO_read(writer, &text, CInt(text.count))
    return String(decoding: text.prefix(Int(max(0, count))), as: UTF8.self)
}

func digest(of certificate: OpaquePointer, _ algorithm: OpaquePointer?) -> [UInt8]? {
    var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var count: UInt32 = 0
    guard X509_digest(certificate, algorithm, &digest, &count) == 1 else { return nil }
    return Array(digest.prefix(Int(count)))
}

/// RFC 5929 section 4.1: the hash function of the certificate's signature, but SHA-256 in place of MD5 and SHA-1. Nil
/// where the signature has no single hash function.
func endPointHash(_ certificate: OpaquePointer) -> [UInt8]? {
    var algorithm = NID_undef
    guard X509_get_signature_info(certificate, &algorithm, nil, nil, nil) == 1, algorithm != NID_undef else {
        return nil
    }
    if algorithm == NID_md5 || algorithm == NID_sha1 { algorithm = NID_sha256 }
    return digest(of: certificate, EVP_get_digestbyname(OBJ_nid2sn(algorithm)))
}
