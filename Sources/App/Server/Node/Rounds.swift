import Foundation
import Synchronization

/// A thread that does its work again and again, with rests between, until it is told to stop.
final class Rounds: Sendable {
    private let stopping = Atomic(false)
    private let started = Atomic(false)
    private let wake = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)

    var isStopping: Bool { stopping.load(ordering: .acquiring) }

    /// - Parameters:
    ///   - rest: seconds before the first round.
    ///   - round: does the work; answers the seconds of the rest behind it.
    func start(after rest: Double = 0, _ round: @escaping @Sendable () -> Double) {
        started.store(true, ordering: .releasing)
        Thread.detachNewThread { [self] in
            var rest = rest
            while wake.wait(timeout: .now() + rest) == .timedOut, !isStopping { rest = round() }
            ended.signal()
        }
    }

    /// Returns when no round is under way.
    func stop() {
        guard started.load(ordering: .acquiring) else { return }
        stopping.store(true, ordering: .releasing)
        wake.signal()
        ended.wait()
    }
}
