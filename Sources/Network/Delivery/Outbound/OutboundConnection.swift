// One connection to a next host: octets to `SMTPClientMachine`, and what it asks for to the socket and the store.
//
// Invariants
// - Everything happens on the connection's event loop but the reading of bodies, which happens on threads for files, one
//   run of octets at a time: the next is read when the last has gone to the kernel.
// - A message handed in by `send` is answered exactly once.
import EventStore
import Logging
import NIOCore
import NIOPosix
import SMTP

/// A message with its octets.
struct OutboundMessage: Sendable {
    var message: SMTPClientMessage
    var body: any BodyHandle
}

final class OutboundConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var machine: SMTPClientMachine
    private let host: String
    private let fileThreads: NIOThreadPool
    private let makeTLSHandler: (@Sendable (String) throws -> any ChannelHandler & Sendable)?
    private let eventLoop: any EventLoop
    private var context: ChannelHandlerContext?
    private var actions: [SMTPClientAction] = []
    private var isActing = false
    private var timer: Scheduled<Void>?

    private var ready: EventLoopPromise<Void>?
    private var sending: (message: OutboundMessage, answer: EventLoopPromise<[SMTPRecipientOutcome]>)?
    private(set) var end: SMTPClientEnd?

    init(
        _ configuration: SMTPClientConfiguration, host: String, eventLoop: any EventLoop, fileThreads: NIOThreadPool,
        makeTLSHandler: (@Sendable (String) throws -> any ChannelHandler & Sendable)?, ready: EventLoopPromise<Void>
    ) {
        machine = SMTPClientMachine(configuration)
        self.host = host
        self.eventLoop = eventLoop
        self.fileThreads = fileThreads
        self.makeTLSHandler = makeTLSHandler
        self.ready = ready
    }

    /// What the next host offers, once it is ready.
    var features: SMTPServerFeatures { machine.features }
    var isReady: Bool { machine.isReady }
    var isEncrypted: Bool { machine.isEncrypted }

    func send(_ message: OutboundMessage, answer: EventLoopPromise<[SMTPRecipientOutcome]>) {
        guard machine.isReady, sending == nil else {
            return answer.succeed(message.message.recipients.map { _ in .unanswered("the connection was lost") })
        }
        sending = (message, answer)
        act { machine.send(message.message, into: &actions) }
    }

    func quit() { act { machine.quit(into: &actions) } }

    // MARK: What the machine asks for

    private func act(_ tell: () -> Void) {
        tell()
        guard !isActing else { return }
        isActing = true
        var index = 0
        while index < actions.count {
            carryOut(actions[index])
            index += 1
        }
        actions.removeAll(keepingCapacity: true)
        isActing = false
        arm()
    }

    private func carryOut(_ action: SMTPClientAction) {
        switch action {
        case .send(let octets):
            guard let context else { return }
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: octets)), promise: nil)
        case .startTLS: startTLS()
        case .ready:
            ready?.succeed(())
            ready = nil
        case .sendBody: sendBody(from: 0, SMTPDotStuffer())
        case .finished(let outcomes):
            let sending = sending
            self.sending = nil
            sending?.answer.succeed(outcomes)
        case .close(let end):
            self.end = end
            ready?.fail(OutboundFailure(end))
            ready = nil
            context?.close(promise: nil)
        }
    }

    private func startTLS() {
        guard let context, let makeTLSHandler else { return act { machine.disconnected(into: &actions) } }
        do {
            let handler = try makeTLSHandler(host)
            try context.channel.pipeline.syncOperations.addHandler(handler, position: .first)
            act { machine.tlsStarted(into: &actions) }
        } catch {
            act { machine.disconnected(into: &actions) }
        }
    }

    /// One run of the body, stuffed, then the next when it has gone.
    private func sendBody(from offset: Int, _ stuffer: SMTPDotStuffer) {
        guard let body = sending?.message.body, let context else { return }
        let run = fileThreads.runIfActive(eventLoop: eventLoop) {
            () -> (octets: [UInt8], stuffer: SMTPDotStuffer, next: Int) in
            var octets: [UInt8] = []
            try body.read(at: offset, count: DeliveryLimits.bodyRunOctets, into: &octets)
            var stuffer = stuffer
            var output: [UInt8] = []
            output.reserveCapacity(octets.count + 64)
            octets.withUnsafeBytes { stuffer.append($0, to: &output) }
            let next = offset + octets.count
            if octets.isEmpty || next >= body.size { output += stuffer.finish() }
            return (output, stuffer, octets.isEmpty ? body.size : next)
        }
        let size = body.size
        run.assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let run):
                let promise = eventLoop.makePromise(of: Void.self)
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: run.octets)), promise: promise)
                promise.futureResult.assumeIsolated().whenComplete { [self] written in
                    guard case .success = written, !machine.isClosed else {
                        return act { machine.disconnected(into: &actions) }
                    }
                    if run.next >= size {
                        act { machine.bodySent(into: &actions) }
                    } else {
                        arm()
                        sendBody(from: run.next, run.stuffer)
                    }
                }
            case .failure:
                // Half a message must not be ended: the connection goes.
                act { machine.disconnected(into: &actions) }
            }
        }
    }

    private func arm() {
        timer?.cancel()
        timer = nil
        guard !machine.isClosed, !machine.isReady else { return }
        let limit = TimeAmount.seconds(Int64(machine.silenceSecondsMax))
        timer = eventLoop.assumeIsolated().scheduleTask(in: limit) { [self] in
            act { machine.timedOut(into: &actions) }
        }
    }

    // MARK: Events of the channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        arm()
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let arrived = unwrapInboundIn(data)
        act { arrived.withUnsafeReadableBytes { machine.receive($0, into: &actions) } }
    }

    func channelInactive(context: ChannelHandlerContext) {
        act { machine.disconnected(into: &actions) }
        timer?.cancel()
        timer = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        act { machine.disconnected(into: &actions) }
        context.close(promise: nil)
    }
}

/// Why a connection never became ready.
struct OutboundFailure: Error {
    let end: SMTPClientEnd
    init(_ end: SMTPClientEnd) { self.end = end }

    /// For logs and reports.
    var text: String {
        switch end {
        case .refused(let reply): "\(reply.code) \(reply.text)"
        case .noTLS: "no TLS is offered"
        case .noMechanism: "no login mechanism is offered"
        case .malformed: "what answers is no SMTP server"
        case .timedOut: "no answer in time"
        case .quit, .disconnected: "the connection was closed"
        }
    }

    /// The reply that refused us, when it was for good (RFC 5321 section 3.8: 554 instead of a greeting).
    var permanent: SMTPServerReply? {
        if case .refused(let reply) = end, reply.isPermanent { reply } else { nil }
    }
}
