import NIOCore
import Synchronization

/// Hands on why somebody who judges logins for us cannot be asked, once a minute at most: each login that waits for it
/// would say the same.
final class TroubleReport: Sendable {
    private let report: @Sendable (String) -> Void
    private let quietUntil = Mutex(NIODeadline.uptimeNanoseconds(0))

    init(_ report: @escaping @Sendable (String) -> Void) { self.report = report }

    func tell(_ text: String) {
        let now = NIODeadline.now()
        let isDue = quietUntil.withLock { until in
            guard until <= now else { return false }
            until = now + .minutes(1)
            return true
        }
        if isDue { report(text) }
    }
}
