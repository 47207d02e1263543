// Moves octets between a socket and the session of its protocol, and bounds what either side can make the other hold.
//
// Invariants
// - The client is read from only when nothing of its input waits: not while an answer of the engine is awaited, not while
//   it leaves replies unread, not while its body waits for the disk. So at most one read (`readOctetsMax`) and a part of
//   a line are held. One exception: when the client ends its side, NIO hands on at once what the kernel's receive
//   buffer held, which is bounded by the kernel.
// - Replies are gathered and written once per read, or when `outputOctets` have come together.
// - A client that does not read stops its own session: nothing is made for it while `unsentOctetsHigh` wait.
// - The end of the client's side is not the end of the session: commands that came before it are carried out and their
//   replies written (RFC 9293 section 3.6, half-closed connections).
// - The last reply reaches the client: our side is shut down first, and what still comes is read and dropped until the
//   client closes too, for `lingerMax`. Closing with unread input would make TCP reset and destroy the reply.
// - Where TLS begins, nothing is pending in either direction. What came in the clear before is never seen behind it.
//
// TLS is a handler below this one (see Connection+TLS.swift), from the start or from STARTTLS on.
//
// A synchronous handler and not an async channel: measured, a line costs a twentieth.
import Logging
import MailTypes
import NIOCore
import TLS

