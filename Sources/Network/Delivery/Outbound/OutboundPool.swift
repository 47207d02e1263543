// Connections to next hosts, kept for the next message to the same destination.
//
// An idle connection belongs to nobody and is closed with QUIT after `idleMax`. One that is lent out is answered for by
// whoever has it. The number per destination and in all is the runner's to bound: it asks for one only when it may.
import MailTypes
import NIOCore
import NIOPosix
import SMTP

/// A connection that is ready for a message.
struct OutboundLease: Sendable {
    let connection: NIOLoopBound<OutboundConnection>
    let eventLoop: any EventLoop
    /// Host and address, for logs and events.
    let remote: String
    var messages = 0

    /// Of the next host.
    let features: SMTPServerFeatures
    /// Recipients of one transaction.
    var recipientsMax: Int {
        let limit = DeliveryLimits.recipientsPerTransactionMax
        return features.recipientsMax.map { max(1, min($0, limit)) } ?? limit
    }

    /// It still stands, and the host waits for a command.
    var isReady: Bool {
        get async { (try? await eventLoop.submit { connection.value.isReady }.get()) ?? false }
    }

    func send(_ message: OutboundMessage) async -> [SMTPRecipientOutcome] {
        let answer = eventLoop.makePromise(of: [SMTPRecipientOutcome].self)
        eventLoop.execute { connection.value.send(message, answer: answer) }
        do {
            let outcomes = try await answer.futureResult.get()
            let settled = eventLoop.makePromise(of: Void.self)
            eventLoop.execute { connection.value.settle(settled) }
            try? await settled.futureResult.get()
            return outcomes
        } catch {
            return message.message.recipients.map { _ in .unanswered("the connection was lost") }
        }
    }
}

