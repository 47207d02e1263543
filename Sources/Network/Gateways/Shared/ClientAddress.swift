import NIOCore

/// Where a client comes from.
struct ClientAddress: Sendable {
    /// The IP address as text; nil over a Unix socket.
    let text: String?
    /// Whoever shares it shares limits: an IPv4 address or an IPv6 network of 64 bits, within which one customer can
    /// have every address. Nil for a Unix socket, which has no such limit.
    let neighbourhood: String?

    init(_ address: SocketAddress?) {
        guard let address, let text = address.ipAddress else {
            self.text = nil
            neighbourhood = nil
            return
        }
        self.text = text
        guard case .v6(let v6) = address else {
            neighbourhood = text
            return
        }
        var bytes = v6.address.sin6_addr
        neighbourhood = withUnsafeBytes(of: &bytes) { bytes in
            bytes.prefix(8).map { String($0, radix: 16) }.joined(separator: ":")
        }
    }

    /// For log lines and events.
    var description: String { text ?? "unix" }
}