final class Connection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Phase {
        case opening
        /// A handshake is under way.
        case securing
        case open, closing, closed
    }

    let gateway: GatewayContext
    let name: GatewayProtocol
    let id: SessionID
    private(set) var client: ClientAddress
    /// Whoever is at the other end, a proxy perhaps, is on this machine.
    let isPeerLocal: Bool
    /// What others may see of this session.
    let card: SessionCard
    let counters: ProtocolCounters
    let log: Logger
    let eventLoop: any EventLoop
    private let hop: CompletionHop
    private let makeSession: (Connection) -> any MailSession
    var session: (any MailSession)?
    var context: ChannelHandlerContext?
    /// From the moment that TLS begins on.
    var tls: TLSHandler?
    /// The session has said that TLS begins.
    var isTLSDue = false

    var phase = Phase.opening
    var input = ByteBuffer()
    private var output = ByteBuffer()
    private var isProcessing = false
    var isReading = false
    var hasInputEnded = false
    private var isEntered = false
    private var isStopping = false
    var lastProgress = NIODeadline.now()
    private var timer: NIOScheduledCallback?

    init(
        _ gateway: GatewayContext, _ name: GatewayProtocol, channel: any Channel, client: ClientAddress,
        makeSession: @escaping (Connection) -> any MailSession
    ) {
        self.gateway = gateway
        self.name = name
        self.makeSession = makeSession
        id = gateway.engine.nextSession()
        self.client = client
        isPeerLocal = ClientAddress(channel.remoteAddress).isLocal
        card = SessionCard(id, name, from: client, since: gateway.engine.clock(), channel: channel)
        counters = gateway.counters[name]
        eventLoop = channel.eventLoop
        hop = gateway.hop(to: channel.eventLoop)
        var log = gateway.log
        log[metadataKey: "session"] = "\(String(id.rawValue, radix: 16))"
        log[metadataKey: "protocol"] = "\(name.rawValue)"
        self.log = log
    }

    var isClosed: Bool { phase == .closed }

    // MARK: For the session

    /// Adds to what will be written.
    func write(_ octets: [UInt8]) {
        guard phase == .open else { return }
        output.writeBytes(octets)
    }

    func write(_ octets: UnsafeRawBufferPointer) {
        guard phase == .open else { return }
        output.writeBytes(octets)
    }

    /// Whether the client takes what is written.
    var hasRoomForOutput: Bool {
        if output.readableBytes >= GatewayLimits.outputOctets { flush() }
        return phase == .open && context?.channel.isWritable == true
    }

    /// Closes once everything has been written.
    func finish() {
        guard phase == .open, let context else { return }
        phase = .closing
        // Its place among the account's sessions is free, however long the client takes to go.
        logOut()
        let promise = eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenComplete { [self] result in afterLastWrite(result) }
        let last = output
        output = ByteBuffer()
        counters.octetsOut.add(last.readableBytes)
        arm(gateway.options.closingMax)
        context.writeAndFlush(wrapOutboundOut(last), promise: promise)
    }

    /// Closes at once.
    func abort() { context?.close(promise: nil) }

    /// A completion for another thread: hands its value to `body` on this connection's loop and goes on from there.
    func answering<Value: Sendable>(_ body: @escaping (Value) -> Void) -> @Sendable (Value) -> Void {
        let bound = NIOLoopBound((self, body), eventLoop: eventLoop)
        let (hop, unanswered) = (hop, gateway.unanswered)
        unanswered.add(1)
        return { value in
            hop.post {
                unanswered.add(-1)
                let (connection, body) = bound.value
                body(value)
                connection.resume()
            }
        }
    }

    /// A signal for other threads to give, as often as they like: it calls `body` on this connection's loop soon after.
    /// Signals that come before that are one.
    func signalling(_ body: @escaping () -> Void) -> @Sendable () -> Void {
        let bound = NIOLoopBound((self, body), eventLoop: eventLoop)
        let hop = hop
        let isPosted = Flag()
        return {
            guard isPosted.set() else { return }
            hop.post {
                isPosted.clear()
                let (connection, body) = bound.value
                guard !connection.isClosed else { return }
                body()
                connection.resume()
            }
        }
    }

    /// Calls `body` on this loop after a while unless it is cancelled, and goes on from there.
    func scheduled(_ delay: TimeAmount, _ body: @escaping () -> Void) -> Scheduled<Void> {
        eventLoop.assumeIsolated().scheduleTask(in: delay) { [self] in
            guard !isClosed else { return }
            body()
            resume()
        }
    }

    /// Calls `body` on this loop after a while, and goes on from there.
    func after(_ delay: TimeAmount, _ body: @escaping () -> Void) {
        eventLoop.assumeIsolated().scheduleTask(in: delay) { [self] in
            body()
            resume()
        }
    }

    // MARK: Flow

    /// Goes on after an answer, or when there is room again.
    func resume() {
        process()
        flush()
        readOn()
    }

    private func process() {
        guard !isProcessing, let session else { return }
        isProcessing = true
        defer { isProcessing = false }
        var isStuck = false
        while phase == .open, !session.isWaiting, input.readableBytes > 0, hasRoomForOutput {
            // Moved out for the call, which may come back to this object.
            var taken = input
            input = ByteBuffer()
            let before = taken.readableBytes
            session.receive(&taken)
            if taken.readableBytes > 0 { input = taken }
            isStuck = taken.readableBytes == before
            if isStuck { break }
        }
        if isTLSDue { beginTLS() }
        if hasInputEnded, phase == .open, !session.isWaiting, isStuck || input.readableBytes == 0 {
            session.disconnected()
        }
    }

    func flush() {
        guard phase == .open, output.readableBytes > 0, let context else { return }
        // Taken out first: the write may come back here with news of writability, and more may be written then.
        var octets = output
        output = ByteBuffer()
        counters.octetsOut.add(octets.readableBytes)
        context.writeAndFlush(wrapOutboundOut(octets), promise: nil)
        guard output.capacity == 0, octets.capacity <= GatewayLimits.outputOctets else { return }
        octets.clear()
        output = octets
    }

    func readOn() {
        guard !isReading, !hasInputEnded, let context else { return }
        switch phase {
        case .opening, .securing, .closed: return
        case .closing: break
        case .open:
            guard let session, !session.isWaiting, session.hasRoomForInput, context.channel.isWritable else { return }
        }
        isReading = true
        context.read()
    }

    private func afterLastWrite(_ result: Result<Void, any Error>) {
        guard phase == .closing, let context else { return }
        // Who was not let in is not waited for: a crowd would hold more sockets than those who were.
        if case .success = result, !hasInputEnded, isEntered {
            context.close(mode: .output, promise: nil)
            arm(isStopping ? GatewayLimits.stoppingLingerMax : GatewayLimits.lingerMax)
            readOn()
        } else {
            context.close(promise: nil)
        }
    }

    // MARK: Events of the channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { open() }
    }

    func channelActive(context: ChannelHandlerContext) { open() }

    private func open() {
        guard phase == .opening, context != nil else { return }
        phase = tls == nil ? .open : .securing
        counters.connections.add()
        counters.connectionsTotal.add()
        log.debug("connected", metadata: ["client": "\(client.description)"])
        let admission = gateway.registry.enter(card)
        isEntered = admission == .accepted
        if !isEntered { refuse(admission) }
        if phase == .open { return begin() }
        // Whoever is turned away hears nothing: a handshake would cost more than the session.
        if !isEntered { abort() }
    }

    /// The session begins.
    func begin() {
        let session = makeSession(self)
        self.session = session
        arm(session.silenceMax)
        if isEntered { session.start() } else { session.refuse() }
        flush()
        readOn()
    }

    /// The peer speaks for another client from now on: that one is counted and named. False where it has too many
    /// connections, and then the session is to end.
    func replaceClient(_ client: ClientAddress) -> Bool {
        let admission = gateway.registry.move(card, to: client)
        log.info("another client", metadata: ["client": "\(client.description)", "peer": "\(self.client.description)"])
        self.client = client
        if admission != .accepted { refuse(admission) }
        return admission == .accepted
    }

    private func refuse(_ admission: ConnectionRegistry.Admission) {
        let reason: RejectReason =
            switch admission {
            case .tooManyOfAddress: .addressLimit
            case .tooManyOfNetwork: .networkLimit
            case .accepted, .tooMany, .closing: .connectionLimit
            }
        counters.reject(reason)
        gateway.notices.say(
            .connectionRefused, log, ["client": "\(client.description)", "reason": "\(reason.label)"])
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var arrived = unwrapInboundIn(data)
        counters.octetsIn.add(arrived.readableBytes)
        guard phase == .open else { return }
        lastProgress = .now()
        card.noteActivity(lastProgress)
        if input.readableBytes == 0 { input = arrived } else { input.writeBuffer(&arrived) }
        process()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        flush()
        readOn()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable, phase == .open else { return }
        lastProgress = .now()
        session?.outputDrained()
        resume()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            hasInputEnded = true
            if phase == .closing || phase == .securing { return context.close(promise: nil) }
            resume()
        case TLSEvent.established: secured()
        case GatewayEvent.shutDown:
            isStopping = true
            if phase == .securing { return context.close(promise: nil) }
            if phase == .open { session?.shutDown() }
            resume()
        case GatewayEvent.end(let reason):
            if phase == .securing { return context.close(promise: nil) }
            guard phase == .open else { return }
            counters.ended.add()
            log.info("ending the session", metadata: ["why": "\(reason)"])
            session?.end(reason)
            resume()
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let failure = error as? TLSFailure { return failed(failure) }
        log.debug("connection failed", metadata: ["error": "\(error)"])
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        let wasOpening = phase == .opening
        phase = .closed
        timer?.cancel()
        timer = nil
        session?.disconnected()
        if tls?.isTruncated == true { counters.tls.truncated.add() }
        input = ByteBuffer()
        output = ByteBuffer()
        if isEntered { gateway.registry.leave(card) }
        if !wasOpening { counters.connections.add(-1) }
        log.debug("disconnected")
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }
}

// MARK: Silence

extension Connection: NIOScheduledCallbackHandler {
    func disarm() {
        timer?.cancel()
        timer = nil
    }

    func arm(_ delay: TimeAmount) {
        timer?.cancel()
        timer = try? eventLoop.assumeIsolated().scheduleCallback(in: delay, handler: self)
    }

    func handleScheduledCallback(eventLoop: some EventLoop) {
        guard phase == .open, let session else { return abort() }
        let limit = session.silenceMax
        let silence = NIODeadline.now() - lastProgress
        let isUnread = context?.channel.isWritable != true
        if silence < limit { return arm(limit - silence) }
        if isUnread {
            log.info("closed: the client does not read")
            return abort()
        }
        arm(limit)
        guard !session.isWaiting else { return }
        session.timedOut()
        flush()
    }
}
