// Log lines that a crowd of clients could cause by the thousand: each kind gets a few lines a period, and the rest is
// told in one line with their number. The counters of the metrics page count every one.
import Logging
import NIOCore
import Synchronization

/// What is said that way.
enum Notice: String, CaseIterable, Sendable {
    case connectionRefused = "connection refused"
    case loginDenied = "login denied"
    case loginBlocked = "login refused for failures before"
    case loginRefused = "login refused: the account has too many sessions"
    case recipientRefused = "recipient refused"
    case sendingLimit = "recipient refused: the account has sent its share of this hour"
    case plaintextBehindTLS = "session ended: octets in the clear behind the command that begins TLS"
    case tlsFailed = "TLS failed"
    case proxyRefused = "connection refused: no good PROXY header"
    case milterFailed = "a milter is of no use"
}

/// How many lines of one kind were written in the period that runs, and how many were not.
struct NoticeCount: Equatable, Sendable {
    private(set) var written = 0
    private(set) var withheld = 0

    /// Whether one more line may be written.
    mutating func admits(max: Int) -> Bool {
        guard written < max else {
            withheld += 1
            return false
        }
        written += 1
        return true
    }

    /// Begins the next period.
    /// - Returns: how many lines were not written in the one that is over.
    mutating func turn() -> Int {
        defer { self = NoticeCount() }
        return withheld
    }
}

final class Notices: Sendable {
    private let log: Logger
    private let counts = Mutex<[Notice: NoticeCount]>([:])
    private let task = Mutex<RepeatedTask?>(nil)

    init(_ log: Logger) { self.log = log }

    /// Writes the line through the session's own logger, or counts it.
    func say(_ notice: Notice, _ log: Logger, _ metadata: @autoclosure () -> Logger.Metadata) {
        let admits = counts.withLock {
            $0[notice, default: NoticeCount()].admits(max: GatewayLimits.noticesPerPeriodMax)
        }
        if admits { log.notice("\(notice.rawValue)", metadata: metadata()) }
    }

    /// Begins a new period for each kind, and tells what was withheld in the last.
    func turn() {
        for notice in Notice.allCases {
            let withheld = counts.withLock { $0[notice]?.turn() ?? 0 }
            if withheld > 0 {
                log.notice(
                    "\(notice.rawValue)",
                    metadata: [
                        "more": "\(withheld)", "seconds": "\(GatewayLimits.noticePeriod.nanoseconds / 1_000_000_000)",
                    ])
            }
        }
    }

    func start(on loop: any EventLoop) {
        let period = GatewayLimits.noticePeriod
        let repeated = loop.scheduleRepeatedTask(initialDelay: period, delay: period) { [weak self] _ in self?.turn() }
        task.withLock { $0 = repeated }
    }

    /// Tells what is left to tell.
    func stop() {
        task.withLock { task in
            task?.cancel()
            task = nil
        }
        turn()
    }
}
