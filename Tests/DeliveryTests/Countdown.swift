import Foundation

/// So many times true, then false; or a gate that is closed until it is opened.
final class Countdown: @unchecked Sendable {
    // Every access to `left` and `isOpen` is under the condition's lock.
    private var left: Int
    private var isOpen = false
    private let condition = NSCondition()

    init(_ count: Int) { left = count }

    func takes() -> Bool {
        condition.lock()
        defer { condition.unlock() }
        left -= 1
        return left >= 0
    }

    func open() {
        condition.lock()
        isOpen = true
        condition.broadcast()
        condition.unlock()
    }

    /// At most ten seconds.
    func wait() {
        condition.lock()
        let limit = Date(timeIntervalSinceNow: 10)
        while !isOpen, condition.wait(until: limit) {}
        condition.unlock()
    }
}
