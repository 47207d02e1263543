// The Maildir projection on a thread of its own: it blocks on files, so neither an event loop nor the pool of Swift
// tasks is the place for it. Woken by every commit; a failure stops it at its event, is shown in the status and tried
// again later and later. It never skips.
import EventStore
import Glibc
import MailEngine
import MailTypes

/// How the projection is doing.
package struct MaildirStatus: Sendable {
    /// Everything at or below it is on stable storage in the tree.
    package var checkpoint = Cursor.start
    /// Everything at or below it is in the tree.
    package var projected = Cursor.start
    /// The log's last event, as far as the projector has been told.
    package var head = Cursor.start
    /// Why the last attempt failed; nil while all is well.
    package var failure: String?
    /// Attempts that failed one after the other.
    package var failures = 0
    /// Message files written since the start.
    package var filesWritten: UInt64 = 0
    /// Octets of them.
    package var octetsWritten: UInt64 = 0
    /// What two-way accounts brought in.
    package var imports = MaildirImportCounts()
    /// Events not yet in the tree.
    package var lag: UInt64 { head.rawValue > projected.rawValue ? head.rawValue - projected.rawValue : 0 }
    package init() {}

    fileprivate mutating func take(_ projection: MaildirProjection) {
        projected = projection.projected
        checkpoint = projection.checkpoint
        filesWritten = projection.filesWritten
        octetsWritten = projection.octetsWritten
        imports = projection.importCounts
    }
}

/// When the projector makes its work durable and how it waits.
package struct MaildirPace: Sendable {
    /// At rest, the time after a checkpoint before the next; seconds.
    package var checkpointSeconds: Double = 5
    /// Under load, the time and the files written before one is made all the same; seconds.
    package var checkpointSecondsMax: Double = 30
    package var checkpointFiles: UInt64 = 20_000
    /// Wait after the first new event, so that those that follow at once go with it; seconds.
    package var gatherSeconds: Double = 0.5
    /// Wait after the first failure; doubled with each, up to `retrySecondsMax`; seconds.
    package var retrySecondsMin: Double = 0.5
    package var retrySecondsMax: Double = 60
    /// Time between two looks at the trees of two-way accounts; half of it while there is something to do; seconds.
    package var lookSeconds: Double = 1
    package init() {}
}

package final class MaildirProjector: Sendable {
    /// Work to be done between two slices, on the projector's thread.
    fileprivate typealias Job = @Sendable (MaildirProjection) -> Void

    fileprivate struct Inbox {
        var head: Cursor = .start
        var isWoken = true
        var isClosed = false
        var jobs: [Job] = []
        var status = MaildirStatus()
    }

    private let inbox = TimedMonitor(Inbox())
    private let thread: ProjectionThread
    private let subscription: Subscription

    /// Starts at once.
    /// - Parameter report: one line of text for the log; called on the projector's thread.
    package init(
        engine: MailEngine, options: MaildirOptions, pace: MaildirPace = MaildirPace(),
        report: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        let inbox = inbox
        subscription = engine.subscribeAll { head in
            inbox.changeIf { inbox in
                defer { inbox.isWoken = true }
                inbox.head = max(inbox.head, head)
                return !inbox.isWoken
            }
        }
        thread = ProjectionThread {
            let projection = MaildirProjection(engine: engine, options: options, report: report)
            ProjectorLoop(projection, inbox, pace, report).run()
        }
    }

    package var status: MaildirStatus {
        inbox.withLock { inbox in
            var status = inbox.status
            status.head = max(inbox.head, status.projected)
            return status
        }
    }

    /// Waits until all that the log holds now is in the tree and durable.
    /// - Returns: why it could not be done, or nil.
    package func settle() -> String? {
        perform { projection in
            Result {
                try projection.settleImports()
                try projection.storeCheckpoint()
            }.failureText
        }
    }

    /// Makes the tree of one account, or of all, equal to the state.
    /// - Returns: why it could not be done, or nil.
    package func rebuild(_ account: AccountID? = nil) -> String? {
        perform { projection in
            Result {
                // What others changed in two-way accounts is taken first.
                try projection.settleImports(account)
                try projection.rebuild(account)
                try projection.catchUp()
                try projection.storeCheckpoint()
            }.failureText
        }
    }

    /// Compares the tree with the state while mail keeps coming: differences count when they are still there after the
    /// projection has caught up with what came meanwhile.
    package func check(_ account: AccountID? = nil, contents: Bool = false) -> Result<
        MaildirReport, MaildirCheckFailure
    > {
        answer { projection in
            try projection.settleImports(account)
            var report = try projection.check(account, contents: contents)
            for _ in 0..<2 where !report.differences.isEmpty {
                try projection.settleImports(account)
                let before = Set(report.differences)
                report = try projection.check(account, contents: contents)
                report.differences.removeAll { !before.contains($0) }
            }
            return report
        }
    }

    /// Runs `body` on the projector's thread, between two slices, and waits for its answer.
    package func answer<R: Sendable>(
        _ body: @escaping @Sendable (MaildirProjection) throws -> R
    ) -> Result<R, MaildirCheckFailure> {
        perform { projection in
            Result { try body(projection) }.mapError { MaildirCheckFailure(text: "\($0)") }
        }
    }

    /// Makes what was projected durable and ends. Later calls of the others must not follow.
    package func close() {
        subscription.cancel()
        inbox.change { $0.isClosed = true }
        thread.join()
    }

    private func perform<R: Sendable>(_ body: @escaping @Sendable (MaildirProjection) -> R) -> R {
        let answer = TimedMonitor<R?>(nil)
        let monitor = inbox
        inbox.change { inbox in
            inbox.jobs.append { projection in
                let result = body(projection)
                monitor.withLock { $0.status.take(projection) }
                answer.change { $0 = result }
            }
            inbox.isWoken = true
        }
        return answer.wait { $0 }
    }
}

