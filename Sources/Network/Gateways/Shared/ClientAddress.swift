import Authentication
import MailTypes
import NIOCore

/// Where a client comes from: the other end of its connection, or who a trusted proxy says it is.
struct ClientAddress: Sendable {
    /// Nil over a Unix socket, which has no limit of its own.
    let ip: IPAddress?

    init(_ ip: IPAddress?) { self.ip = ip }

    init(_ address: SocketAddress?) {
        switch address {
        case .v4(let address):
            var bytes = address.address.sin_addr
            ip = withUnsafeBytes(of: &bytes) { IPAddress(octets: $0) }
        case .v6(let address):
            var bytes = address.address.sin6_addr
            ip = withUnsafeBytes(of: &bytes) { IPAddress(octets: $0) }
        case .unixDomainSocket, nil: ip = nil
        }
    }

    /// As text; nil over a Unix socket.
    var text: String? { ip?.description }
    /// For log lines and events.
    var description: String { text ?? "unix" }
    /// On this machine: nobody can listen on the way.
    var isLocal: Bool { ip?.isLoopback ?? true }
    /// For the slow-down of failed logins.
    var source: LoginSource { LoginSource(ip) }
}
