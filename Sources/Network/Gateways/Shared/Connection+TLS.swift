// TLS on a connection: from its first octet, or from STARTTLS on.
//
// The octets that a client sent in the clear before TLS began may be an attacker's (RFC 3207 section 6, RFC 2595 section
// 4). So whatever stands behind the command, in what was already received, ends the session; what arrives later goes to
// the handshake, which it fails. The session forgets what it was told (`MailSession.tlsStarted`).
import Logging
import NIOCore
import TLS

extension Connection {
    // MARK: For the session

    /// Everything that is said and heard is sealed.
    var isSecure: Bool { tls?.isEstablished == true }

    /// What the handshake settled: version, cipher, SNI, the client's certificate. Nil in the clear.
    var tlsInfo: TLSInfo? { tls?.info }

    /// The octets that bind a login to this TLS session; nil where there are none of that kind.
    func channelBinding(_ kind: ChannelBinding) -> [UInt8]? { tls?.channelBinding(kind) }

    /// Passwords and tokens may be sent as they are: nobody can listen. The one place that decides it (RFC 2595 section
    /// 2.3, RFC 4954 section 4, RFC 8314 section 3).
    var isPlaintextAllowed: Bool { isSecure || (client.isLocal && isPeerLocal) }

    /// STARTTLS can be offered now.
    var offersTLS: Bool { gateway.options.tls != nil && tls == nil }

    /// Begins TLS. To be called once, right after the reply that says so was written, with the machine waiting so that it
    /// takes nothing behind the command. `MailSession.tlsStarted` comes when the handshake is done; where it fails, the
    /// connection closes.
    func startTLS() {
        precondition(offersTLS && phase == .open, "TLS begins once, where it was offered")
        isTLSDue = true
    }

    // MARK: Flow

    /// From the first octet.
    func beginsWithTLS(_ handler: TLSHandler) { tls = handler }

    /// The reply is written, and all of the client's octets up to the command are taken.
    func beginTLS() {
        isTLSDue = false
        guard phase == .open, let context, let server = gateway.options.tls else { return }
        guard input.readableBytes == 0 else {
            input = ByteBuffer()
            counters.reject(.plaintextBehindTLS)
            gateway.notices.say(.plaintextBehindTLS, log, ["client": "\(client.description)"])
            return finish()
        }
        flush()
        disarm()
        phase = .securing
        isReading = false
        let handler = gateway.tlsHandler(server, name)
        tls = handler
        do {
            try context.pipeline.syncOperations.addHandler(handler, position: .first)
        } catch {
            abort()
        }
    }

    /// The handshake is done.
    func secured() {
        guard phase == .securing else { return }
        phase = .open
        lastProgress = .now()
        card.isSecure = true
        counters.tls.sessions.add()
        if let info = tlsInfo {
            if info.isResumed { counters.tls.resumed.add() }
            log.debug(
                "secured",
                metadata: [
                    "version": "\(info.version)", "cipher": "\(info.cipher)", "name": "\(info.serverName ?? "")",
                    "certificate": "\(info.clientCertificate?.subject ?? "")",
                ])
        }
        guard let session else { return begin() }
        arm(session.silenceMax)
        session.tlsStarted()
        flush()
        readOn()
    }

    /// The alert is out: our side ends, and what still comes is dropped, so that the client can read it.
    func failed(_ failure: TLSFailure) {
        guard phase != .closed, let context else { return }
        counters.tls.failed(failure.kind)
        gateway.notices.say(
            .tlsFailed, log, ["client": "\(client.description)", "reason": "\(failure)"])
        phase = .closing
        guard !hasInputEnded else { return context.close(promise: nil) }
        context.close(mode: .output, promise: nil)
        arm(GatewayLimits.lingerMax)
        isReading = false
        readOn()
    }
}

extension GatewayContext {
    /// TLS for a connection of this protocol.
    func tlsHandler(_ server: TLSServer, _ name: GatewayProtocol) -> TLSHandler {
        TLSHandler(
            server, applicationProtocol: name.applicationProtocol, handshakeMax: options.tlsHandshakeMax)
    }
}
