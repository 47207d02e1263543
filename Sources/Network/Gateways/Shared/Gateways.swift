// All listeners of a node: their start, their end, and what they count.
import IMAP
import Logging
import MailEngine
import MailTypes
import NIOCore
import NIOPosix
import POP3
import Synchronization

/// Whether the node is fit to serve, as the parts beside the gateways see it.
package struct HealthReport: Sendable {
    /// Why it is not; empty when it is.
    package var problems: [String]
    package init(problems: [String] = []) { self.problems = problems }
}

package final class Gateways: Sendable {
    private struct State {
        var mail: [Listener] = []
        var http: [Listener] = []
        var areUp = false
        var isDraining = false
    }

    private let group: MultiThreadedEventLoopGroup
    let context: GatewayContext
    private let health: @Sendable () -> HealthReport
    private let extraMetrics: @Sendable () -> String
    private let state = Mutex(State())

    /// - Parameters:
    ///   - health: asked by `/ready`; must answer at once.
    ///   - extraMetrics: further lines of `/metrics`, in Prometheus' text format; must answer at once.
    package init(
        engine: MailEngine, options: GatewayOptions, logger: Logger,
        health: @escaping @Sendable () -> HealthReport = { HealthReport() },
        extraMetrics: @escaping @Sendable () -> String = { "" }
    ) {
        let loops = options.eventLoops > 0 ? options.eventLoops : min(System.coreCount, 8)
        group = MultiThreadedEventLoopGroup(numberOfThreads: loops)
        context = GatewayContext(engine: engine, options: options, log: logger, group: group)
        self.health = health
        self.extraMetrics = extraMetrics
    }

    /// What has been counted so far.
    package var metrics: GatewayMetrics { context.counters.metrics }

    /// The sessions there are, in the order in which they came.
    package var sessions: [SessionInfo] {
        let now = NIODeadline.now()
        return context.registry.all.map { SessionInfo($0, at: now) }
    }

    /// Ends those of the sessions that are still there, in their protocols' words.
    /// - Returns: how many there were.
    package func end(_ sessions: Set<SessionID>) -> Int {
        let cards = context.registry.all.filter { sessions.contains($0.id) }
        for card in cards { card.tell(.end(.kicked)) }
        return cards.count
    }

    /// What becomes of mail for an address, whichever way it comes.
    package func recipient(_ address: String) throws -> ResolvedRecipient {
        try context.directory.resolve(address)
    }

    /// Takes other rules about what people may send.
    package func replace(_ sending: SendingOptions) { context.replace(sending) }

    /// Takes other filters, for the sessions that begin from now on.
    package func replace(_ milters: [MilterOptions]) { context.replace(milters) }

    /// Logins by SASL that have begun and are not over.
    package var exchangesUnderWay: Int { context.sasl.exchangesUnderWay }

    /// Binds all of them, or none. Called once.
    ///
    /// - Returns: where each listens, in the order given, with the ports that the system gave.
    /// - Throws: `ListenError` for the first that cannot be had.
    package func start(_ listeners: [(GatewayProtocol, ListenAddress)]) async throws -> [(GatewayProtocol, String)] {
        var bound: [Listener] = []
        do {
            for (name, address) in listeners {
                bound.append(
                    try await Listener.bind(
                        name, address, group: group, options: context.options, initializer(name)))
            }
        } catch {
            for listener in bound { await listener.close() }
            throw error
        }
        context.watchAccounts()
        try context.domains.load()
        context.notices.start(on: group.next())
        let all = bound
        state.withLock { state in
            state.mail = all.filter { $0.name != .http }
            state.http = all.filter { $0.name == .http }
            state.areUp = true
        }
        for listener in all {
            context.log.info(
                "listening", metadata: ["listener": "\(listener.name.rawValue)", "address": "\(listener.address)"])
        }
        return all.map { ($0.name, $0.address) }
    }

    private func initializer(_ name: GatewayProtocol) -> @Sendable (any Channel) throws -> Void {
        let context = context
        return { [self] channel in
            if case .unixDomainSocket = channel.localAddress {
            } else {
                try channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
            }
            if name == .http { return try HTTPPages.install(on: channel, context, page: page) }
            let peer = ClientAddress(channel.remoteAddress)
            guard context.options.proxyFrom.contains(peer) else { return try install(name, on: channel, peer) }
            let handler = ProxyHandler(
                peer: peer, install: { [self] client in try install(name, on: channel, client) },
                refused: { reason in
                    context.counters[name].reject(.proxy)
                    context.notices.say(
                        .proxyRefused, context.log, ["client": "\(peer.description)", "reason": "\(reason)"])
                })
            try channel.pipeline.syncOperations.addHandler(handler)
        }
    }

    /// Adds the handlers of a protocol of mail.
    ///
    /// - Parameter client: the other end, or who a trusted proxy says it is.
    private func install(_ name: GatewayProtocol, on channel: any Channel, _ client: ClientAddress) throws {
        let context = context
        let connection = Connection(context, name, channel: channel, client: client) { connection in
            switch name {
            case .lmtp: SMTPSession(connection, connection.smtpConfiguration(.lmtp))
            case .pop3, .pop3s: POP3Session(connection, connection.pop3Configuration)
            case .imap, .imaps: IMAPSession(connection, connection.imapConfiguration)
            case .submission, .submissions: SMTPSession(connection, connection.smtpConfiguration(.submission))
            default: SMTPSession(connection, connection.smtpConfiguration(.smtp))
            }
        }
        if name.isImplicitTLS, let server = context.options.tls {
            let handler = context.tlsHandler(server, name)
            connection.beginsWithTLS(handler)
            try channel.pipeline.syncOperations.addHandler(handler)
        }
        try channel.pipeline.syncOperations.addHandler(connection)
    }

    /// Stops: no new connections, sessions end after the command or message that is under way, and what is left at the
    /// deadline is cut off. Pages over HTTP are served until the end. Nothing works afterwards; a second call does
    /// nothing.
    package func drain(deadline: Duration) async {
        let isFirst = state.withLock { state in
            defer { state.isDraining = true }
            return !state.isDraining
        }
        guard isFirst else { return }
        let (mail, http) = state.withLock { ($0.mail, $0.http) }
        for listener in mail { await listener.close() }
        for card in context.registry.close() { card.tell(.shutDown) }
        let cut = Task {
            try await Task.sleep(for: deadline)
            for card in context.registry.close() { card.cut() }
        }
        await context.registry.waitUntilEmpty()
        cut.cancel()
        for listener in http { await listener.close() }
        context.stopWatching()
        await settle()
        context.notices.stop()
        context.authenticator.shutDown()
        try? await context.fileThreads.shutdownGracefully()
        try? await context.readThreads.shutdownGracefully()
        try? await context.orderThreads.shutdownGracefully()
        try? await group.shutdownGracefully()
    }

    /// Waits for answers to sessions that were cut off: they would come to event loops that are gone.
    private func settle() async {
        let end = ContinuousClock.now + .nanoseconds(GatewayLimits.lateAnswersMax.nanoseconds)
        while context.unanswered.current > 0, ContinuousClock.now < end {
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    private func page(_ path: String) -> Page? {
        switch path {
        case "/metrics":
            let text = metrics.text + context.engine.statistics.text + extraMetrics()
            return Page(status: .ok, type: "text/plain; version=0.0.4; charset=utf-8", text: text)
        case "/health":
            return Page(status: .ok, text: "ok\n")
        case "/ready":
            let problems = problems
            return problems.isEmpty
                ? Page(status: .ok, text: "ready\n")
                : Page(status: .serviceUnavailable, text: problems.map { $0 + "\n" }.joined())
        default: return nil
        }
    }

    private var problems: [String] {
        let (areUp, isDraining) = state.withLock { ($0.areUp, $0.isDraining) }
        var problems: [String] = []
        if isDraining { problems.append("stopping") } else if !areUp { problems.append("listeners are not up yet") }
        if let reason = context.engine.statistics.stopped { problems.append("the store takes no writes: \(reason)") }
        return problems + health().problems
    }
}
