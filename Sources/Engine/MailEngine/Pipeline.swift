// The write path: a bounded queue, a thread that stages bodies, a thread that decides, folds and commits.
//
//     submit -> incoming -> [body thread: append, sync] -> ready -> [writer: decide, evolve, seal, commit] -> completions
//
// A writer that has nothing to do takes what comes in and stages it itself: one thread less to wake for a lone client.
//
// Invariants
// - No delay is added: a batch is whatever queued up during the flush before it.
// - The bodies of batch n+1 are synced while batch n commits; a batch starts only when its bodies are synced.
// - One thread stages at a time.
// - Requests are committed in the order of submission. One without bodies may skip the body thread only when nothing
//   is queued there.
// - Every completion runs after the commit of the batch whose state its answer describes, also for refusals.
// - When a batch hits a fault, it is aborted and its requests are run one to a batch; the culprit alone is refused.
import EventStore
import Glibc
import MailCore
import MailTypes

// Mutable state lives in the monitors; `disk` belongs to the writer thread, `threads` to whoever closes.
final class Pipeline: @unchecked Sendable {
    private struct Flow {
        var incoming = JobQueue()
        var ready = JobQueue()
        /// Requests taken from `incoming` whose bodies are not synced yet.
        var staging = 0
        /// The writer has a batch in hand.
        var writing = false
        var closed = false
        var stagingEnded = false
        /// Why no more writes are taken.
        var stopped: String?
    }

    /// Who waits at `flow`.
    private static let writer = Waiters.first
    private static let bodyThread = Waiters.second

    private let store: any ShardStore
    private let options: EngineOptions
    private let clock: @Sendable () -> Timestamp
    private let feed: Feed
    private let counters: Monitor<EngineStatistics>
    private let flow = Monitor(Flow())
    private var threads: [EngineThread] = []
    private let disk: DiskWatch

    init(
        store: any ShardStore, options: EngineOptions, clock: @escaping @Sendable () -> Timestamp, feed: Feed,
        counters: Monitor<EngineStatistics>
    ) {
        self.store = store
        self.options = options
        self.clock = clock
        self.feed = feed
        self.counters = counters
        disk = DiskWatch(store: store, options: options)
        threads = [
            EngineThread { [self] in stageBodies() },
            EngineThread { [self] in writeBatches() },
        ]
    }

    /// Whether it was taken; if not, `completion` is not called.
    func submit(_ job: Job) -> EngineFailure? {
        var failure: EngineFailure?
        flow.wake { flow in
            if let stopped = flow.stopped {
                failure = .stopped(stopped)
            } else if flow.closed {
                failure = .stopped("the node is shutting down")
            } else if flow.incoming.count + flow.ready.count >= options.queueRequestsMax
                || (job.octets > 0 && flow.incoming.octets + flow.ready.octets > options.queueOctetsMax)
            {
                failure = .busy
            } else if job.request.bodies.isEmpty, flow.incoming.isEmpty, flow.staging == 0 {
                flow.ready.append(job)
            } else {
                flow.incoming.append(job)
                return flow.writing ? Self.bodyThread : Self.writer
            }
            return failure == nil && !flow.writing ? Self.writer : []
        }
        return failure
    }

    var depth: (requests: Int, octets: Int) {
        flow.withLock { ($0.incoming.count + $0.ready.count, $0.incoming.octets + $0.ready.octets) }
    }

    var stopReason: String? { flow.withLock { $0.stopped } }

    /// Finishes what is queued and ends both threads.
    func close() {
        flow.change {
            $0.closed = true
            return true
        }
        for thread in threads { thread.join() }
        threads = []
    }

    // MARK: Body thread

