// Waits for the header of the PROXY protocol on a connection from a trusted proxy, then lets the protocol's own handlers
// in, which see the client's real address from the first moment.
//
// The header is asked for, not guessed: a connection from such a network without one is closed. Nothing is written
// before, and at most a header is held.
import MailTypes
import NIOCore

/// Peers whose word is taken.
package struct TrustedPeers: Equatable, Sendable {
    package var networks: [IPNetwork]
    /// Whoever may connect to our Unix sockets.
    package var unixSockets: Bool

    package init(networks: [IPNetwork] = [], unixSockets: Bool = false) {
        self.networks = networks
        self.unixSockets = unixSockets
    }

    func contains(_ client: ClientAddress) -> Bool {
        guard let ip = client.ip else { return unixSockets }
        return networks.contains { $0.contains(ip) }
    }
}

final class ProxyHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let peer: ClientAddress
    private let install: (ClientAddress) throws -> Void
    private let refused: (String) -> Void
    private var received = ByteBuffer()
    private var timer: Scheduled<Void>?
    private var isOver = false

    /// - Parameters:
    ///   - install: adds the handlers of the protocol behind this one.
    ///   - refused: told why, before the connection is closed.
    init(
        peer: ClientAddress, install: @escaping (ClientAddress) throws -> Void, refused: @escaping (String) -> Void
    ) {
        self.peer = peer
        self.install = install
        self.refused = refused
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) { begin(context) }

    private func begin(_ context: ChannelHandlerContext) {
        guard timer == nil, !isOver else { return }
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(ProxyLimits.waitSecondsMax)) {
            self.refuse("none came in time", context)
        }
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return context.fireChannelRead(data) }
        var part = unwrapInboundIn(data)
        received.writeBuffer(&part)
        switch received.withUnsafeReadableBytes({ ProxyHeader.parse($0) }) {
        case .incomplete: break
        case .malformed(let reason): refuse(reason, context)
        case .header(let header, let octets):
            received.moveReaderIndex(forwardBy: octets)
            accept(header, context)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if isOver { context.fireChannelReadComplete() } else { context.read() }
    }

    private func accept(_ header: ProxyHeader, _ context: ChannelHandlerContext) {
        end()
        let client =
            switch header.client {
            case .connection: peer
            case .ip(let address, port: _): ClientAddress(address)
            case .unix: ClientAddress(nil as IPAddress?)
            }
        do {
            try install(client)
        } catch {
            return context.close(promise: nil)
        }
        if received.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(received)) }
        received = ByteBuffer()
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    private func refuse(_ reason: String, _ context: ChannelHandlerContext) {
        guard !isOver else { return }
        end()
        refused(reason)
        received = ByteBuffer()
        context.close(promise: nil)
    }

    private func end() {
        isOver = true
        timer?.cancel()
        timer = nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if !isOver, case ChannelEvent.inputClosed = event { return refuse("the proxy ended", context) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard isOver else { return context.close(promise: nil) }
        context.fireErrorCaught(error)
    }
}
