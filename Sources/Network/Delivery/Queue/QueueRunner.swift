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
import Synchronization

/// What the queue does now, for metrics.
package struct DeliveryStatistics: Sendable {
    package var inFlight = 0
    package var delivered: UInt64 = 0
    package var deferred: UInt64 = 0
    package var bounced: UInt64 = 0
    package init() {}
}

package actor QueueRunner {
    private let engine: MailEngine
    private let options: DeliveryOptions
    private let router: Router
    private let pool: OutboundPool
    private let fileThreads: NIOThreadPool
    private let log: Logger
    private let recorder: AttemptRecorder

    private var slots: DeliverySlots
    private var inFlight: Set<QueueID> = []
    private var isRunning = false
    private var subscription: Subscription?
    private var waker: AsyncStream<Void>.Continuation?
    private var loop: Task<Void, Never>?
    private var timer: Task<Void, Never>?
    private var drained: [CheckedContinuation<Void, Never>] = []
    private let counters = Mutex(DeliveryStatistics())

    /// - Parameter inbox: what this node makes of a recipient's address.
    package init(
        engine: MailEngine, resolver: any MailResolver, options: DeliveryOptions, group: any EventLoopGroup,
        fileThreads: NIOThreadPool, log: Logger,
        inbox: @escaping @Sendable (String) throws -> LocalRecipient
    ) {
        self.engine = engine
        self.options = options
        self.fileThreads = fileThreads
        self.log = log
        router = Router(resolver: resolver, options: options)
        pool = OutboundPool(group: group, options: options, fileThreads: fileThreads)
        slots = DeliverySlots(perDestinationMax: options.connectionsPerDestinationMax, totalMax: options.connectionsMax)
        recorder = AttemptRecorder(
            engine: engine, options: options, log: log, fileThreads: fileThreads, inbox: inbox)
    }

    package nonisolated var statistics: DeliveryStatistics { counters.withLock { $0 } }

    package func start() {
        guard !isRunning else { return }
        isRunning = true
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        waker = continuation
        subscription = engine.subscribe(.queue) { _ in continuation.yield() }
        loop = Task { [weak self] in
            for await _ in stream { await self?.takeDue() }
        }
        continuation.yield()
    }

    /// Takes nothing new, and waits for what is under way, up to `deadline`.
    package func stop(within deadline: TimeAmount) async {
        guard isRunning else { return }
        isRunning = false
        subscription?.cancel()
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
        await pool.closeIdle(before: .distantFuture)
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
        guard isRunning else { return }
        await pool.closeIdle(before: .now() - options.idleMax)
        let room = options.messagesMax - inFlight.count
        guard room > 0 else { return }
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
        for (id, destinations) in found.due where inFlight.insert(id).inserted {
            for destination in destinations { load[destination, default: 0] += 1 }
            Task { [weak self] in
                await self?.attempt(id)
                await self?.finished(id, destinations)
            }
        }
        counters.withLock { $0.inFlight = inFlight.count }
        // Something may be due behind what was looked at.
        if found.isCut { return wake(after: .seconds(1)) }
        guard let next = found.next else { return wake(after: options.idleMax) }
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
        let taken = inFlight
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
                    let destinations = Set(
                        message.waiting.map { router.destination(of: $0.domain, requiresTLS: message.requiresTLS) })
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

    private func attempt(_ id: QueueID) async {
        let message: QueuedMessage
        // It was found before the attempt before this one may have been recorded.
        do {
            guard let entry = try engine.read({ try $0.queueEntry(id) }), entry.nextAttempt <= engine.clock()
            else { return }
            message = QueuedMessage(id: id, entry: entry)
        } catch {
            return log.error("a queue entry cannot be read", metadata: ["error": "\(error)"])
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
            return await record(message, all.map { .deferred($0, "the message cannot be read here now") }, nil)
        }
        await withTaskGroup(of: Void.self) { tasks in
            for group in message.waiting {
                tasks.addTask { await self.deliver(message, group, original) }
            }
        }
    }

    private func deliver(_ message: QueuedMessage, _ group: DomainGroup, _ original: AttemptRecorder.Original) async {
        // What is ours, or has become ours meanwhile, does not go out.
        var outward: [UInt16] = []
        for index in group.indexes where !(await recorder.deliverHere(message, index, original)) {
            outward.append(index)
        }
        guard !outward.isEmpty else { return }
        let destination = router.destination(of: group.domain, requiresTLS: message.requiresTLS)
        await acquire(destination)
        let attempt = DomainAttempt(
            message: message, indexes: outward, domain: group.domain, destination: destination, body: original.body,
            nature: original.nature, router: router, pool: pool, now: engine.clock())
        let results = await attempt.run()
        slots.release(destination)
        await record(message, results, original)
    }

    private func acquire(_ destination: String) async {
        if slots.take(destination) { return }
        await withCheckedContinuation { slots.wait(destination, $0) }
    }

    private func record(
        _ message: QueuedMessage, _ results: [RecipientResult], _ original: AttemptRecorder.Original?
    ) async {
        for result in results {
            counters.withLock {
                switch result.fate {
                case .delivered: $0.delivered += 1
                case .deferred: $0.deferred += 1
                case .bounced: $0.bounced += 1
                }
            }
        }
        await recorder.record(message, results, original)
    }

    private func finished(_ id: QueueID, _ destinations: Set<String>) {
        inFlight.remove(id)
        for destination in destinations {
            let left = load[destination, default: 1] - 1
            load[destination] = left > 0 ? left : nil
        }
        counters.withLock { $0.inFlight = inFlight.count }
        if inFlight.isEmpty { endWaiting() }
        waker?.yield()
    }
}
