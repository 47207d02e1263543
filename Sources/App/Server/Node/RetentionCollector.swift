import Foundation
import Logging
import MailEngine
import Synchronization

/// Every minute drops the messages whose retention is over, in rounds that let others' commands in between.
final class RetentionCollector: Sendable {
    static let periodSeconds = 60

    private let engine: MailEngine
    private let log: Logger
    private let stopping = Atomic(false)
    private let started = Atomic(false)
    private let wake = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)

    init(_ engine: MailEngine, log: Logger) {
        self.engine = engine
        self.log = log
    }

    func start() {
        started.store(true, ordering: .releasing)
        Thread.detachNewThread { [self] in
            while !stopping.load(ordering: .acquiring) {
                collect()
                _ = wake.wait(timeout: .now() + .seconds(Self.periodSeconds))
            }
            ended.signal()
        }
    }

    /// Returns when no round runs.
    func stop() {
        guard started.load(ordering: .acquiring) else { return }
        stopping.store(true, ordering: .releasing)
        wake.signal()
        ended.wait()
    }

    private func collect() {
        do {
            var found = ServerLimits.collectedPerRoundMax
            while found == ServerLimits.collectedPerRoundMax, !stopping.load(ordering: .acquiring) {
                found = try engine.collectDue(limit: ServerLimits.collectedPerRoundMax)
            }
        } catch {
            log.error("retention", metadata: ["error": "\(AdministrationFailure(error).text)"])
        }
    }
}
