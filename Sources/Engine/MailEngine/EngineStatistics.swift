import EventStore

/// Counters since the engine was started, and the state of its queue now.
package struct EngineStatistics: Sendable {
    package var batches = 0
    package var requests = 0
    package var events = 0
    package var refusals = 0
    package var failures = 0
    /// Commands left out because they contradicted the state: each is a defect of ours.
    package var faults = 0
    /// Batches by size: bucket n counts those of 2^n to 2^(n+1)-1 requests.
    package var batchSizes = [Int](repeating: 0, count: 12)
    package var queueRequests = 0
    package var queueOctets = 0
    /// Why no writes are taken, if so.
    package var stopped: String?
    package var store = StoreStatistics()
    package init() {}

    mutating func count(batch: Int, receipt: CommitReceipt, outcomes: [[CommandOutcome]]) {
        batches += 1
        requests += batch
        events += receipt.events
        let bucket = Int.bitWidth - 1 - max(1, batch).leadingZeroBitCount
        batchSizes[min(bucket, batchSizes.count - 1)] += 1
        for outcome in outcomes.joined() {
            switch outcome {
            case .refused: refusals += 1
            case .failed: failures += 1
            case .done, .duplicate: break
            }
        }
    }
}
