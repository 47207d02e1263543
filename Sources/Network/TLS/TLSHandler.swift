// TLS between a socket and whoever speaks a protocol over it, as a handler of NIO: for a server (`init`), and for a client
// (`TLSClient.makeHandler`).
//
// Invariants
// - No octet is held back: what came in is handed on in the same call, what is written goes out at the next flush. So
//   the channel's own figures hold for back-pressure in both directions, and what a session holds is part of a record.
// - One read is answered by one `channelRead` at most. Where a read yields no plain octets, another is made here, but
//   only while the peer takes what we send: handshakes and key updates have answers too.
// - Nothing is written before the handshake is done; it waits.
// - The peer's last words are the end of its side, whether said (close_notify) or not; `isTruncated` tells which. For a
//   protocol whose commands end by themselves nothing is lost by going on.
// - After a failure the alert is sent, input is dropped, and the reason goes up as an error. Whoever gets it closes.
// - A server's session is made when the first octets come: a connection that says nothing costs little. A client's speaks
//   first, as soon as the channel is active or the handler is added to one that is.
// - A client learns of every end of the handshake but success by a `TLSFailure`, also when the server just closes.
//
// Written for channels that read on demand; those that read by themselves may be used too.
import NIOCore

/// What a handler tells those above it.
package enum TLSEvent: Equatable, Sendable {
    /// The handshake is done.
    case established
}

