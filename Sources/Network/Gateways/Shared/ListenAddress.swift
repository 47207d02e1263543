import Glibc
import NIOCore

/// Where a listener is reached: `127.0.0.1:1025`, `[::1]:1025`, `localhost:1025` or `unix:/path`.
package enum ListenAddress: Hashable, Sendable, CustomStringConvertible {
    /// An address or a name, without brackets. Port 0 takes any that is free.
    case tcp(host: String, port: Int)
    /// An absolute path.
    case unix(path: String)

    /// Nil when it is none of the forms above.
    package init?(parsing text: String) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard path.hasPrefix("/"), path.utf8.count <= GatewayLimits.socketPathOctetsMax else { return nil }
            self = .unix(path: path)
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            var address = in6_addr()
            guard inet_pton(AF_INET6, String(host), &address) == 1 else { return nil }
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        self = .tcp(host: String(host), port: Int(port))
    }

    package var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}

extension SocketAddress {
    /// Reached from this machine only: 127.0.0.0/8, ::1, or a Unix socket.
    var isLoopback: Bool {
        switch self {
        case .v4(let address):
            return UInt32(bigEndian: address.address.sin_addr.s_addr) >> 24 == 127
        case .v6(let address):
            var bytes = address.address.sin6_addr
            return withUnsafeBytes(of: &bytes) { $0.dropLast().allSatisfy { $0 == 0 } && $0.last == 1 }
        case .unixDomainSocket: return true
        }
    }

    /// As in `ListenAddress`.
    var listenText: String {
        switch self {
        case .v4, .v6:
            ListenAddress.tcp(host: ipAddress ?? "?", port: port ?? 0).description
        case .unixDomainSocket: "unix:\(pathname ?? "?")"
        }
    }
}