    private func stageBodies() {
        while true {
            let jobs: [Job] = flow.wait(as: Self.bodyThread) { flow in
                // Bodies wait in memory or spool files, not twice: no staging far ahead of the writer.
                if flow.writing, flow.staging == 0, !flow.incoming.isEmpty, flow.ready.octets <= options.batchOctetsMax
                {
                    let taken = flow.incoming.take(options)
                    flow.staging = taken.count
                    return taken
                }
                return flow.closed && flow.incoming.isEmpty ? [] : nil
            }
            if jobs.isEmpty { break }
            let (staged, failed) = stage(jobs)
            flow.wake { flow in
                for job in staged { flow.ready.append(job) }
                flow.staging = 0
                return Self.writer
            }
            for (job, failure) in failed { job.fail(failure) }
        }
        flow.change {
            $0.stagingEnded = true
            return true
        }
    }

    private func stage(_ jobs: [Job]) -> (staged: [Job], failed: [(Job, EngineFailure)]) {
        var staged: [Job] = []
        var failed: [(Job, EngineFailure)] = []
        disk.look(at: clock())
        let room = disk.room
        for var job in jobs {
            // The body of a command that will be refused would take the last room there is.
            if let refusal = room.refusal(of: job.request) {
                failed.append((job, refusal))
                continue
            }
            do throws(StoreError) {
                for body in job.request.bodies { job.staged.append(try store.stage(body)) }
                // The store has the bytes; the copy in memory or in the spool is not needed any longer.
                job.request.bodies = []
                staged.append(job)
            } catch {
                failed.append((job, stopIfBroken(error)))
            }
        }
        do throws(StoreError) {
            if staged.contains(where: { !$0.staged.isEmpty }) { try store.syncBodies() }
        } catch {
            let failure = stopIfBroken(error)
            failed.append(contentsOf: staged.map { ($0, failure) })
            staged = []
        }
        return (staged, failed)
    }

    // MARK: Writer thread

    private func writeBatches() {
        while true {
            let work: Work? = flow.wait(
                as: Self.writer, nanoseconds: store.isSettled ? nil : options.settleNanoseconds, nextWork)
            switch work {
            case .staged(let jobs):
                // The body thread may be waiting for room, or for the writer to have something else to do.
                flow.wake { $0.incoming.isEmpty ? [] : Self.bodyThread }
                write(jobs)
            case .incoming(let jobs): stageAndWrite(jobs)
            case .end: return
            case nil: settle()
            }
        }
    }

    private enum Work {
        case staged([Job])
        /// Their bodies are still to be staged.
        case incoming([Job])
        case end
    }

    /// What the writer does next; nil to wait.
    private func nextWork(_ flow: inout Flow) -> Work? {
        flow.writing = true
        if !flow.ready.isEmpty { return .staged(flow.ready.take(options)) }
        if flow.staging == 0, !flow.incoming.isEmpty {
            let jobs = flow.incoming.take(options)
            flow.staging = jobs.count
            return .incoming(jobs)
        }
        flow.writing = false
        return flow.closed && flow.stagingEnded ? .end : nil
    }

    private func stageAndWrite(_ jobs: [Job]) {
        let (staged, failed) = stage(jobs)
        flow.wake { flow in
            flow.staging = 0
            return flow.incoming.isEmpty && !flow.closed ? [] : Self.bodyThread
        }
        for (job, failure) in failed { job.fail(failure) }
        if !staged.isEmpty { write(staged) }
    }

    /// Nobody has asked for anything for a while.
    private func settle() {
        do { try store.settle() } catch { _ = stopIfBroken(error) }
    }

    private func write(_ jobs: [Job]) {
        disk.look(at: clock())
        disk.restoreReserve()
        do {
            let outcomes = try commitBatch(jobs)
            for (job, outcome) in zip(jobs, outcomes) { job.completion(outcome) }
        } catch is StateFault {
            for job in jobs { writeAlone(job) }
        } catch StoreError.full where disk.releaseReserve() {
            // Only what leads to free space is taken now.
            write(jobs)
        } catch {
            let failure = stopIfBroken(error as? StoreError ?? .failed("\(error)"))
            for job in jobs { job.fail(failure) }
        }
    }

