// One side of a TLS session, as octets in and octets out: no socket, no event loop, no clock.
//
// Invariants
// - Octets are lent for the length of a call, in both directions. Between two calls nothing of the peer's input is held
//   but part of a record, in libssl.
// - What goes out comes in the order in which it was made: first what `write` put where it was told to, then what had no
//   room there, which `takeControl` hands over. So `takeControl` comes before every `write`, and after every call.
// - After a failure, and after `end`, nothing more is made or taken.
//
// libssl is told of input by pointers (see COpenSSL/tls.h) and asked again until it wants more. It holds no buffers while
// it waits for a record (SSL_MODE_RELEASE_BUFFERS).
internal import COpenSSL

package final class TLSSession {
    /// What came of one look at the input.
    package enum Step: Equatable, Sendable {
        /// This many plain octets stand where they were wanted.
        case octets(Int)
        /// The handshake is done. Comes once.
        case established
        /// Nothing more without more input.
        case needsInput
        /// The other side sends no more (close_notify, RFC 8446 section 6.1). Comes after `established`, and again when
        /// asked again.
        case ended
        case failed(TLSFailure)
    }

    /// What the listener speaks, as ALPN names it (RFC 7301); of a client, nil.
    let applicationProtocol: String?
    /// Nil of a client.
    let server: TLSServer.Snapshot?
    /// Whom a client speaks to.
    private let host: TLSHost?
    private let ssl: OpaquePointer
    private let wire: UnsafeMutablePointer<ll_wire>
    private var hello: HelloGuard
    private var handshakeOctets = 0
    package private(set) var isEstablished = false
    private var failure: TLSFailure?
    private var isSendingEnded = false

    convenience init(_ server: TLSServer.Snapshot, applicationProtocol: String) throws(TLSFailure) {
        try self.init(server.main, server, applicationProtocol, nil)
        SSL_set_accept_state(ssl)
    }

    /// A client's. The first call of `read`, without input, makes its first message.
    convenience init(_ context: TLSContext, host: TLSHost, applicationProtocol: String?) throws(TLSFailure) {
        try self.init(context, nil, nil, host)
        SSL_set_connect_state(ssl)
        try ask(for: host, applicationProtocol)
    }

    private init(
        _ context: TLSContext, _ server: TLSServer.Snapshot?, _ applicationProtocol: String?, _ host: TLSHost?
    ) throws(TLSFailure) {
        self.server = server
        self.applicationProtocol = applicationProtocol
        self.host = host
        hello = HelloGuard(isOfServer: server == nil)
        guard let ssl = SSL_new(context.pointer) else { throw .library(.library, "no session can be made") }
        let wire = UnsafeMutablePointer<ll_wire>.allocate(capacity: 1)
        wire.initialize(to: ll_wire())
        guard ll_wire_attach(wire, LibraryIndexes.shared.wireMethod, ssl) == 1 else {
            SSL_free(ssl)
            wire.deallocate()
            throw .library(.library, "no session can be made")
        }
        self.ssl = ssl
        self.wire = wire
        SSL_set_ex_data(ssl, LibraryIndexes.shared.session, Unmanaged.passUnretained(self).toOpaque())
    }

    deinit {
        SSL_free(ssl)
        free(wire.pointee.spill)
        wire.deallocate()
    }

    /// The session that a callback of libssl is about; nil for one that is not ours.
    static func of(_ ssl: OpaquePointer?) -> TLSSession? {
        guard let data = SSL_get_ex_data(ssl, LibraryIndexes.shared.session) else { return nil }
        return Unmanaged<TLSSession>.fromOpaque(data).takeUnretainedValue()
    }

    /// RFC 9525 section 6: the name is looked for among the alternative names alone, a `*` stands for a whole label.
    private func ask(for host: TLSHost, _ applicationProtocol: String?) throws(TLSFailure) {
        SSL_set_hostflags(ssl, UInt32(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
        // SNI is for names, not for addresses (RFC 6066 section 3).
        let isSet =
            host.isAddress
            ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.name) == 1
            : SSL_set1_host(ssl, host.name) == 1 && ll_ssl_set_name(ssl, host.name) == 1
        guard isSet else { throw .library(.library, "\(host.name) cannot be asked for") }
        guard let name = applicationProtocol?.utf8, !name.isEmpty, name.count <= 255 else { return }
        let list = [UInt8(name.count)] + name
        // Zero says that it went well.
        guard SSL_set_alpn_protos(ssl, list, UInt32(list.count)) == 0 else {
            throw .library(.library, "the application protocol cannot be asked for")
        }
    }

    private var other: String { server == nil ? "server" : "client" }

    // MARK: Reading

    /// Plain octets that libssl has ready: part of a record that had no room.
    package var pendingOctets: Int { Int(SSL_pending(ssl)) }

    /// Takes one step on the peer's octets. Called again until it needs input, has ended, or has failed.
    ///
    /// - Parameters:
    ///   - input: what the peer sent; what was taken is cut off.
    ///   - room: where plain octets go; not empty.
    package func read(_ input: inout UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer) -> Step {
        if let failure { return .failed(failure) }
        if !isEstablished, let failure = look(at: input) { return fail(failure) }
        ERR_clear_error()
        wire.pointee.in = input.bindMemory(to: UInt8.self).baseAddress
        wire.pointee.in_count = input.count
        var count = 0
        let code: CInt
        if isEstablished {
            code = SSL_read_ex(ssl, room.baseAddress, room.count, &count)
        } else {
            code = SSL_do_handshake(ssl)
        }
        let left = wire.pointee.in_count
        if !isEstablished { handshakeOctets += input.count - left }
        wire.pointee.in = nil
        wire.pointee.in_count = 0
        input = UnsafeRawBufferPointer(rebasing: input[(input.count - left)...])
        if isEstablished, let failure = overstepped() { return fail(failure) }
        guard code == 1 else { return reason(code) }
        if isEstablished { return .octets(count) }
        isEstablished = true
        return .established
    }

    /// What speaks against input that libssl has not seen yet.
    private func look(at input: UnsafeRawBufferPointer) -> TLSFailure? {
        hello.look(at: input)
        switch hello.verdict {
        case .notTLS: return TLSFailure(.notTLS, "what the \(other) sent is not TLS")
        case .tooLarge: return TLSFailure(.limit, "the \(other)'s first message is too large")
        case .undecided, .good: break
        }
        // Behind the last message of the handshake more may follow at once.
        let octetsMax = server == nil ? TLSLimits.serverHandshakeOctetsMax : TLSLimits.handshakeOctetsMax
        guard handshakeOctets <= octetsMax else {
            return TLSFailure(.limit, "the \(other)'s handshake is too large")
        }
        return nil
    }

    private func overstepped() -> TLSFailure? {
        if wire.pointee.renegotiations > 0 { return TLSFailure(.limit, "the \(other) wants to renegotiate") }
        if wire.pointee.key_updates > TLSLimits.keyUpdatesMax { return TLSFailure(.limit, "too many key updates") }
        return nil
    }

    private func reason(_ code: CInt) -> Step {
        switch SSL_get_error(ssl, code) {
        case SSL_ERROR_WANT_READ: return .needsInput
        // Before there is a session its end is a failure: libssl would go on with the handshake if it were asked again.
        case SSL_ERROR_ZERO_RETURN: return isEstablished ? .ended : fail(.closedInHandshake(by: other))
        default: return fail(isEstablished ? reasonOfRecord : reasonOfHandshake)
        }
    }

    private var reasonOfRecord: TLSFailure {
        // Also where a server does not take a client's certificate: in TLS 1.3 the client is done before it learns that.
        .library(.record, TLSFailure.isAlertOfOthers ? "the \(other) ends the session" : "the record is bad")
    }

    private var reasonOfHandshake: TLSFailure {
        let result = SSL_get_verify_result(ssl)
        // Without verification the result is noted, but nothing fails of it.
        guard SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE, result != Int(X509_V_OK), !TLSFailure.isAlertOfOthers else {
            return .library(.handshake, TLSFailure.isAlertOfOthers ? "the \(other) refuses" : "the handshake failed")
        }
        ERR_clear_error()
        switch CInt(result) {
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            return TLSFailure(.certificate, "the server's certificate is not for \(host?.name ?? "")")
        default:
            let text = X509_verify_cert_error_string(result).map { String(cString: $0) } ?? "error \(result)"
            return TLSFailure(.certificate, "the \(other)'s certificate is not trusted: \(text)")
        }
    }

    private func fail(_ failure: TLSFailure) -> Step {
        self.failure = failure
        return .failed(failure)
    }

    // MARK: Writing

    /// The room that `write` needs for this many plain octets, at most.
    package static func wireOctets(for count: Int) -> Int {
        count + (count / TLSLimits.recordOctetsMax + 1) * TLSLimits.recordOverheadOctetsMax
    }

    /// Seals plain octets for the peer.
    ///
    /// - Parameter room: `wireOctets(for:)` octets.
    /// - Returns: how many octets stand there; nil when there is no session that could send any more.
    /// - Precondition: the handshake is done, and `takeControl` was called after the last call.
    package func write(_ plain: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer) -> Int? {
        guard failure == nil, isEstablished, !isSendingEnded else { return nil }
        guard plain.count > 0 else { return 0 }
        ERR_clear_error()
        wire.pointee.out = room.bindMemory(to: UInt8.self).baseAddress
        wire.pointee.out_capacity = room.count
        wire.pointee.out_count = 0
        var taken = 0
        let code = SSL_write_ex(ssl, plain.baseAddress, plain.count, &taken)
        let count = wire.pointee.out_count
        wire.pointee.out = nil
        wire.pointee.out_capacity = 0
        wire.pointee.out_count = 0
        guard code == 1, taken == plain.count else {
            failure = .library(.library, "octets cannot be sealed")
            return nil
        }
        return count
    }

    /// Tells the peer that nothing more comes (close_notify); `takeControl` has the octets.
    package func end() {
        guard failure == nil, isEstablished, !isSendingEnded else { return }
        isSendingEnded = true
        ERR_clear_error()
        SSL_shutdown(ssl)
        ERR_clear_error()
    }

    /// Whether the handshake, an alert or an answer to the peer waits to be sent.
    package var hasControl: Bool { wire.pointee.spill_count > 0 }

    /// Hands over what libssl wants sent beside what was written.
    package func takeControl(_ body: (UnsafeRawBufferPointer) -> Void) {
        guard wire.pointee.spill_count > 0 else { return }
        body(UnsafeRawBufferPointer(start: wire.pointee.spill, count: wire.pointee.spill_count))
        free(wire.pointee.spill)
        wire.pointee.spill = nil
        wire.pointee.spill_count = 0
        wire.pointee.spill_capacity = 0
    }

    // MARK: What was settled

    /// Nil before the handshake is done.
    package var info: TLSInfo? {
        guard isEstablished else { return nil }
        var selected: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &selected, &count)
        let name = selected.map {
            String(decoding: UnsafeBufferPointer(start: $0, count: Int(count)), as: UTF8.self)
        }
        let cipher = SSL_get_current_cipher(ssl)
        return TLSInfo(
            version: String(cString: SSL_get_version(ssl)),
            cipher: SSL_CIPHER_standard_name(cipher).map { String(cString: $0) } ?? "",
            cipherBits: Int(SSL_CIPHER_get_bits(cipher, nil)),
            serverName: SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name).map { String(cString: $0).lowercased() },
            applicationProtocol: name, isResumed: SSL_session_reused(ssl) == 1, clientCertificate: clientCertificate)
    }

    private var clientCertificate: ClientCertificate? {
        guard let server, server.asksForCertificate, SSL_get_verify_result(ssl) == Int(X509_V_OK),
            let certificate = SSL_get0_peer_certificate(ssl)
        else { return nil }
        return ClientCertificate(certificate)
    }

    /// The octets that bind an authentication to this session; nil where this session has none of that kind.
    package func channelBinding(_ kind: ChannelBinding) -> [UInt8]? {
        guard isEstablished else { return nil }
        switch kind {
        case .exporter:
            // RFC 9266 section 4.2: without the extended master secret, two sessions of TLS 1.2 may have the same.
            guard SSL_version(ssl) >= TLS1_3_VERSION || ll_ssl_has_extended_master_secret(ssl) == 1 else { return nil }
            return exported(label: "EXPORTER-Channel-Binding", octets: 32)
        case .serverEndPoint:
            let certificate = server == nil ? SSL_get0_peer_certificate(ssl) : SSL_get_certificate(ssl)
            guard let certificate else { return nil }
            return endPointHash(certificate)
        }
    }

    /// Keying material (RFC 8446 section 7.5, RFC 5705) with an empty context.
    private func exported(label: String, octets: Int) -> [UInt8]? {
        var material = [UInt8](repeating: 0, count: octets)
        let context: [UInt8] = [0]
        let code = label.withCString { label in
            SSL_export_keying_material(ssl, &material, octets, label, strlen(label), context, 0, 1)
        }
        return code == 1 ? material : nil
    }
}
