import Logging
import MailCore
import MailEngine
import MailTypes
import Projections
import Synchronization

/// Holds the Maildir of one account after another against the state while the node serves: what another program has
/// changed in a tree is seen before somebody needs the tree. It looks and mends nothing; `rebuild` does that.
final class MaildirSampler: Sendable {
    static let periodSeconds = 10
    /// A look may take a twentieth of the projector's time.
    private static let restFactor = 20.0

    struct Figures {
        /// Accounts looked at.
        var samples: UInt64 = 0
        /// Looks that found a difference.
        var drifted: UInt64 = 0
        var differences: UInt64 = 0
    }

    private let engine: MailEngine
    private let projector: MaildirProjector
    private let log: Logger
    private let figures = Mutex(Figures())
    private let last = Mutex(AccountID.queue)
    private let rounds = Rounds()

    init(_ engine: MailEngine, _ projector: MaildirProjector, log: Logger) {
        self.engine = engine
        self.projector = projector
        self.log = log
    }

    func start() {
        rounds.start(after: Double(Self.periodSeconds)) { [self] in
            let begin = ContinuousClock.now
            sample()
            return max(Double(Self.periodSeconds), Self.restFactor * ((ContinuousClock.now - begin) / .seconds(1)))
        }
    }

    /// Returns when no look is under way.
    func stop() { rounds.stop() }

    var metrics: String {
        let figures = figures.withLock { $0 }
        func counter(_ name: String, _ help: String, _ value: UInt64) -> String {
            metricFamily("letterlog_maildir_\(name)", "counter", help, value)
        }
        return counter("samples_total", "Maildirs of an account that were held against the state.", figures.samples)
            + counter("drifted_total", "Of these, Maildirs that differed.", figures.drifted)
            + counter("differences_total", "Places in which they differed.", figures.differences)
    }

    /// Looks at the next account.
    func sample() {
        do {
            guard let account = try next() else { return }
            let report = try projector.check(account, contents: false).get()
            figures.withLock { figures in
                figures.samples += 1
                figures.drifted += report.differences.isEmpty ? 0 : 1
                figures.differences += UInt64(report.differences.count)
            }
            guard let first = report.differences.first else { return }
            log.warning(
                "a Maildir differs from the state",
                metadata: [
                    "account": "\(account.rawValue)", "places": "\(report.differences.count)", "first": "\(first)",
                ])
        } catch {
            log.warning("a Maildir could not be looked at", metadata: ["error": "\(error)"])
        }
    }

    /// The account after the last one, in a circle.
    private func next() throws -> AccountID? {
        let last = last.withLock { $0 }
        var first: AccountID?
        var next: AccountID?
        try engine.read { state in
            try state.accounts { id, head in
                guard id >= .firstPersonal, head.status != .removed else { return true }
                if first == nil { first = id }
                if id > last { next = id }
                return next == nil
            }
        }
        let found = next ?? first
        if let found { self.last.withLock { $0 = found } }
        return found
    }
}
