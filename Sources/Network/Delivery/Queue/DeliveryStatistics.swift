import Synchronization

/// What the queue does now, for metrics.
package struct DeliveryStatistics: Sendable {
    package var inFlight = 0
    package var delivered: UInt64 = 0
    package var deferred: UInt64 = 0
    package var bounced: UInt64 = 0
    package init() {}
}

/// Counted where results are recorded, read from anywhere.
final class DeliveryCounters: Sendable {
    private let values = Mutex(DeliveryStatistics())

    var statistics: DeliveryStatistics { values.withLock { $0 } }

    func set(inFlight: Int) { values.withLock { $0.inFlight = inFlight } }

    func count(_ results: [RecipientResult]) {
        values.withLock { values in
            for result in results {
                switch result.fate {
                case .delivered: values.delivered += 1
                case .deferred: values.deferred += 1
                case .bounced: values.bounced += 1
                }
            }
        }
    }
}
