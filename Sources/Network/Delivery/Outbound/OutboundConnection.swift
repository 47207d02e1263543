// One connection to a next host: octets to `SMTPClientMachine`, and what it asks for to the socket and the store.
//
// Invariants
// - Everything happens on the connection's event loop but the reading of bodies, which happens on threads for files, one
//   run of octets at a time: the next is read when the last has gone to the kernel.
// - A message handed in by `send` is answered exactly once.
import EventStore
import NIOCore
import NIOPosix
import SMTP
import TLS

/// A message with its octets.
struct OutboundMessage: Sendable {
    var message: SMTPClientMessage
    var body: any BodyHandle
    /// Where in the body the message begins.
    var start = 0
}

/// Makes the handler that begins TLS as a client of a host. Called on the loop of the connection.
///
/// - Parameter verifies: the certificate has to be that of `host`, from an authority that we trust.
package typealias ClientTLSMaker = @Sendable (_ host: String, _ verifies: Bool) throws -> any ChannelHandler

final class OutboundConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var machine: SMTPClientMachine
    private let host: String
    private let fileThreads: NIOThreadPool
    private let makeTLSHandler: ClientTLSMaker?
    private let verifies: Bool
    private let eventLoop: any EventLoop
    private var context: ChannelHandlerContext?
    private var actions: [SMTPClientAction] = []
    private var isActing = false
    private var timer: Scheduled<Void>?

    private var ready: EventLoopPromise<Void>?
    private var settled: EventLoopPromise<Void>?
    private var settleLimit: Scheduled<Void>?
    private var sending: (message: OutboundMessage, answer: EventLoopPromise<[SMTPRecipientOutcome]>)?
    private var hasBegunTLS: Bool
    /// What broke the connection, for logs and reports.
    private var problem: String?

    init(
        _ configuration: SMTPClientConfiguration, host: String, verifies: Bool, eventLoop: any EventLoop,
        fileThreads: NIOThreadPool, makeTLSHandler: ClientTLSMaker?, ready: EventLoopPromise<Void>
    ) {
        self.verifies = verifies
        hasBegunTLS = configuration.isImplicitTLS
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

    func send(_ message: OutboundMessage, answer: EventLoopPromise<[SMTPRecipientOutcome]>) {
        guard machine.isReady, sending == nil else {
            return answer.succeed(message.message.recipients.map { _ in .unanswered("the connection was lost") })
        }
        sending = (message, answer)
        act { machine.send(message.message, into: &actions) }
    }

    /// With QUIT where the host waits for a command; else at once: nobody would answer for it any more.
    func quit() { act { machine.isReady ? machine.quit(into: &actions) : machine.timedOut(into: &actions) } }

    /// Answers when the host is ready for another message, or never will be; after a refusal that is a reply later. What takes
    /// longer than a moment counts as never.
    func settle(_ answer: EventLoopPromise<Void>) {
        guard !machine.isReady, !machine.isClosed else { return answer.succeed(()) }
        endSettling()
        settled = answer
        settleLimit = eventLoop.assumeIsolated().scheduleTask(in: .seconds(DeliveryLimits.settleSecondsMax)) { [self] in
            endSettling()
        }
    }

    private func endSettling() {
        settleLimit?.cancel()
        settleLimit = nil
        settled?.succeed(())
        settled = nil
    }

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
        case .prove(let challenge): prove(challenge)
        case .ready:
            ready?.succeed(())
            ready = nil
            endSettling()
        case .sendBody: sendBody(from: sending?.message.start ?? 0, SMTPDotStuffer())
        case .sendChunk: sendBody(from: sending?.message.start ?? 0, nil)
        case .finished(let outcomes):
            let sending = sending
            self.sending = nil
            sending?.answer.succeed(outcomes)
        case .close(let end):
            ready?.fail(OutboundFailure(end, brokeInTLS: hasBegunTLS, reason: problem))
            ready = nil
            endSettling()
            context?.close(promise: nil)
        }
    }

    private func startTLS() {
        guard let context, let makeTLSHandler else { return act { machine.disconnected(into: &actions) } }
        hasBegunTLS = true
        do {
            let handler = try makeTLSHandler(host, verifies)
            try context.channel.pipeline.syncOperations.addHandler(handler, position: .first)
            act { machine.tlsStarted(into: &actions) }
        } catch {
            act { machine.disconnected(into: &actions) }
        }
    }

    private func prove(_ challenge: SMTPScramChallenge) {
        let password = machine.configuration.credentials?.password ?? ""
        let proof = fileThreads.runIfActive(eventLoop: eventLoop) { SMTPScramProof(challenge, password: password) }
        proof.assumeIsolated().whenComplete { [self] result in
            act { machine.proved(try? result.get(), into: &actions) }
        }
    }

    /// One run of the body, stuffed where dots matter, then the next when it has gone.
    private func sendBody(from offset: Int, _ stuffer: SMTPDotStuffer?) {
        guard let body = sending?.message.body, let context else { return }
        let run = fileThreads.runIfActive(eventLoop: eventLoop) {
            () -> (octets: [UInt8], stuffer: SMTPDotStuffer?, next: Int) in
            var octets: [UInt8] = []
            try body.read(at: offset, count: DeliveryLimits.bodyRunOctets, into: &octets)
            let next = offset + octets.count
            guard var stuffer else { return (octets, nil, octets.isEmpty ? body.size : next) }
            var output: [UInt8] = []
            output.reserveCapacity(octets.count + 64)
            octets.withUnsafeBytes { stuffer.append($0, to: &output) }
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

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSEvent.established = event, machine.configuration.credentials != nil {
            let tls = try? context.pipeline.syncOperations.handler(type: TLSHandler.self)
            machine.channelBinding = tls?.scramBinding
        }
        context.fireUserInboundEventTriggered(event)
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
        if problem == nil { problem = "\(error)" }
        act { machine.disconnected(into: &actions) }
        context.close(promise: nil)
    }
}

/// Why a connection never became ready.
struct OutboundFailure: Error {
    let end: SMTPClientEnd
    /// TLS had begun, and no message could be sent over it.
    let brokeInTLS: Bool
    let reason: String?

    init(_ end: SMTPClientEnd, brokeInTLS: Bool = false, reason: String? = nil) {
        self.end = end
        self.brokeInTLS = brokeInTLS && end == .disconnected
        self.reason = reason
    }

    var isAboutTLS: Bool { brokeInTLS || end == .noTLS }

    /// For logs and reports.
    var text: String {
        if brokeInTLS { return "TLS failed\(reason.map { ": \($0)" } ?? "")" }
        return switch end {
        case .refused(let reply): "\(reply.code) \(reply.text)"
        case .noTLS: "no TLS is offered"
        case .noMechanism: "no login mechanism is offered"
        case .unproved: "the host does not prove that it knows the password"
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
