// A connection to a filter, on the event loop of the session that it serves: octets to `MilterClientMachine`, its actions to the
// link, and time limits around both. What the filter does with it (hangs, floods, closes) ends the connection at worst.
import Milter
import NIOCore
import NIOPosix

/// What a connection tells whoever opened it; all on the event loop.
protocol MilterConnectionOwner: AnyObject {
    /// A question may be asked.
    func milterReady()
    func milterAnswered(_ verdict: MilterVerdict)
    func milterWants(_ change: MilterChange)
    /// Once; nothing follows.
    func milterFailed(_ fault: MilterFault)
    /// What was said above has been carried out as far as it goes.
    func milterSettled()
    /// Changes can be taken: when false, the filter is not read from.
    var hasRoomForChanges: Bool { get }
}

final class MilterConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private weak var owner: (any MilterConnectionOwner)?
    private let eventLoop: any EventLoop
    private let open: Counter
    private var machine = MilterClientMachine()
    private var context: ChannelHandlerContext?
    private var timer: Scheduled<Void>?
    private var isReadDue = false
    /// For the agreement, once there is a connection.
    private var timeout = TimeAmount.zero
    /// How long the answer that is awaited may take.
    private var patience = TimeAmount.zero
    /// Until when there must be a verdict, however often the filter says that it is at work; nil where that does not count.
    private var deadline: NIODeadline?
    /// A message was asked about over this connection before.
    private(set) var hasServed = false

    /// - Parameter open: counts connections to filters.
    init(_ owner: any MilterConnectionOwner, eventLoop: any EventLoop, open: Counter) {
        self.owner = owner
        self.eventLoop = eventLoop
        self.open = open
        open.add()
    }

    deinit { open.add(-1) }

    var agreement: MilterAgreement { machine.agreement }
    /// A question can be asked now.
    var isReady: Bool { machine.isReady && context?.channel.isWritable == true }
    var isUsable: Bool { !machine.isOver }
    /// The filter does not take what was sent: it has so long to begin.
    var isStalled: Bool { machine.isReady && context?.channel.isWritable == false }

    func connect(to address: ListenAddress, timeout: TimeAmount) {
        // Over a Unix socket the connection may be there before this returns.
        self.timeout = timeout
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(min(timeout, GatewayLimits.milterConnectMax))
            .channelOption(ChannelOptions.autoRead, value: false)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(bound.value) }
            }
        let future =
            switch address {
            case .tcp(let host, let port): bootstrap.connect(host: host, port: port)
            case .unix(let path): bootstrap.connect(unixDomainSocketPath: path)
            }
        future.assumeIsolated().whenFailure { _ in
            self.fail(.notThere)
            self.owner?.milterSettled()
        }
    }

    /// - Parameter deadline: when there must be an answer, progress or not.
    func ask(
        _ question: MilterQuestion, _ macros: [String: String], patience: TimeAmount, deadline: NIODeadline? = nil
    ) {
        guard isReady else { return }
        self.patience = patience
        self.deadline = deadline
        wait(patience)
        drive { machine.ask(question, macros, into: &$0) }
    }

    /// The filter is to forget the message.
    func abort() {
        guard machine.isReady else { return }
        drive { machine.abort(into: &$0) }
    }

    /// The next message is another.
    func endMessage() { hasServed = true }

    /// The session is over, or this connection of no use.
    func quit() {
        owner = nil
        stopWaiting()
        drive { machine.quit(into: &$0) }
        context?.close(promise: nil)
    }

    func fail(_ fault: MilterFault) { drive { machine.fail(fault, into: &$0) } }

    /// There is room for changes again.
    func readOn() {
        guard isReadDue, owner?.hasRoomForChanges != false, let context else { return }
        isReadDue = false
        context.read()
    }

    /// Tells the machine something and carries out what it answers.
    private func drive(_ tell: (inout [MilterClientAction]) -> Void) {
        var actions: [MilterClientAction] = []
        tell(&actions)
        for action in actions {
            switch action {
            case .send(let octets):
                context?.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: octets)), promise: nil)
            case .ready:
                stopWaiting()
                owner?.milterReady()
            case .progress: if deadline != nil { wait(patience) }
            case .change(let change): owner?.milterWants(change)
            case .answered(let verdict):
                stopWaiting()
                owner?.milterAnswered(verdict)
            case .failed(let fault):
                stopWaiting()
                owner?.milterFailed(fault)
                context?.close(promise: nil)
            }
        }
    }

    // MARK: Time

    /// Gives the filter so long to take what was sent.
    func waitForRoom(_ patience: TimeAmount) {
        if timer == nil { wait(patience) }
    }

    private func wait(_ patience: TimeAmount) {
        timer?.cancel()
        let left = deadline.map { $0 - .now() } ?? patience
        timer = eventLoop.assumeIsolated().scheduleTask(in: min(patience, left)) { [weak self] in
            self?.timer = nil
            self?.fail(.timeout)
            self?.owner?.milterSettled()
        }
    }

    private func stopWaiting() {
        timer?.cancel()
        timer = nil
    }

    // MARK: Events of the channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) { begin(context) }

    private func begin(_ context: ChannelHandlerContext) {
        // The session may have gone meanwhile.
        guard !machine.isOver, owner != nil else { return context.close(promise: nil) }
        wait(timeout)
        drive { machine.begin(into: &$0) }
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        drive { actions in
            unwrapInboundIn(data).withUnsafeReadableBytes { machine.receive($0, into: &actions) }
        }
        owner?.milterSettled()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReadDue = true
        readOn()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable else { return }
        if machine.isReady {
            stopWaiting()
            owner?.milterReady()
        }
        owner?.milterSettled()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) {
        fail(.notThere)
        owner?.milterSettled()
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }
}
