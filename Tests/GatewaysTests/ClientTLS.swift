// TLS under a test client: libssl's own, over the client's socket. It verifies nothing.
import COpenSSL
import Glibc

final class ClientTLS {
    private let context: OpaquePointer
    let ssl: OpaquePointer
    /// The server said that it ends (close_notify).
    private(set) var hasServerEnded = false

    /// Shakes hands.
    /// - Parameter set: what this client does otherwise; gets its context.
    init(_ descriptor: CInt, _ set: (OpaquePointer) -> Void) throws {
        context = SSL_CTX_new(TLS_client_method())
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
        set(context)
        ssl = SSL_new(context)
        SSL_set_fd(ssl, descriptor)
        ERR_clear_error()
        guard SSL_connect(ssl) == 1 else { throw Self.failure("handshake") }
    }

    deinit {
        SSL_free(ssl)
        SSL_CTX_free(context)
    }

    private static func failure(_ what: String) -> ClientError {
        let reason = ERR_reason_error_string(ERR_peek_last_error()).map { String(cString: $0) } ?? "closed"
        ERR_clear_error()
        return .system("\(what): \(reason)")
    }

    func write(_ octets: UnsafeRawBufferPointer) -> Int {
        ERR_clear_error()
        return Int(SSL_write(ssl, octets.baseAddress, CInt(clamping: octets.count)))
    }

    /// As recv(2) has it: 0 at the end.
    func read(_ room: UnsafeMutableRawBufferPointer) throws -> Int {
        ERR_clear_error()
        errno = 0
        let count = SSL_read(ssl, room.baseAddress, CInt(clamping: room.count))
        if count > 0 { return Int(count) }
        switch SSL_get_error(ssl, count) {
        case SSL_ERROR_ZERO_RETURN:
            hasServerEnded = true
            return 0
        case SSL_ERROR_WANT_READ: throw ClientError.silence
        case SSL_ERROR_SYSCALL where errno == EAGAIN: throw ClientError.silence
        default: throw Self.failure("read")
        }
    }

    /// Says that the client sends no more; the socket stays open.
    func end() { SSL_shutdown(ssl) }

    var version: String { String(cString: SSL_get_version(ssl)) }
    var isResumed: Bool { SSL_session_reused(ssl) == 1 }
    var commonName: String {
        guard let certificate = SSL_get0_peer_certificate(ssl) else { return "" }
        var text = [CChar](repeating: 0, count: 256)
        let subject = X509_get_subject_name(certificate)
        X509_NAME_get_text_by_NID(subject, NID_commonName, &text, CInt(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
