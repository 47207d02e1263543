import Dispatch
import Foundation
import Synchronization

/// Work that threads share out among themselves, one piece at a time.
enum SharedWork {
    /// Runs `body` on `threads` threads with numbers 0..<count, each once, and waits.
    /// - Throws: the first error of any of them.
    static func run(
        _ count: Int, threads: Int, _ body: @escaping @Sendable (Int) throws -> Void
    ) throws {
        let state = State()
        let done = DispatchGroup()
        for _ in 0..<max(1, threads) {
            done.enter()
            Thread.detachNewThread {
                defer { done.leave() }
                while let number = state.take(count) {
                    do { try body(number) } catch { return state.fail(AdministrationFailure(error)) }
                }
            }
        }
        done.wait()
        if let failure = state.failure { throw failure }
    }

    /// Numbers handed out to threads, and the first failure among them.
    private final class State: Sendable {
        private let state = Mutex((next: 0, failure: AdministrationFailure?.none))

        var failure: AdministrationFailure? { state.withLock { $0.failure } }

        func take(_ count: Int) -> Int? {
            state.withLock { state in
                guard state.failure == nil, state.next < count else { return nil }
                defer { state.next += 1 }
                return state.next
            }
        }

        func fail(_ failure: AdministrationFailure) {
            state.withLock { if $0.failure == nil { $0.failure = failure } }
        }
    }
}
