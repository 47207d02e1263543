// TLS sessions against whatever comes. Octets from nowhere never make a session, of a server or a client; with a real client
// whose octets are tampered with on the way, whatever the server's session gives is a beginning of what the client wrote; a
// session that has failed or ended gives nothing more and says the same again; what it wants to send is bounded.
//
// Bytes: the kind, how to cut, then either what the other side sends, or steps that steer a client and tamper with its
// octets.
// Random numbers are libssl's own, so a finding may need a few runs to come again.
internal import COpenSSL

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzTLS(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    guard input.count > 2 else { return 0 }
    let isClient = input[0] & 5 == 4
    var ends = Ends(isClient ? client : { try server.makeSession(applicationProtocol: "imap") }, cut: Int(input[1]))
    if isClient { ends.take(UnsafeRawBufferPointer(start: nil, count: 0)) }
    if input[0] & 1 == 0 {
        ends.deliver(Array(input[2...]))
        precondition(ends.plain.isEmpty && !ends.session.isEstablished, "a session without keys")
    } else {
        converse(&ends, version: input[0] & 2 == 0 ? TLS1_3_VERSION : TLS1_2_VERSION, steps: input[2...])
    }
    precondition(ends.controlOctets <= 4 * (input.count + 4096), "more sent than was asked for")
    return 0
}

/// Made once: it is not what is looked at.
private let server: TLSServer = {
    do {
        let made = try SelfSignedCertificate.make(hosts: ["fuzz.example.test"], now: 1_800_000_000)
        let credential = try TLSCredential(certificates: made.certificate, key: made.key)
        var options = TLSServerOptions(main: credential)
        options.authority = try TLSAuthority(certificates: made.certificate)
        options.named = ["other.example.test": credential]
        return try TLSServer(options) { 0 }
    } catch {
        preconditionFailure("no server: \(error)")
    }
}()

/// Trusts whoever answers, which gives the other side more to say.
private func client() throws -> TLSSession {
    guard let host = TLSHost("fuzz.example.test") else { preconditionFailure("no host") }
    return try TLSSession(clientContext, host: host, applicationProtocol: "imap")
}

private let clientContext: TLSContext = {
    do {
        return try TLSContext(TLSClientOptions(trust: .anyone))
    } catch {
        preconditionFailure("no client: \(error)")
    }
}()

/// The session, and what came of it.
private struct Ends {
    let session: TLSSession
    let cut: Int
    var plain: [UInt8] = []
    var controlOctets = 0
    var control: [UInt8] = []
    /// From the step after which nothing may follow.
    var last: TLSSession.Step?

    init(_ make: () throws -> TLSSession, cut: Int) {
        guard let session = try? make() else { preconditionFailure("no session") }
        self.session = session
        self.cut = cut
    }

    mutating func deliver(_ octets: [UInt8]) {
        var rest = octets[...]
        while !rest.isEmpty {
            let part = Array(rest.prefix(cut == 0 ? .max : cut))
            rest = rest.dropFirst(part.count)
            part.withUnsafeBytes { take($0) }
        }
    }

    mutating func take(_ octets: UnsafeRawBufferPointer) {
        var input = octets
        // A buffer of the exact size, so that a write beyond it is seen.
        var room = [UInt8](repeating: 0, count: max(1, cut))
        for turn in 0... {
            precondition(turn <= 2 * octets.count + TLSLimits.recordOctetsMax + 2, "steps without end")
            let before = input.count
            let step = room.withUnsafeMutableBytes { session.read(&input, into: $0) }
            precondition(input.count <= before, "input grows")
            session.takeControl { part in
                controlOctets += part.count
                control += part
            }
            if let last { precondition(step == last, "something after the end") }
            switch step {
            case .octets(let count):
                precondition((1...room.count).contains(count))
                plain += room.prefix(count)
            case .established: precondition(session.isEstablished)
            case .needsInput: return precondition(input.isEmpty, "input left over")
            case .ended, .failed:
                last = step
                return
            }
        }
    }
}

/// A client of libssl over memory.
private final class Client {
    private let context: OpaquePointer
    let ssl: OpaquePointer
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer

    init(_ version: CInt) {
        context = SSL_CTX_new(TLS_client_method())
        precondition(ll_ctx_set_versions(context, version, version) == 1)
        ssl = SSL_new(context)
        incoming = BIO_new(BIO_s_mem())
        outgoing = BIO_new(BIO_s_mem())
        BIO_ctrl(incoming, BIO_C_SET_BUF_MEM_EOF_RETURN, -1, nil)
        SSL_set_bio(ssl, incoming, outgoing)
        SSL_set_connect_state(ssl)
    }

    deinit {
        SSL_free(ssl)
        SSL_CTX_free(context)
    }

    func take() -> [UInt8] {
        var octets = [UInt8](repeating: 0, count: BIO_ctrl(outgoing, BIO_CTRL_PENDING, 0, nil))
        if !octets.isEmpty { BIO_read(outgoing, &octets, CInt(octets.count)) }
        return octets
    }

    func give(_ octets: [UInt8]) { if !octets.isEmpty { BIO_write(incoming, octets, CInt(octets.count)) } }
}

/// Shakes hands, then plays the steps.
private func converse(_ ends: inout Ends, version: CInt, steps: ArraySlice<UInt8>) {
    let client = Client(version)
    for _ in 0..<4 {
        SSL_do_handshake(client.ssl)
        ends.deliver(client.take())
        client.give(ends.control)
        ends.control = []
    }
    precondition(ends.session.isEstablished, "no handshake with a good client")
    let bindings = ChannelBinding.allCases.map(ends.session.channelBinding)
    var written: [UInt8] = []
    var wire: [UInt8] = []
    var rest = steps
    func next() -> Int { Int(rest.popFirst() ?? 0) }
    while let step = rest.popFirst() {
        switch step & 7 {
        case 0, 1:
            let octets = [UInt8](repeating: step, count: 1 + next() * (step & 1 == 0 ? 1 : 150))
            ERR_clear_error()
            if SSL_write(client.ssl, octets, CInt(octets.count)) > 0 { written += octets }
            wire += client.take()
        case 2: if !wire.isEmpty { wire[next() * 251 % wire.count] ^= UInt8(1 << (step >> 5)) }
        case 3: wire.removeLast(min(next(), wire.count))
        case 4: wire += wire.suffix(next())
        case 5:
            let octets = rest.prefix(Int(step >> 3))
            rest = rest.dropFirst(octets.count)
            wire += octets
        case 6:
            if step & 8 == 0 { SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED) } else { SSL_shutdown(client.ssl) }
            wire += client.take()
        default:
            ends.deliver(wire)
            wire = []
            var room = [UInt8](repeating: 0, count: TLSSession.wireOctets(for: 100))
            let count = [UInt8](repeating: 1, count: 100).withUnsafeBytes { plain in
                room.withUnsafeMutableBytes { ends.session.write(plain, into: $0) }
            }
            if case .failed = ends.last { precondition(count == nil, "a failed session writes") }
        }
    }
    ends.deliver(wire)
    precondition(
        ends.plain.count <= written.count && ends.plain.elementsEqual(written.prefix(ends.plain.count)),
        "octets that the client did not write")
    // libssl forgets the keys of a session that has failed.
    if case .failed = ends.last { return }
    precondition(ChannelBinding.allCases.map(ends.session.channelBinding) == bindings, "bindings change")
}
