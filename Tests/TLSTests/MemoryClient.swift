// libssl's own client over memory, and what a conversation with a session of ours needs.
import COpenSSL
import Synchronization
import Testing

@testable import TLS

/// What went wrong on the client's side.
struct ClientFailure: Error, CustomStringConvertible {
    let description: String
}

final class MemoryClient {
    let context: OpaquePointer
    let ssl: OpaquePointer
    private let wire: MemoryWire

    /// - Parameter set: what this client does otherwise; gets its context.
    init(name: String? = nil, protocols: [String] = [], set: (OpaquePointer) -> Void = { _ in }) {
        context = SSL_CTX_new(TLS_client_method())
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
        set(context)
        ssl = SSL_new(context)
        wire = MemoryWire(ssl)
        SSL_set_connect_state(ssl)
        if let name {
            name.withCString { text in
                _ = SSL_ctrl(
                    ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, Int(TLSEXT_NAMETYPE_host_name),
                    UnsafeMutableRawPointer(mutating: text))
            }
        }
        let list = protocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        if !list.isEmpty { SSL_set_alpn_protos(ssl, list, UInt32(list.count)) }
    }

    deinit {
        SSL_free(ssl)
        SSL_CTX_free(context)
    }

    /// Goes on with the handshake; whether it is done.
    func handshake() throws -> Bool {
        ERR_clear_error()
        let code = SSL_do_handshake(ssl)
        if code == 1 { return true }
        guard SSL_get_error(ssl, code) == SSL_ERROR_WANT_READ else { throw failure() }
        return false
    }

    private func failure() -> ClientFailure {
        let text = ERR_reason_error_string(ERR_peek_last_error()).map { String(cString: $0) } ?? "failed"
        ERR_clear_error()
        return ClientFailure(description: text)
    }

    /// What is to be sent to the server.
    func takeOutput() -> [UInt8] { wire.takeOutput() }

    /// What came from the server.
    func give(_ octets: [UInt8]) { wire.give(octets) }

    func write(_ octets: [UInt8]) throws {
        ERR_clear_error()
        guard octets.isEmpty || SSL_write(ssl, octets, CInt(octets.count)) == octets.count else { throw failure() }
    }

    /// All there is to read; nil in the end.
    func read() throws -> [UInt8]? {
        var all: [UInt8] = []
        while true {
            var part = [UInt8](repeating: 0, count: 1 << 16)
            ERR_clear_error()
            let count = SSL_read(ssl, &part, CInt(part.count))
            if count > 0 {
                all += part.prefix(Int(count))
                continue
            }
            switch SSL_get_error(ssl, count) {
            case SSL_ERROR_WANT_READ: return all
            case SSL_ERROR_ZERO_RETURN: return all.isEmpty ? nil : all
            default: throw failure()
            }
        }
    }

    func end() { SSL_shutdown(ssl) }

    var version: String { String(cString: SSL_get_version(ssl)) }
    var isResumed: Bool { SSL_session_reused(ssl) == 1 }
    var subject: String {
        guard let certificate = SSL_get0_peer_certificate(ssl) else { return "" }
        return ClientCertificate(certificate).commonName ?? ""
    }
    var chosenProtocol: String? {
        var text: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &text, &count)
        return text.map { String(decoding: UnsafeBufferPointer(start: $0, count: Int(count)), as: UTF8.self) }
    }
}

/// What a session of libssl's reads from and writes to. It is freed with the session.
private struct MemoryWire {
    private let incoming: OpaquePointer = BIO_new(BIO_s_mem())
    private let outgoing: OpaquePointer = BIO_new(BIO_s_mem())

    init(_ ssl: OpaquePointer) {
        // The read end says "later", not "the end", when it is empty.
        BIO_ctrl(incoming, BIO_C_SET_BUF_MEM_EOF_RETURN, -1, nil)
        SSL_set_bio(ssl, incoming, outgoing)
    }

    func takeOutput() -> [UInt8] {
        var octets = [UInt8](repeating: 0, count: BIO_ctrl(outgoing, BIO_CTRL_PENDING, 0, nil))
        if !octets.isEmpty { BIO_read(outgoing, &octets, CInt(octets.count)) }
        return octets
    }

    func give(_ octets: [UInt8]) { if !octets.isEmpty { BIO_write(incoming, octets, CInt(octets.count)) } }
}

/// libssl's own server over memory, for what ours does not do.
final class MemoryServer {
    private let context: OpaquePointer
    private let ssl: OpaquePointer
    private let wire: MemoryWire

