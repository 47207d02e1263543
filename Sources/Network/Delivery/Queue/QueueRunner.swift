// Works off the outbound queue: takes what is due, sends it, and writes down what came of it.
//
// Invariants
// - The queue is in the log; nothing here must survive. After a restart what waited is found by reading it again.
// - What came of an attempt is recorded in one request with the report it makes necessary, so that a report is neither
//   lost nor made twice. A message is sent again only when the node died between the next host's reply and that commit,
//   which no sender can tell from a lost reply (RFC 1047).
// - No report answers a message with the null sender (RFC 5321 section 6.1).
// - Memory does not grow with the queue: at most `messagesMax` entries are held.
import EventStore
import Logging
import MailCore
import MailEngine
import MailTypes
import NIOCore
import NIOPosix
import SMTP

package actor QueueRunner {
    private let engine: MailEngine
    private var options: DeliveryOptions
    private var router: Router
    private var pool: OutboundPool
    private let group: any EventLoopGroup
    private let fileThreads: NIOThreadPool
    private let log: Logger
    private var recorder: AttemptRecorder

    private var slots: DeliverySlots
    private var inFlight: Set<QueueID> = []
    /// Messages of which the queue does not show what happened to them, until when they are left alone.
    private var resting: [QueueID: Timestamp] = [:]
    private var isRunning = false
    private var subscriptions: [Subscription] = []
    private let wish = RetryWish()
    private var waker: AsyncStream<Void>.Continuation?
    private var loop: Task<Void, Never>?
    private var timer: Task<Void, Never>?
    private var drained: [CheckedContinuation<Void, Never>] = []
    private let counters: DeliveryCounters
    /// The engine records nothing any more, so nothing is sent.
    private var isStopped = false

    /// - Parameter inbox: what this node makes of a recipient's address.
    package init(
        engine: MailEngine, resolver: any MailResolver, options: DeliveryOptions, group: any EventLoopGroup,
        fileThreads: NIOThreadPool, log: Logger,
        inbox: @escaping @Sendable (String) throws -> LocalRecipient
    ) {
        self.init(
            engine: engine, resolver: resolver, options: options, group: group, fileThreads: fileThreads, log: log,
            submit: { await engine.perform($0) }, inbox: inbox)
    }

    /// - Parameter submit: the engine, but for tests of one that takes nothing.
    init(
        engine: MailEngine, resolver: any MailResolver, options: DeliveryOptions, group: any EventLoopGroup,
        fileThreads: NIOThreadPool, log: Logger, submit: @escaping @Sendable (Request) async -> [CommandOutcome],
        inbox: @escaping @Sendable (String) throws -> LocalRecipient
    ) {
        self.engine = engine
        self.options = options
        self.group = group
        self.fileThreads = fileThreads
        self.log = log
        router = Router(resolver: resolver, options: options)
        pool = OutboundPool(
            group: group, options: options, fileThreads: fileThreads, clock: engine.clock, wish: wish)
        slots = DeliverySlots(perDestinationMax: options.connectionsPerDestinationMax, totalMax: options.connectionsMax)
        let counters = DeliveryCounters()
        self.counters = counters
        recorder = AttemptRecorder(
            engine: engine, options: options, log: log, fileThreads: fileThreads, inbox: inbox, submit: submit,
            recorded: { counters.count($0) })
    }

    package nonisolated var statistics: DeliveryStatistics { counters.statistics }

    /// From now on: what is under way ends as it began, over the connections that it has.
    ///
    /// - Parameter resolver: another one; nil where it stays.
    package func reconfigure(_ options: DeliveryOptions, resolver: (any MailResolver)? = nil) async {
        let old = pool
        self.options = options
        router = Router(resolver: resolver ?? router.resolver, options: options)
        pool = OutboundPool(
            group: group, options: options, fileThreads: fileThreads, clock: engine.clock, wish: wish)
        recorder.options = options
        slots.limit(perDestination: options.connectionsPerDestinationMax, total: options.connectionsMax)
        await old.retire()
        waker?.yield()
    }

    package func start() {
        guard !isRunning else { return }
        isRunning = true
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        waker = continuation
        subscriptions = [
            // Comes before the other, which has the messages looked for.
            engine.subscribeStandings { [wish, clock = engine.clock] changes in
                if changes.contains(where: { $0.kinds.contains(.retry) }) { wish.note(clock()) }
            },
            engine.subscribe(.queue) { _ in continuation.yield() },
        ]
        loop = Task { [weak self] in
            for await _ in stream { await self?.takeDue() }
        }
        continuation.yield()
    }

    /// Takes nothing new, and waits for what is under way, up to `deadline`.
    package func stop(within deadline: TimeAmount) async {
        guard isRunning else { return }
        isRunning = false
        for subscription in subscriptions { subscription.cancel() }
        waker?.finish()
        loop?.cancel()
        timer?.cancel()
        if !inFlight.isEmpty {
            let limit = Task { [weak self] in
                try? await Task.sleep(nanoseconds: UInt64(max(0, deadline.nanoseconds)))
                await self?.endWaiting()
            }
            await withCheckedContinuation { drained.append($0) }
            limit.cancel()
        }
        await pool.close()
    }

    private func endWaiting() {
        let waiting = drained
        drained = []
        for continuation in waiting { continuation.resume() }
    }

    // MARK: Finding work

    private struct Found: Sendable {
        /// With the destinations of those that wait.
        var due: [(id: QueueID, destinations: Set<String>)] = []
        /// When to look again; nil when nothing waits.
        var next: Timestamp?
        var scanned = 0
        /// It was not looked to the end of what is due.
        var isCut = false
    }

    private func takeDue() async {
        guard isRunning, !isStopped, options.isOn else { return }
        await pool.closeIdle(before: .now() - options.idleMax)
        resting = resting.filter { $0.value > engine.clock() }
        let room = resting.count > DeliveryLimits.restingMax ? 0 : options.messagesMax - inFlight.count
        guard room > 0 else { return resting.isEmpty ? () : wake(after: .minutes(1)) }
        // A long queue behind a busy destination is read to its end once a second only.
        let isDeep = NIODeadline.now() - lastDeepLook > .seconds(1)
        if isDeep { lastDeepLook = .now() }
        let found: Found
        do {
            found = try await find(
                atMost: room,
                among: isDeep ? DeliveryLimits.entriesScannedMax : DeliveryLimits.entriesScannedShallowMax)
        } catch {
            log.error("the queue cannot be read", metadata: ["error": "\(error)"])
            return wake(after: .seconds(10))
        }
        // The end may have come while the queue was read.
        guard isRunning, !isStopped, options.isOn else { return }
        for (id, destinations) in found.due where inFlight.insert(id).inserted {
            for destination in destinations { load[destination, default: 0] += 1 }
            Task { [weak self] in
                let recording = await self?.attempt(id)
                await self?.finished(id, destinations, recording ?? .stopped)
            }
        }
        counters.set(inFlight: inFlight.count)
        // Something may be due behind what was looked at.
        if found.isCut { return wake(after: .seconds(1)) }
        guard let next = [found.next, resting.values.min()].compactMap({ $0 }).min() else {
            return wake(after: options.idleMax)
        }
        let delay = max(0, next.rawValue - engine.clock().rawValue)
        wake(after: min(.milliseconds(delay), .minutes(10)))
    }

    private func wake(after delay: TimeAmount) {
        timer?.cancel()
        guard let waker else { return }
        timer = Task {
            do { try await Task.sleep(nanoseconds: UInt64(max(1_000_000, delay.nanoseconds))) } catch { return }
            waker.yield()
        }
    }

    private func find(atMost room: Int, among depth: Int) async throws -> Found {
        let now = engine.clock()
        let taken = inFlight.union(resting.keys)
        let (loadNow, loadMax) = (load, loadMax)
        // With a smart host what is behind a full destination goes there too.
        let hasOneWay = options.smartHost != nil
        return try await fileThreads.runIfActive { [engine, router] in
            var found = Found()
            var load = loadNow
            try engine.read { state in
                try state.queue { id, entry in
                    found.scanned += 1
                    guard entry.nextAttempt <= now else {
                        found.next = entry.nextAttempt
                        return false
                    }
                    guard !taken.contains(id) else { return true }
                    let message = QueuedMessage(id: id, entry: entry)
                    let destinations = Set(message.waiting.map { router.destination(of: $0.domain) })
                    if destinations.allSatisfy({ load[$0, default: 0] < loadMax }) {
                        for destination in destinations { load[destination, default: 0] += 1 }
                        found.due.append((id, destinations))
                    } else if hasOneWay {
                        found.isCut = true
                    }
                    if found.due.count >= room || found.scanned >= depth { found.isCut = true }
                    return !found.isCut
                }
            }
            return found
        }
    }

    /// Messages under way to one destination, beyond which no more of its messages are taken: enough to keep its
    /// connections busy, few enough that a slow one leaves room for others.
    private var loadMax: Int {
        min(
            options.connectionsPerDestinationMax * DeliveryLimits.messagesPerConnectionSlotMax,
            max(options.connectionsPerDestinationMax * 2, options.messagesMax / 4))
    }
    /// Messages under way, by destination.
    private var load: [String: Int] = [:]
    private var lastDeepLook = NIODeadline.uptimeNanoseconds(0)

    // MARK: One message

    private func attempt(_ id: QueueID) async -> AttemptRecorder.Recording {
        let message: QueuedMessage
        // It was found before the attempt before this one may have been recorded.
        do {
            guard let entry = try engine.read({ try $0.queueEntry(id) }), entry.nextAttempt <= engine.clock()
            else { return .done }
            message = QueuedMessage(id: id, entry: entry)
        } catch {
            log.error("a queue entry cannot be read", metadata: ["error": "\(error)"])
            return .failed
        }
        let original: AttemptRecorder.Original
        do {
            let blob = message.entry.blob
            original = try await fileThreads.runIfActive { [engine] in
                let body = try engine.openBody(blob)
                return AttemptRecorder.Original(body: body, nature: try BodyNature(of: body))
            }
        } catch {
            log.error(
                "a queued message cannot be read", metadata: ["queue": "\(message.id.rawValue)", "error": "\(error)"])
            let all = message.waiting.flatMap(\.indexes)
            return await recorder.record(
                message, all.map { .deferred($0, "the message cannot be read here now") }, nil)
        }
        return await withTaskGroup(of: AttemptRecorder.Recording.self) { tasks in
            for group in message.waiting {
                tasks.addTask { await self.deliver(message, group, original) }
            }
            var all = AttemptRecorder.Recording.done
            for await one in tasks { all = all.worse(one) }
            return all
        }
    }

    private func deliver(
        _ message: QueuedMessage, _ group: DomainGroup, _ original: AttemptRecorder.Original
    ) async -> AttemptRecorder.Recording {
        // What is ours, or has become ours meanwhile, does not go out.
        var outward: [UInt16] = []
        var recording = AttemptRecorder.Recording.done
        for index in group.indexes {
            if let here = await recorder.deliverHere(message, index, original) {
                recording = recording.worse(here)
            } else {
                outward.append(index)
            }
        }
        guard !outward.isEmpty else { return recording }
        // What begins one way ends that way: its connections are named by it.
        let (router, pool) = (router, pool)
        let destination = router.destination(of: group.domain)
        await acquire(destination)
        let attempt = DomainAttempt(
            message: message, indexes: outward, domain: group.domain, destination: destination, body: original.body,
            nature: original.nature, router: router, pool: pool, now: engine.clock())
        let results = await attempt.run()
        slots.release(destination)
        return recording.worse(await recorder.record(message, results, original))
    }

    private func acquire(_ destination: String) async {
        if slots.take(destination) { return }
        await withCheckedContinuation { slots.wait(destination, $0) }
    }

    private func finished(_ id: QueueID, _ destinations: Set<String>, _ recording: AttemptRecorder.Recording) {
        inFlight.remove(id)
        switch recording {
        case .done: break
        case .failed:
            // The queue shows it as it was, so as due: without a pause it would be sent again and again.
            resting[id] = Timestamp(milliseconds: engine.clock().rawValue + options.retryFirst.nanoseconds / 1_000_000)
        case .stopped where isRunning && !isStopped:
            isStopped = true
            log.critical("nothing more is sent until the node is started again: what came of it cannot be recorded")
        case .stopped: break
        }
        for destination in destinations {
            let left = load[destination, default: 1] - 1
            load[destination] = left > 0 ? left : nil
        }
        counters.set(inFlight: inFlight.count)
        if inFlight.isEmpty { endWaiting() }
        waker?.yield()
    }
}
