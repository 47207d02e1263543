import Foundation
import MailEngine
import Synchronization

/// Many clients on one thread, as an event loop has them: each has one request under way and sends the next one when it
/// has been told that the last is durable.
final class BenchDriver: Sendable {
    private struct Answer: Sendable {
        var number: Int
        var outcomes: [CommandOutcome]
    }

    private let engine: MailEngine
    private let count: Int
    private let progress: @Sendable (Int, Int) -> Void
    private let request: @Sendable (Int) -> Request
    private let answers = Mutex<[Answer]>([])
    private let arrived = DispatchSemaphore(value: 0)

    /// - Parameter request: the request of that number, from 0 to `count` - 1.
    init(
        _ engine: MailEngine, count: Int, progress: @escaping @Sendable (Int, Int) -> Void,
        request: @escaping @Sendable (Int) -> Request
    ) {
        self.engine = engine
        self.count = count
        self.progress = progress
        self.request = request
    }

    /// Sends all requests and waits for the answers.
    /// - Returns: how long each took, in seconds.
    func run(producers: Int) throws -> [Double] {
        var starts = [ContinuousClock.Instant](repeating: .now, count: count)
        var latencies: [Double] = []
        latencies.reserveCapacity(count)
        var next = 0
        func send() {
            starts[next] = .now
            submit(next)
            next += 1
        }
        while next < min(producers, count) { send() }
        while latencies.count < count {
            arrived.wait()
            let batch = answers.withLock { answers in
                defer { answers.removeAll(keepingCapacity: true) }
                return answers
            }
            let now = ContinuousClock.now
            for answer in batch {
                _ = try answer.outcomes[0].result()
                latencies.append((now - starts[answer.number]).seconds)
                if next < count { send() }
            }
            progress(latencies.count, count)
        }
        return latencies
    }

    private func submit(_ number: Int) {
        engine.submit(request(number)) { [self] outcomes in
            let wakes = answers.withLock { answers in
                answers.append(Answer(number: number, outcomes: outcomes))
                return answers.count == 1
            }
            if wakes { arrived.signal() }
        }
    }
}