    init(_ issued: Issued, version: CInt) {
        context = SSL_CTX_new(TLS_server_method())
        _ = ll_ctx_set_versions(context, version, version)
        SSL_CTX_use_certificate(context, issued.certificate)
        SSL_CTX_use_PrivateKey(context, issued.key)
        ssl = SSL_new(context)
        wire = MemoryWire(ssl)
        SSL_set_accept_state(ssl)
    }

    deinit {
        SSL_free(ssl)
        SSL_CTX_free(context)
    }

    func answer(to octets: [UInt8]) -> [UInt8] {
        wire.give(octets)
        ERR_clear_error()
        SSL_do_handshake(ssl)
        return wire.takeOutput()
    }

    /// The same in records of one octet each.
    static func refragmented(_ wire: [UInt8]) -> [UInt8] {
        var rest = wire[...]
        var result: [UInt8] = []
        while rest.count > 5 {
            let head = Array(rest.prefix(5))
            let count = Int(head[3]) << 8 | Int(head[4])
            for octet in rest.dropFirst(5).prefix(count) { result += head[..<3] + [0, 1, octet] }
            rest = rest.dropFirst(5 + count)
        }
        return result
    }
}

/// What a session made of one piece of input.
struct Reading: Equatable {
    var plain: [UInt8] = []
    var isEstablished = false
    var hasEnded = false
    var failure: TLSFailure?
}

extension TLSSession {
    /// Everything that follows from these octets.
    func take(_ octets: [UInt8], room roomOctets: Int = 4096) -> Reading {
        var reading = Reading()
        octets.withUnsafeBytes { whole in
            var input = whole
            // Each step takes or gives at least an octet.
            for _ in 0...(2 * octets.count + TLSLimits.recordOctetsMax + 2) {
                var room = [UInt8](repeating: 0, count: roomOctets)
                let step = room.withUnsafeMutableBytes { read(&input, into: $0) }
                switch step {
                case .octets(let count): reading.plain += room.prefix(count)
                case .established: reading.isEstablished = true
                case .needsInput: return
                case .ended:
                    reading.hasEnded = true
                    return
                case .failed(let failure):
                    reading.failure = failure
                    return
                }
            }
            Issue.record("the session takes steps without end")
        }
        return reading
    }

    func control() -> [UInt8] {
        var octets: [UInt8] = []
        takeControl { octets += $0 }
        return octets
    }

    func seal(_ plain: [UInt8]) -> [UInt8]? {
        let control = control()
        var room = [UInt8](repeating: 0, count: Self.wireOctets(for: plain.count))
        let count = plain.withUnsafeBytes { plain in room.withUnsafeMutableBytes { write(plain, into: $0) } }
        return count.map { control + room.prefix($0) }
    }
}

/// Shakes hands, in pieces of at most `piece` octets. Throws what either side says.
func shakeHands(_ client: MemoryClient, _ session: TLSSession, piece: Int = .max) throws {
    var isDone = false
    for _ in 0..<10 where !isDone || !session.isEstablished {
        isDone = try client.handshake()
        var rest = client.takeOutput()[...]
        while !rest.isEmpty {
            let part = rest.prefix(piece)
            rest = rest.dropFirst(part.count)
            let reading = session.take(Array(part))
            client.give(session.control())
            if let failure = reading.failure {
                // The client learns it by the alert.
                _ = try client.handshake()
                throw failure
            }
        }
    }
    guard isDone, session.isEstablished else { throw ClientFailure(description: "the handshake does not end") }
    // Tickets come behind the handshake.
    client.give(session.control())
    #expect(try client.read() == [])
}

/// A clock that stands where it is put.
final class FakeClock: Sendable {
    private let seconds = Mutex<Int64>(1_000_000)
    var now: Int64 {
        get { seconds.withLock { $0 } }
        set { seconds.withLock { $0 = newValue } }
    }
}

func credential(_ name: String, now: Int64 = 1_800_000_000) throws -> TLSCredential {
    let made = try SelfSignedCertificate.make(hosts: [name], now: now)
    return try TLSCredential(certificates: made.certificate, key: made.key)
}

func server(
    _ name: String = "mail.example.test", clock: FakeClock = FakeClock(),
    set: (inout TLSServerOptions) throws -> Void = { _ in }
) throws -> TLSServer {
    var options = TLSServerOptions(main: try credential(name))
    try set(&options)
    return try TLSServer(options) { clock.now }
}
