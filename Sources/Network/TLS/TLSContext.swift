// Everything that holds for the sessions under one certificate, or of one kind of client: versions, ciphers, groups,
// tickets, whom to trust.
//
// The choice is that of RFC 9325: TLS 1.2 with forward secrecy and authenticated encryption only, and TLS 1.3. What the
// system's openssl.cnf adds (a security level, a higher floor) stays in force.
internal import COpenSSL

/// The oldest version that is spoken.
package enum TLSVersion: String, CaseIterable, Sendable {
    case tls12 = "1.2"
    case tls13 = "1.3"

    fileprivate var number: CInt { self == .tls12 ? TLS1_2_VERSION : TLS1_3_VERSION }
}

// The context is not changed after it was made; libssl counts its references atomically.
final class TLSContext: @unchecked Sendable {
    /// RFC 9325 section 4.2. Those with a 128-bit key come first, as they cost less; ChaCha20 goes to clients that put it
    /// first, which have no instructions for AES (`SSL_OP_PRIORITIZE_CHACHA`).
    private static let ciphers = [
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
    ]
    private static let suites = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
    private static let groups = ["X25519", "P-256", "P-384"]
    /// Certificates between a client's and the authority.
    private static let clientChainMax: CInt = 5
    /// Certificates between a server's and the authority.
    private static let serverChainMax: CInt = 10

    let pointer: OpaquePointer

    private init(_ method: OpaquePointer?, _ minimumVersion: TLSVersion) throws(TLSFailure) {
        ERR_clear_error()
        guard let pointer = SSL_CTX_new(method) else { throw .library(.library, "libssl does not start") }
        // Frees it also when one of the next steps throws.
        self.pointer = pointer
        let isSet =
            ll_ctx_set_versions(pointer, minimumVersion.number, TLS1_3_VERSION) == 1
            && SSL_CTX_set_cipher_list(pointer, Self.ciphers.joined(separator: ":")) == 1
            && SSL_CTX_set_ciphersuites(pointer, Self.suites.joined(separator: ":")) == 1
            && ll_ctx_set_groups(pointer, Self.groups.joined(separator: ":")) == 1
        guard isSet else { throw .library(.library, "libssl refuses versions or ciphers") }
        ll_ctx_set_habits(pointer)
    }

    deinit { SSL_CTX_free(pointer) }

    // MARK: Of a client

