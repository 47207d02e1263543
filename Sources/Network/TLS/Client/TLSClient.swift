// TLS as a client: mail to other hosts, mail fetched from them, questions to an introspection endpoint.
//
// One `TLSClient` for each way to judge servers, made once; one handler for each connection:
//
//     let client = try TLSClient(TLSClientOptions(trust: .system))
//     let handler = try client.makeHandler(host: "imap.example.net", applicationProtocol: "imap")
//     try channel.pipeline.syncOperations.addHandler(handler, position: .first)
//
// The handler goes in front of who speaks the protocol: before the connection is there (TLS from the first octet), or
// after the answer to STARTTLS, when no octet may be left in between. It shakes hands by itself. What is written waits for
// that; `TLSEvent.established` says that it is done, a `TLSFailure` in `errorCaught` that it is not, and why, in words for a
// log. Whoever gets one closes the connection. The handler is used on its channel's event loop only, as handlers are.
import NIOCore

/// What a client needs to shake hands with servers; made once, used by any thread.
package final class TLSClient: Sendable {
    private let context: TLSContext

    /// Reads the system's authorities where they are asked for; takes some milliseconds then.
    package init(_ options: TLSClientOptions) throws(TLSFailure) { context = try TLSContext(options) }

    /// A handler for one connection.
    ///
    /// - Parameters:
    ///   - host: the name or address under which the user, or the domain's MX, knows the server. The certificate has to be
    ///     for it, unless anyone is trusted; a name is said to the server, too (SNI).
    ///   - applicationProtocol: as ALPN names it: `imap`, `pop3`, `http/1.1`; nil says nothing. SMTP has no name.
    ///   - handshakeMax: from the connection, or from the addition to one that stands.
    /// - Throws: where `host` is none.
    package func makeHandler(
        host: String, applicationProtocol: String? = nil,
        handshakeMax: TimeAmount = .seconds(TLSLimits.handshakeSecondsMax)
    ) throws(TLSFailure) -> TLSHandler {
        TLSHandler(try makeSession(host: host, applicationProtocol: applicationProtocol), handshakeMax: handshakeMax)
    }

    /// The same without NIO: octets in, octets out.
    package func makeSession(host: String, applicationProtocol: String? = nil) throws(TLSFailure) -> TLSSession {
        guard let host = TLSHost(host) else { throw TLSFailure(.library, "\"\(host)\" is no host name or address") }
        return try TLSSession(context, host: host, applicationProtocol: applicationProtocol)
    }
}
