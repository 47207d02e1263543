// The only door to state: commands in, outcomes out; queries on snapshots; a feed that says when to look again.
//
// Any thread may call anything here. Completions and notifications run on an engine thread and must not block it.
import EventStore
import Glibc
import MailCore
import MailTypes
import Synchronization

package final class MailEngine: Sendable {
    package let store: any ShardStore
    package let options: EngineOptions
    package let clock: @Sendable () -> Timestamp
    /// What the sessions of one mailbox share.
    package let indexes: MailboxIndexes
    package let steps = MailboxSteps()
    package let recents = RecentClaims()
    let leases = Mutex<Set<AccountID>>([])
    private let feed = Feed()
    private let counters = Monitor(EngineStatistics())
    private let pipeline: Pipeline
    private let sessions: Atomic<UInt64>

    /// - Parameter clock: wall-clock time; may step, the log's time does not.
    package init(store: any ShardStore, options: EngineOptions, clock: @escaping @Sendable () -> Timestamp) {
        self.store = store
        self.options = options
        self.clock = clock
        indexes = MailboxIndexes(octetsMax: options.indexOctetsMax)
        pipeline = Pipeline(store: store, options: options, clock: clock, feed: feed, counters: counters)
        // The start's milliseconds lead, so that no identifier comes again after a restart.
        sessions = Atomic(UInt64(clamping: clock().rawValue) << 20)
    }

    /// Queues a request. `completion` is called exactly once: after the commit, or at once when it is not taken.
    ///
    /// - Parameter progress: for a command that is done in parts, called after the commit of each.
    package func submit(
        _ request: Request, progress: @escaping @Sendable (CommandOutcome) -> Void = { _ in },
        completion: @escaping @Sendable ([CommandOutcome]) -> Void
    ) {
        let parts =
            request.items.count == 1 && request.bodies.isEmpty
            ? request.items[0].command.parts(of: options.batchTouchesMax) : []
        if parts.count > 1 {
            return submit(parts[...], request, after: nil, progress, completion)
        }
        let job = Job(request, completion)
        if let failure = pipeline.submit(job) { job.fail(failure) }
    }

    /// One part after the other, each durable before the next is asked for; stops at the first that is not done.
    private func submit(
        _ parts: ArraySlice<AccountCommand>, _ request: Request, after outcome: CommandOutcome?,
        _ progress: @escaping @Sendable (CommandOutcome) -> Void,
        _ completion: @escaping @Sendable ([CommandOutcome]) -> Void
    ) {
        guard let part = parts.first else { return completion(outcome.map { [$0] } ?? []) }
        var next = request
        next.items[0].command = part
        let job = Job(next) { [self] outcomes in
            progress(outcomes[0])
            let joined = outcome.map { $0.joined(with: outcomes[0]) } ?? outcomes[0]
            guard case .done = outcomes[0] else { return completion([joined]) }
            submit(parts.dropFirst(), request, after: joined, progress, completion)
        }
        if let failure = pipeline.submit(job) { job.fail(failure) }
    }

    package func perform(_ request: Request) async -> [CommandOutcome] {
        await withUnsafeContinuation { continuation in
            submit(request) { continuation.resume(returning: $0) }
        }
    }

    /// For the command line and tests; never on an event loop.
    package func performAndWait(_ request: Request) -> [CommandOutcome] { begin(request).wait() }

    /// Hands the request in; who did so goes on and waits for the outcomes later.
    package func begin(_ request: Request) -> PendingOutcomes {
        let pending = PendingOutcomes()
        submit(request) { pending.arrived($0) }
        return pending
    }

    /// A consistent snapshot for the length of `body`. Keep it under 2 seconds: pages it sees cannot be used again.
    package func read<R>(_ body: (any ShardReader) throws -> R) throws -> R { try store.read(body) }

    /// - Parameter spoolsAtOnce: keep nothing in memory.
    package func makeBody(spoolsAtOnce: Bool = false) -> BodyWriter { BodyWriter(options, spoolsAtOnce: spoolsAtOnce) }

    package func openBody(_ blob: BlobNumber) throws(StoreError) -> any BodyHandle { try store.openBody(blob) }

    /// `notify` runs after each commit that touched the account, with the end of the log behind it. It must only set a flag
    /// or schedule.
    package func subscribe(_ account: AccountID, _ notify: @escaping @Sendable (Cursor) -> Void) -> Subscription {
        feed.subscribe(account, notify)
    }

    /// Told after every commit with events, for projectors.
    package func subscribeAll(_ notify: @escaping @Sendable (Cursor) -> Void) -> Subscription {
        feed.subscribeAll(notify)
    }

    /// `notify` runs after each commit that changed who may log in or which addresses there are, or by which an operator
    /// wants messages tried; before those of `subscribe` hear of that commit. It must only set a flag or schedule.
    package func subscribeStandings(_ notify: @escaping @Sendable ([StandingChange]) -> Void) -> Subscription {
        feed.subscribeStandings(notify)
    }

    /// A session identifier that was never used before.
    package func nextSession() -> SessionID {
        SessionID(sessions.add(1, ordering: .relaxed).newValue)
    }

    package var statistics: EngineStatistics {
        var statistics = counters.withLock { $0 }
        (statistics.queueRequests, statistics.queueOctets) = pipeline.depth
        statistics.stopped = pipeline.stopReason
        statistics.store = store.statistics
        return statistics
    }

    /// Drops messages whose retention is over, at most `limit` of them.
    /// - Returns: how many were found due.
    package func collectDue(limit: Int) throws -> Int {
        var due: [(AccountID, MailboxID, UIDSet)] = []
        var count = 0
        let today = dayNumber(clock())
        try read { state in
            try state.collectable(through: today) { _, account, mailbox, uid in
                count += 1
                if uid.rawValue == 0 {
                    due.append((account, mailbox, UIDSet()))
                } else if let last = due.last, last.0 == account, last.1 == mailbox, let end = last.2.last, end < uid {
                    due[due.count - 1].2.insertAtEnd(uid)
                } else {
                    due.append((account, mailbox, UIDSet(uid)))
                }
                return count < limit
            }
        }
        for (account, mailbox, uids) in due {
            let request = Request(
                [Request.Item(account, .collect(mailbox, uids))], origin: Origin(gateway: .engine))
            if case .failed(let failure) = performAndWait(request)[0] { throw failure }
        }
        return count
    }

    /// Finishes what is queued. Later requests are answered `.stopped`.
    package func close() {
        pipeline.close()
        store.close()
    }
}