actor OutboundPool {
    /// A host that could not be had is left alone for a while.
    private struct Rest {
        let failure: any Error
        /// When it was asked.
        let since: Timestamp
        let until: Timestamp

        /// - Parameter wish: when an operator last wanted messages tried.
        func holds(at now: Timestamp, wish: Timestamp?) -> Bool {
            // A clock that was set back ends a rest rather than making it long.
            guard since <= now, now < until else { return false }
            return wish.map { $0 <= since || $0 > now } ?? true
        }
    }

    private let group: any EventLoopGroup
    private let options: DeliveryOptions
    private let fileThreads: NIOThreadPool
    private let clock: @Sendable () -> Timestamp
    private let wish: RetryWish
    /// Another has taken its place, or there is none any more: what comes back is closed.
    private var isRetired = false
    /// Nothing is connected any more.
    private var isClosed = false
    private var resting: [String: Rest] = [:]
    private var idle: [String: [(lease: OutboundLease, since: NIODeadline)]] = [:]

    init(
        group: any EventLoopGroup, options: DeliveryOptions, fileThreads: NIOThreadPool,
        clock: @escaping @Sendable () -> Timestamp, wish: RetryWish
    ) {
        self.group = group
        self.options = options
        self.fileThreads = fileThreads
        self.clock = clock
        self.wish = wish
    }

    /// An idle connection to the destination that still stands.
    func take(_ destination: String) async -> OutboundLease? {
        while let candidate = idle[destination]?.popLast() {
            if idle[destination]?.isEmpty == true { idle[destination] = nil }
            if await candidate.lease.isReady { return candidate.lease }
        }
        return nil
    }

    /// Gives a connection back; it is closed when it has carried enough or is not ready.
    func give(_ lease: OutboundLease, to destination: String) async {
        let isReady = await lease.isReady
        guard isReady, !isRetired, lease.messages < DeliveryLimits.messagesPerConnectionMax else {
            return quit(lease)
        }
        idle[destination, default: []].append((lease, .now()))
    }

    func close() {
        isClosed = true
        retire()
    }

    func retire() {
        isRetired = true
        closeIdle(before: .distantFuture)
    }

    func closeIdle(before deadline: NIODeadline) {
        let now = clock()
        resting = resting.filter { $0.value.holds(at: now, wish: nil) }
        for (destination, leases) in idle {
            let kept = leases.filter { $0.since > deadline }
            for entry in leases where entry.since <= deadline { quit(entry.lease) }
            idle[destination] = kept.isEmpty ? nil : kept
        }
    }

    nonisolated private func quit(_ lease: OutboundLease) {
        lease.eventLoop.execute { lease.connection.value.quit() }
    }

    /// Connects and waits until the host is ready for a message. One that was not a moment ago is not asked again: of many
    /// messages for it, new ones and those that are due again, the first finds that out for the others. An operator who has
    /// wanted messages tried since then has it asked.
    func connect(host: String, address: String, port: Int, requiresTLS: Bool) async throws -> OutboundLease {
        let key = "\(host) [\(address)]:\(port)\(requiresTLS ? " TLS" : "")"
        if isClosed { throw OutboundFailure(.disconnected, reason: "the node ends") }
        let now = clock()
        if let rest = resting[key], rest.holds(at: now, wish: wish.latest) { throw rest.failure }
        do {
            let lease = try await open(host, address, port, requiresTLS)
            resting[key] = nil
            return lease
        } catch {
            if resting.count < DeliveryLimits.restingMax || resting[key] != nil {
                let until = Timestamp(milliseconds: clock().rawValue + options.hostRest.nanoseconds / 1_000_000)
                resting[key] = Rest(failure: error, since: now, until: until)
            }
            throw error
        }
    }

    /// Where TLS is used when it is there, and fails, the message goes in the clear over a second connection: without TLS
    /// it would have gone so too (RFC 7435).
    private func open(
        _ host: String, _ address: String, _ port: Int, _ requiresTLS: Bool
    ) async throws -> OutboundLease {
        var configuration = SMTPClientConfiguration(helloName: options.hostName)
        if let smart = options.smartHost {
            configuration.tls = smart.tls
            configuration.isImplicitTLS = smart.isImplicitTLS
            configuration.credentials = smart.credentials
        }
        if requiresTLS { configuration.tls = .required }
        if options.makeTLSHandler == nil { configuration.tls = configuration.tls == .required ? .required : .never }
        configuration.isLineSafe = address == "127.0.0.1" || address == "::1"
        let verifies = requiresTLS || options.smartHost?.verifies ?? false
        do {
            return try await connect(host, address, port, configuration, verifies)
        } catch let failure as OutboundFailure
            where failure.brokeInTLS && configuration.tls == .opportunistic && !configuration.isImplicitTLS
        {
            configuration.tls = .never
            return try await connect(host, address, port, configuration, verifies)
        }
    }

    private func connect(
        _ host: String, _ address: String, _ port: Int, _ configuration: SMTPClientConfiguration, _ verifies: Bool
    ) async throws -> OutboundLease {
        var own = configuration
        // RFC 5802 section 5.1: of each exchange its own, and a connection has one.
        if own.credentials != nil { own.scramNonce = options.makeNonce() }
        let settled = own
        let options = options
        let fileThreads = fileThreads
        let eventLoop = group.next()
        let ready = eventLoop.makePromise(of: Void.self)
        let bootstrap = ClientBootstrap(group: eventLoop).connectTimeout(options.connectTimeout)
            .channelOption(ChannelOptions.tcpOption(.tcp_nodelay), value: 1)
        do {
            let bound = try await bootstrap.connect(host: address, port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    if settled.isImplicitTLS {
                        guard let make = options.makeTLSHandler else { throw OutboundFailure(.noTLS) }
                        try channel.pipeline.syncOperations.addHandler(try make(host, verifies))
                    }
                    let connection = OutboundConnection(
                        settled, host: host, verifies: verifies, eventLoop: channel.eventLoop,
                        fileThreads: fileThreads, makeTLSHandler: options.makeTLSHandler, ready: ready)
                    try channel.pipeline.syncOperations.addHandler(connection)
                    return NIOLoopBound(connection, eventLoop: channel.eventLoop)
                }
            }
            try await ready.futureResult.get()
            let features = try await eventLoop.submit { bound.value.features }.get()
            return OutboundLease(
                connection: bound, eventLoop: eventLoop, remote: host == address ? host : "\(host) [\(address)]",
                features: features)
        } catch {
            ready.fail(error)
            throw error
        }
    }
}
