import NIOCore
import Synchronization

/// Brings completions from other threads to one event loop.
///
/// A commit answers up to some hundred sessions at once. The first answer wakes the loop, and those that come before it
/// has looked ride along, so that a wake-up is not paid for each.
final class CompletionHop: Sendable {
    private let eventLoop: any EventLoop
    private let queue = Mutex<[@Sendable () -> Void]>([])

    init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// Runs `work` on the event loop, after what was posted before it.
    func post(_ work: @escaping @Sendable () -> Void) {
        let isFirst = queue.withLock { queue in
            queue.append(work)
            return queue.count == 1
        }
        if isFirst { eventLoop.execute { self.drain() } }
    }

    private func drain() {
        let works = queue.withLock { queue in
            defer { queue = [] }
            return queue
        }
        for work in works { work() }
    }
}

/// A flag that many threads set.
final class Flag: Sendable {
    private let value = Atomic<Bool>(false)

    /// Whether it was not set before.
    func set() -> Bool { !value.exchange(true, ordering: .sequentiallyConsistent) }
    func clear() { value.store(false, ordering: .sequentiallyConsistent) }
}