package final class TLSHandler: ChannelDuplexHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private enum Phase { case idle, handshake, open, failed, closed }

    /// Nil where this is a client.
    private let server: TLSServer?
    private let applicationProtocol: String
    private let handshakeMax: TimeAmount
    private var context: ChannelHandlerContext?
    private var session: TLSSession?
    private var phase = Phase.idle
    private var pending: [(octets: ByteBuffer, promise: EventLoopPromise<Void>?)] = []
    private var isReadWanted = false
    private var isReadDeferred = false
    private var hasDelivered = false
    private var hasPeerEnded = false
    private var hasEnded = false
    private var timer: NIOScheduledCallback?
    /// The peer's side ended without close_notify, while ours had not ended.
    package private(set) var isTruncated = false

    package init(
        _ server: TLSServer, applicationProtocol: String,
        handshakeMax: TimeAmount = .seconds(TLSLimits.handshakeSecondsMax)
    ) {
        self.server = server
        self.applicationProtocol = applicationProtocol
        self.handshakeMax = handshakeMax
    }

    /// A client's, with its session.
    init(_ session: TLSSession, handshakeMax: TimeAmount) {
        server = nil
        applicationProtocol = ""
        self.session = session
        self.handshakeMax = handshakeMax
    }

    package var isEstablished: Bool { session?.isEstablished == true }

    /// What the handshake settled; nil before.
    package var info: TLSInfo? { session?.info }

    /// The octets that bind an authentication to this session; nil where there are none of that kind.
    package func channelBinding(_ kind: ChannelBinding) -> [UInt8]? { session?.channelBinding(kind) }

    // MARK: Coming and going

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive {
            begin(context)
            if phase == .handshake { context.read() }
        }
    }

    package func channelActive(context: ChannelHandlerContext) {
        begin(context)
        // Those above may turn the client away here, before it costs a handshake.
        context.fireChannelActive()
        if phase == .handshake { context.read() }
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard phase == .idle else { return }
        phase = .handshake
        timer = try? context.eventLoop.assumeIsolated().scheduleCallback(in: handshakeMax, handler: self)
        guard server == nil, let session else { return }
        take(ByteBuffer(), session, context)
        sendControl(context)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        if server == nil, phase == .handshake { fail(.closedInHandshake(by: "server"), context) }
        release(ChannelError.ioOnClosedChannel)
        phase = .closed
        session = nil
        context.fireChannelInactive()
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        release(ChannelError.ioOnClosedChannel)
        phase = .closed
        session = nil
        self.context = nil
    }

    private func release(_ error: any Error) {
        timer?.cancel()
        timer = nil
        let lost = pending
        pending = []
        for item in lost { item.promise?.fail(error) }
    }

    private func fail(_ failure: TLSFailure, _ context: ChannelHandlerContext) {
        guard phase != .failed, phase != .closed else { return }
        phase = .failed
        sendControl(context)
        session = nil
        release(failure)
        context.fireErrorCaught(failure)
    }

    // MARK: Inbound

    package func read(context: ChannelHandlerContext) {
        isReadWanted = true
        context.read()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase == .handshake || phase == .open, !hasPeerEnded else { return }
        let arrived = unwrapInboundIn(data)
        do throws(TLSFailure) {
            let session = try begun()
            take(arrived, session, context)
        } catch {
            fail(error, context)
        }
    }

    private func begun() throws(TLSFailure) -> TLSSession {
        if let session { return session }
        guard let server else { throw TLSFailure(.library, "the session is over") }
        let new = try server.makeSession(applicationProtocol: applicationProtocol)
        session = new
        return new
    }

    private func take(_ arrived: ByteBuffer, _ session: TLSSession, _ context: ChannelHandlerContext) {
        var plain = ByteBuffer()
        var end: TLSSession.Step?
        arrived.withUnsafeReadableBytes { octets in
            var input = octets
            while end == nil, phase != .closed {
                switch step(session, &input, &plain, context) {
                case .octets: if input.isEmpty, session.pendingOctets == 0 { end = .needsInput }
                case .established: established(context)
                case let step: end = step
                }
            }
        }
        if plain.readableBytes > 0 {
            isReadWanted = false
            hasDelivered = true
            context.fireChannelRead(wrapInboundOut(plain))
        }
        switch end {
        case .ended:
            hasPeerEnded = true
            hasDelivered = true
            context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        case .failed(let failure): fail(failure, context)
        default: break
        }
    }

    private func step(
        _ session: TLSSession, _ input: inout UnsafeRawBufferPointer, _ plain: inout ByteBuffer,
        _ context: ChannelHandlerContext
    ) -> TLSSession.Step {
        guard session.isEstablished else {
            return session.read(&input, into: UnsafeMutableRawBufferPointer(start: nil, count: 0))
        }
        // What is sealed is never shorter than what is in it, but for the part of a record that came before.
        let octets = max(input.count, session.pendingOctets, 1)
        if plain.capacity == 0 { plain = context.channel.allocator.buffer(capacity: octets) }
        var step = TLSSession.Step.needsInput
        plain.writeWithUnsafeMutableBytes(minimumWritableBytes: octets) { room in
            step = session.read(&input, into: room)
            if case .octets(let count) = step { return count }
            return 0
        }
        return step
    }

    private func established(_ context: ChannelHandlerContext) {
        guard phase == .handshake else { return }
        phase = .open
        timer?.cancel()
        timer = nil
        context.fireUserInboundEventTriggered(TLSEvent.established)
        if !pending.isEmpty { seal(context) }
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        sendControl(context)
        if hasDelivered || phase == .failed {
            hasDelivered = false
            return context.fireChannelReadComplete()
        }
        readOn(context)
    }

    private func readOn(_ context: ChannelHandlerContext) {
        guard phase == .handshake || (phase == .open && isReadWanted) else { return }
        isReadDeferred = !context.channel.isWritable
        if !isReadDeferred { context.read() }
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        if isReadDeferred { readOn(context) }
        context.fireChannelWritabilityChanged()
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else { return context.fireUserInboundEventTriggered(event) }
        if hasPeerEnded { return }
        hasPeerEnded = true
        isTruncated = phase == .open && !hasEnded
        if server == nil, phase == .handshake { fail(.closedInHandshake(by: "server"), context) }
        context.fireUserInboundEventTriggered(event)
    }

    // MARK: Outbound

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard phase != .failed, phase != .closed, !hasEnded else {
            promise?.fail(ChannelError.outputClosed)
            return
        }
        var octets = unwrapOutboundIn(data)
        let gathered = pending.last.map { $0.promise == nil ? $0.octets.readableBytes : .max } ?? .max
        if gathered < TLSLimits.gatheredOctetsMax, octets.readableBytes <= TLSLimits.gatheredOctetsMax - gathered {
            pending[pending.count - 1].octets.writeBuffer(&octets)
            pending[pending.count - 1].promise = promise
        } else {
            pending.append((octets, promise))
        }
    }

    package func flush(context: ChannelHandlerContext) {
        guard phase == .open, !pending.isEmpty else { return context.flush() }
        seal(context)
    }

    /// Seals everything that was written and sends it, after what libssl has to say.
    private func seal(_ context: ChannelHandlerContext) {
        guard let session else { return }
        let items = pending
        pending.removeAll(keepingCapacity: true)
        let octets = items.reduce(0) { $0 + TLSSession.wireOctets(for: $1.octets.readableBytes) }
        var out = context.channel.allocator.buffer(capacity: octets)
        session.takeControl { out.writeBytes($0) }
        var isSealed = true
        for item in items where isSealed {
            item.octets.withUnsafeReadableBytes { plain in
                let room = TLSSession.wireOctets(for: plain.count)
                out.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { room in
                    guard let count = session.write(plain, into: room) else {
                        isSealed = false
                        return 0
                    }
                    return count
                }
            }
        }
        guard isSealed else {
            let failure = TLSFailure(.library, "octets cannot be sealed")
            for item in items { item.promise?.fail(failure) }
            return fail(failure, context)
        }
        let promises = items.compactMap(\.promise)
        for promise in promises.dropFirst() { promises[0].futureResult.cascade(to: promise) }
        context.writeAndFlush(wrapOutboundOut(out), promise: promises.first)
    }

    /// Sends what libssl has to say beside what was written: handshake, alerts, answers.
    private func sendControl(_ context: ChannelHandlerContext) {
        guard let session, session.hasControl else { return }
        var out = ByteBuffer()
        session.takeControl { out.writeBytes($0) }
        context.writeAndFlush(wrapOutboundOut(out), promise: nil)
    }

    package func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode != .input, phase == .open else { return context.close(mode: mode, promise: promise) }
        if !hasEnded {
            if !pending.isEmpty { seal(context) }
            hasEnded = true
            session?.end()
            sendControl(context)
        }
        // Also the second time: our last words may still be on their way.
        guard mode == .all else { return context.close(mode: mode, promise: promise) }
        // Who closes on the completion of a write is called from within the channel's flush, which sends what was added
        // only after it returns; a close from here would come first and drop it.
        context.eventLoop.assumeIsolated().execute { context.close(mode: mode, promise: promise) }
    }
}

extension TLSHandler: NIOScheduledCallbackHandler {
    package func handleScheduledCallback(eventLoop: some EventLoop) {
        guard phase == .handshake, let context else { return }
        let other = server == nil ? "server" : "client"
        fail(TLSFailure(.timedOut, "the \(other) takes too long for its handshake"), context)
    }
}