/// Why a check, or other work on the projector's thread, could not be done.
package struct MaildirCheckFailure: Error, Sendable, CustomStringConvertible {
    package var text: String
    package var description: String { text }
}

extension Result {
    fileprivate var failureText: String? {
        if case .failure(let error) = self { "\(error)" } else { nil }
    }
}

/// What the projector's thread does until it is closed.
private struct ProjectorLoop {
    private let projection: MaildirProjection
    private let inbox: TimedMonitor<MaildirProjector.Inbox>
    private let pace: MaildirPace
    private let report: (String) -> Void

    init(
        _ projection: MaildirProjection, _ inbox: TimedMonitor<MaildirProjector.Inbox>, _ pace: MaildirPace,
        _ report: @escaping (String) -> Void
    ) {
        self.projection = projection
        self.inbox = inbox
        self.pace = pace
        self.report = report
    }

    func run() {
        var failures = 0
        var checkpointed = monotonicSeconds()
        var filesAtCheckpoint: UInt64 = 0
        var nextLook = 0.0
        while true {
            let (jobs, isClosed) = inbox.withLock { inbox in
                defer { inbox.jobs = [] }
                inbox.isWoken = false
                return (inbox.jobs, inbox.isClosed)
            }
            for job in jobs { job(projection) }
            var hasMore = false
            do {
                hasMore = try !isClosed && projection.step()
                if !isClosed, projection.hasImports, monotonicSeconds() >= nextLook {
                    let isQuiet = try projection.importChanges()
                    nextLook = monotonicSeconds() + pace.lookSeconds * (isQuiet ? 1 : 0.5)
                }
                let age = monotonicSeconds() - checkpointed
                let isDue =
                    age >= pace.checkpointSecondsMax || (age >= pace.checkpointSeconds && !hasMore)
                    || (projection.isCheckpointWanted && !hasMore)
                if isDue || isClosed || projection.filesWritten - filesAtCheckpoint >= pace.checkpointFiles {
                    try projection.storeCheckpoint()
                    checkpointed = monotonicSeconds()
                    filesAtCheckpoint = projection.filesWritten
                }
                failures = 0
                note(nil, failures)
            } catch {
                failures += 1
                note("\(error)", failures)
            }
            if isClosed { return }
            if hasMore { continue }
            wait(failures, checkpointed, projection.hasImports ? nextLook : nil)
        }
    }

    private func note(_ failure: String?, _ failures: Int) {
        let isNews = inbox.withLock { inbox in
            let isNews = inbox.status.failure != failure
            inbox.status.failure = failure
            inbox.status.failures = failures
            inbox.status.take(projection)
            return isNews
        }
        guard isNews else { return }
        report(
            failure.map { "maildir: stopped at event \(projection.projected.rawValue): \($0)" } ?? "maildir: goes on")
    }

    /// Until there is something to do: new events, a job, the time of a checkpoint, of a look or of another attempt.
    private func wait(_ failures: Int, _ checkpointed: Double, _ nextLook: Double?) {
        if failures > 0 {
            let seconds = min(pace.retrySecondsMax, pace.retrySecondsMin * Double(1 << min(failures - 1, 16)))
            // New events are no reason to try earlier.
            inbox.wait(until: monotonicSeconds() + seconds) { $0.isClosed || !$0.jobs.isEmpty }
        } else {
            let deadlines = [projection.isUnsynced ? checkpointed + pace.checkpointSeconds : nil, nextLook]
            inbox.wait(until: deadlines.compactMap { $0 }.min()) { $0.isWoken || $0.isClosed }
            guard inbox.withLock({ $0.isWoken }) else { return }
            inbox.wait(until: monotonicSeconds() + pace.gatherSeconds) { $0.isClosed || !$0.jobs.isEmpty }
        }
    }
}
