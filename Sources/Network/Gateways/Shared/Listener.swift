// Binds one address and gives every accepted connection its handler.
//
// Without TLS, an address that other machines can reach is refused: passwords and mail would cross the network in the
// clear. So it is for HTTP, which has none. A Unix socket gets its permissions between bind and listen, so that nobody connects under others.
import Glibc
import NIOCore
import NIOPosix

struct Listener: Sendable {
    let name: GatewayProtocol
    let channel: any Channel
    /// Removed when the listener closes.
    let socketPath: String?

    /// Where it listens, with the port that the system gave.
    var address: String { channel.localAddress?.listenText ?? socketPath.map { "unix:\($0)" } ?? "?" }

    func close() async {
        try? await channel.close().get()
        if let socketPath { unlink(socketPath) }
    }

    /// - Throws: `ListenError` with the reason for the operator.
    static func bind(
        _ name: GatewayProtocol, _ address: ListenAddress, group: any EventLoopGroup, options: GatewayOptions,
        _ initialize: @escaping @Sendable (any Channel) throws -> Void
    ) async throws -> Listener {
        func failure(_ reason: String) -> ListenError {
            ListenError(listener: name, address: address.description, reason: reason)
        }
        if name.isImplicitTLS, options.tls == nil { throw failure("TLS is off") }
        let bootstrap = bootstrap(name, group, initialize)
        switch address {
        case .tcp(let host, let port):
            let resolved: SocketAddress
            do {
                resolved = try SocketAddress.makeAddressResolvingHost(host, port: port)
            } catch {
                throw failure("the name does not resolve")
            }
            guard resolved.isLoopback || (name != .http && options.tls != nil) else {
                let why = name == .http ? "for pages over HTTP" : "without TLS"
                throw failure("only loopback addresses and Unix sockets are allowed \(why)")
            }
            do {
                return Listener(name: name, channel: try await bootstrap.bind(to: resolved).get(), socketPath: nil)
            } catch {
                throw failure(reason(error))
            }
        case .unix(let path):
            let socket = try boundUnixSocket(path, mode: options.unixSocketMode, failure)
            do {
                return Listener(
                    name: name, channel: try await bootstrap.withBoundSocket(socket).get(), socketPath: path)
            } catch {
                unlink(path)
                throw failure(reason(error))
            }
        }
    }

    private static func bootstrap(
        _ name: GatewayProtocol, _ group: any EventLoopGroup,
        _ initialize: @escaping @Sendable (any Channel) throws -> Void
    ) -> ServerBootstrap {
        let readsCommands = [.pop3, .pop3s, .imap, .imaps].contains(name)
        let first = readsCommands ? GatewayLimits.commandReadOctets : GatewayLimits.messageReadOctets
        let water = ChannelOptions.Types.WriteBufferWaterMark(
            low: GatewayLimits.unsentOctetsLow, high: GatewayLimits.unsentOctetsHigh)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Int32(GatewayLimits.listenBacklog))
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.writeBufferWaterMark, value: water)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try initialize(channel) }
            }
        guard name != .http else { return bootstrap }
        return
            bootstrap
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: first, initial: first, maximum: GatewayLimits.readOctetsMax))
    }

    private static func reason(_ error: any Error) -> String {
        guard let error = error as? IOError else { return "\(error)" }
        return String(cString: strerror(error.errnoCode))
    }

    /// A bound socket that does not listen yet. One that a dead process left behind is replaced; one that answers, and
    /// anything that is no socket, is left alone.
    private static func boundUnixSocket(
        _ path: String, mode: UInt32, _ failure: (String) -> ListenError
    ) throws -> CInt {
        guard path.utf8.count <= GatewayLimits.socketPathOctetsMax, var address = sockaddr_un(path: path) else {
            throw failure("the path is over \(GatewayLimits.socketPathOctetsMax) octets")
        }
        var status = stat()
        if lstat(path, &status) == 0 {
            guard status.st_mode & S_IFMT == S_IFSOCK else { throw failure("the path exists and is no socket") }
            guard !answers(&address) else { throw failure("another process listens there") }
            guard unlink(path) == 0 else { throw failure(String(cString: strerror(errno))) }
        }
        let descriptor = unixStreamSocket()
        guard descriptor >= 0 else { throw failure(String(cString: strerror(errno))) }
        let isBound = address.withPointer { Glibc.bind(descriptor, $0, $1) } == 0 && chmod(path, mode_t(mode)) == 0
        guard isBound else {
            let reason = String(cString: strerror(errno))
            Glibc.close(descriptor)
            throw failure(reason)
        }
        return descriptor
    }

    private static func answers(_ address: inout sockaddr_un) -> Bool {
        let descriptor = unixStreamSocket()
        guard descriptor >= 0 else { return false }
        defer { Glibc.close(descriptor) }
        // A full backlog answers EAGAIN: somebody is there.
        return address.withPointer { connect(descriptor, $0, $1) } == 0 || errno == EAGAIN
    }

    private static func unixStreamSocket() -> CInt {
        socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
    }
}

extension sockaddr_un {
    fileprivate init?(path: String) {
        self.init()
        sun_family = sa_family_t(AF_UNIX)
        let octets = Array(path.utf8)
        let fits = withUnsafeMutableBytes(of: &sun_path) { room in
            guard octets.count < room.count else { return false }
            room.copyBytes(from: octets)
            return true
        }
        guard fits else { return nil }
    }

    fileprivate mutating func withPointer(_ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt) -> CInt {
        withUnsafePointer(to: &self) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