    private func writeAlone(_ job: Job) {
        do {
            job.completion(try commitBatch([job])[0])
        } catch let fault as StateFault {
            counters.withLock { $0.faults += 1 }
            job.fail(fault == .full ? .full : .fault("\(fault)"))
        } catch {
            job.fail(stopIfBroken(error as? StoreError ?? .failed("\(error)")))
        }
    }

    /// What one batch knows, and what it has done so far.
    private struct Progress {
        let batch: any ShardBatch
        let now: Timestamp
        let room: DiskRoom
        var touched: Set<AccountID> = []
        var standings: [StandingChange] = []
    }

    /// Decides, folds and commits; the answers are true when it returns.
    private func commitBatch(_ jobs: [Job]) throws -> [[CommandOutcome]] {
        let now = clock()
        let batch = try store.beginBatch(now: now)
        var committed = false
        defer { if !committed { batch.abort() } }
        var outcomes: [[CommandOutcome]] = []
        var progress = Progress(batch: batch, now: now, room: disk.room)
        for job in jobs {
            for body in job.staged { try batch.register(body) }
            outcomes.append(try run(job, &progress))
        }
        let receipt = try batch.commit()
        committed = true
        counters.withLock { $0.count(batch: jobs.count, receipt: receipt, outcomes: outcomes) }
        if !progress.standings.isEmpty { feed.publishStandings(progress.standings) }
        if receipt.events > 0 { feed.publish(progress.touched, head: receipt.head) }
        return outcomes
    }

    /// The items of a request in their order.
    private func run(_ job: Job, _ progress: inout Progress) throws -> [CommandOutcome] {
        let items = job.request.items
        // The room may have gone since its bodies were written.
        if items.contains(where: \.needsPrevious), let refusal = progress.room.refusal(of: job.request) {
            return items.map { _ in .failed(refusal) }
        }
        var done: [CommandOutcome] = []
        var isLeftOut = false
        for item in items {
            if let previous = done.last, item.isLeftOut(after: previous, wasLeftOut: isLeftOut) {
                done.append(previous)
                isLeftOut = true
            } else {
                done.append(try run(item, job, &progress))
                isLeftOut = false
            }
        }
        return done
    }

    private func run(_ item: Request.Item, _ job: Job, _ progress: inout Progress) throws -> CommandOutcome {
        if let failure = progress.room.refusal(of: item.command) { return .failed(failure) }
        let batch = progress.batch
        let account = item.account == Request.newAccount ? try batch.nextAccount() : item.account
        let repeats = item.repeats ?? (job.request.retryable ? job.request.command : nil)
        if let repeats, let position = try batch.outcome(of: repeats, account) {
            return .duplicate(of: position)
        }
        let context = DecideContext(account: account, now: progress.now, bodies: job.staged.map(\.reference))
        let decision: Decision
        do throws(DecideError) {
            decision = try decide(item.command, context, batch)
        } catch {
            switch error {
            case .refused(let refusal): return .refused(refusal)
            case .fault(let fault): throw fault
            }
        }
        let position = try batch.head(account)?.aseq ?? .zero
        let append = Append(
            account: account, expected: position, events: decision.events, origin: job.request.origin,
            command: item.repeats ?? job.request.command, retryable: repeats != nil)
        let after = try batch.append(append)
        if !decision.events.isEmpty {
            progress.touched.insert(account)
            let kinds = item.command.standing
            if !kinds.isEmpty { progress.standings.append(StandingChange(account: account, kinds: kinds)) }
        }
        return .done(decision.result, at: after)
    }

    /// The failure a client is told, after noting whether the store still takes writes.
    private func stopIfBroken(_ error: StoreError) -> EngineFailure {
        switch error {
        case .full: return .full
        case .failed(let reason), .damaged(let reason), .owned(let reason), .incompatible(let reason),
            .unusable(let reason):
            flow.change {
                if $0.stopped == nil { $0.stopped = reason }
                return true
            }
            return .stopped(reason)
        }
    }
}
