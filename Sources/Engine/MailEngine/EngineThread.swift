// An operating-system thread of the engine. LMDB's write lock belongs to a thread, and a flush blocks for milliseconds,
// so neither the event loops nor the pool of Swift tasks is the place for it.
import Glibc

/// A joinable thread that runs one closure.
final class EngineThread: @unchecked Sendable {
    // `handle` is written once in init, before anyone else can see the object.
    private var handle = pthread_t()

    private final class Box {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    init(_ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(Box(body))
        let code = pthread_create(
            &handle, nil,
            { argument in
                guard let argument else { return nil }
                let box = Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
                box.body()
                return nil
            }, box.toOpaque())
        precondition(code == 0, "the system gives no more threads: \(String(cString: strerror(code)))")
    }

    func join() { pthread_join(handle, nil) }
}

/// Who is waiting at a `Monitor`.
struct Waiters: OptionSet {
    let rawValue: Int
    static let first = Waiters(rawValue: 1)
    static let second = Waiters(rawValue: 2)
    static let all: Waiters = [.first, .second]
}

/// A mutex with two conditions, for queues between threads that may block.
final class Monitor<State>: @unchecked Sendable {
    // Every access to `state` is between lock and unlock of `mutex`.
    private var state: State
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let conditions = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 2)

    init(_ state: State) {
        self.state = state
        pthread_mutex_init(mutex, nil)
        // Deadlines by a clock that nobody sets.
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(conditions, &attributes)
        pthread_cond_init(conditions + 1, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(conditions)
        pthread_cond_destroy(conditions + 1)
        pthread_mutex_destroy(mutex)
        conditions.deallocate()
        mutex.deallocate()
    }

    /// Runs `body` alone and wakes whoever waits when it answers true.
    func change(_ body: (inout State) -> Bool) { wake { body(&$0) ? .all : [] } }

    /// Runs `body` alone and wakes those that it names.
    func wake(_ body: (inout State) -> Waiters) {
        pthread_mutex_lock(mutex)
        let waiters = body(&state)
        pthread_mutex_unlock(mutex)
        if waiters.contains(.first) { pthread_cond_broadcast(conditions) }
        if waiters.contains(.second) { pthread_cond_broadcast(conditions + 1) }
    }

    func withLock<R>(_ body: (inout State) -> R) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body(&state)
    }

    /// Waits until `body` answers something.
    func wait<R>(as waiter: Waiters = .first, _ body: (inout State) -> R?) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = body(&state) { return result }
            pthread_cond_wait(condition(waiter), mutex)
        }
    }

    /// Waits until `body` answers something, or for that long; nil when the time is over.
    func wait<R>(as waiter: Waiters = .first, nanoseconds: Int?, _ body: (inout State) -> R?) -> R? {
        guard let nanoseconds else { return wait(as: waiter, body) }
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        let sum = deadline.tv_nsec + nanoseconds
        deadline.tv_sec += sum / 1_000_000_000
        deadline.tv_nsec = sum % 1_000_000_000
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = body(&state) { return result }
            if pthread_cond_timedwait(condition(waiter), mutex, &deadline) == ETIMEDOUT { return body(&state) }
        }
    }

    private func condition(_ waiter: Waiters) -> UnsafeMutablePointer<pthread_cond_t> {
        waiter == .second ? conditions + 1 : conditions
    }
}
