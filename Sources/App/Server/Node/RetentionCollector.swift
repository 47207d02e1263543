import Logging
import MailEngine

/// Every minute drops the messages whose retention is over, in rounds that let others' commands in between.
final class RetentionCollector: Sendable {
    static let periodSeconds = 60

    private let engine: MailEngine
    private let log: Logger
    private let rounds = Rounds()

    init(_ engine: MailEngine, log: Logger) {
        self.engine = engine
        self.log = log
    }

    func start() {
        rounds.start { [self] in
            collect()
            return Double(Self.periodSeconds)
        }
    }

    /// Returns when no round runs.
    func stop() { rounds.stop() }

    private func collect() {
        do {
            var found = ServerLimits.collectedPerRoundMax
            while found == ServerLimits.collectedPerRoundMax, !rounds.isStopping {
                found = try engine.collectDue(limit: ServerLimits.collectedPerRoundMax)
            }
        } catch {
            log.error("retention", metadata: ["error": "\(AdministrationFailure(error).text)"])
        }
    }
}