    convenience init(_ options: TLSClientOptions) throws(TLSFailure) {
        try self.init(TLS_client_method(), options.minimumVersion)
        ll_ctx_set_certificate_octets_max(pointer, TLSLimits.serverCertificatesOctetsMax)
        SSL_CTX_set_verify_depth(pointer, Self.serverChainMax)
        SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, nil)
        switch options.trust {
        case .anyone: SSL_CTX_set_verify(pointer, SSL_VERIFY_NONE, nil)
        case .system: try trustSystem()
        case .authority(let authority): try trust(authority)
        }
        if let credential = options.credential { try present(credential) }
    }

    /// The files are read now: a directory of authorities would be read in the middle of handshakes.
    private func trustSystem() throws(TLSFailure) {
        // What SSL_CERT_FILE names, or cert.pem in libssl's directory; neither need be there.
        SSL_CTX_set_default_verify_file(pointer)
        if trustedCount == 0 { SSL_CTX_load_verify_file(pointer, TLSAuthority.systemFile) }
        ERR_clear_error()
        guard trustedCount > 0 else {
            throw TLSFailure(.library, "this system has no authorities in \(TLSAuthority.systemFile)")
        }
    }

    private var trustedCount: CInt {
        X509_STORE_get0_objects(SSL_CTX_get_cert_store(pointer)).map { ll_stack_count(UnsafeRawPointer($0)) } ?? 0
    }

    // MARK: Of a server

    convenience init(_ credential: TLSCredential, _ options: TLSServerOptions) throws(TLSFailure) {
        try self.init(TLS_server_method(), options.minimumVersion)
        try set(options)
        try present(credential)
        if let authority = options.authority { try ask(authority) }
        setCallbacks()
    }

    private func set(_ options: TLSServerOptions) throws(TLSFailure) {
        guard SSL_CTX_set_num_tickets(pointer, TLSLimits.ticketsPerSession) == 1 else {
            throw .library(.library, "libssl refuses tickets")
        }
        ll_ctx_set_certificate_octets_max(pointer, TLSLimits.clientCertificatesOctetsMax)
        SSL_CTX_set_timeout(pointer, TLSLimits.ticketSecondsMax)
        // libssl compares this with a ticket's: one given out under another authority does not resume.
        let scope = options.authority?.fingerprint ?? Array("letterlog".utf8)
        guard SSL_CTX_set_session_id_context(pointer, scope, UInt32(scope.count)) == 1 else {
            throw .library(.library, "libssl refuses the scope of sessions")
        }
    }

    /// A client may present a certificate, and one that it presents must be good.
    private func ask(_ authority: TLSAuthority) throws(TLSFailure) {
        try trust(authority)
        for certificate in authority.certificates where SSL_CTX_add_client_CA(pointer, certificate.pointer) != 1 {
            throw .library(.library, "an authority cannot be taken")
        }
        SSL_CTX_set_verify_depth(pointer, Self.clientChainMax)
        SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, nil)
    }

    private func setCallbacks() {
        _ = ll_ctx_set_ticket_callback(pointer, ticketKey)
        ll_ctx_set_name_callback(pointer, chooseCertificate)
        SSL_CTX_set_alpn_select_cb(pointer, chooseProtocol, nil)
    }

    // MARK: Of both

    private func trust(_ authority: TLSAuthority) throws(TLSFailure) {
        let store = SSL_CTX_get_cert_store(pointer)
        for certificate in authority.certificates where X509_STORE_add_cert(store, certificate.pointer) != 1 {
            throw .library(.library, "an authority cannot be taken")
        }
    }

    private func present(_ credential: TLSCredential) throws(TLSFailure) {
        guard SSL_CTX_use_certificate(pointer, credential.certificate.pointer) == 1,
            SSL_CTX_use_PrivateKey(pointer, credential.key) == 1
        else { throw .library(.library, "the certificate is not good enough for this system") }
        for certificate in credential.chain where ll_ctx_add_chain(pointer, certificate.pointer) != 1 {
            throw .library(.library, "a certificate of the chain is not good enough for this system")
        }
    }
}

/// SNI (RFC 6066 section 3): another certificate where there is one for the name. A name that is not known gets the main
/// one: the client judges.
private func chooseCertificate(
    _ ssl: OpaquePointer?, _ alert: UnsafeMutablePointer<CInt>?, _ argument: UnsafeMutableRawPointer?
) -> CInt {
    guard let server = TLSSession.of(ssl)?.server, let name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name),
        strlen(name) <= TLSLimits.serverNameOctetsMax,
        let context = server.context(for: String(cString: name))
    else { return SSL_TLSEXT_ERR_OK }
    SSL_set_SSL_CTX(ssl, context.pointer)
    return SSL_TLSEXT_ERR_OK
}

/// ALPN (RFC 7301 section 3.2): a client that names protocols must name ours. It may name none: then the port decides,
/// as ever. So a browser led here by another's page is refused before it can say anything.
private func chooseProtocol(
    _ ssl: OpaquePointer?, _ chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
    _ chosenCount: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?, _ offeredCount: UInt32,
    _ argument: UnsafeMutableRawPointer?
) -> CInt {
    guard let ours = TLSSession.of(ssl)?.applicationProtocol?.utf8, let offered else {
        return SSL_TLSEXT_ERR_ALERT_FATAL
    }
    let list = UnsafeBufferPointer(start: offered, count: Int(offeredCount))
    var position = 0
    while position < list.count {
        let end = position + 1 + Int(list[position])
        guard end <= list.count else { break }
        if list[(position + 1)..<end].elementsEqual(ours) {
            chosen?.pointee = offered + position + 1
            chosenCount?.pointee = list[position]
            return SSL_TLSEXT_ERR_OK
        }
        position = end
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL
}
