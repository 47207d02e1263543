import Glibc

/// Seconds of the monotonic clock, for waiting; no moment in time.
func monotonicSeconds() -> Double {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
}

// `handle` is written once in init, before anyone else can see the object.
/// A joinable operating-system thread that runs one closure, behind whoever answers clients: a projection follows.
final class ProjectionThread: @unchecked Sendable {
    private var handle = pthread_t()

    /// As of nice(1).
    private static let niceness: Int32 = 10

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
                // Of this thread alone, on Linux. Where it is not allowed, the thread stays as it is.
                _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, ProjectionThread.niceness)
                box.body()
                return nil
            }, box.toOpaque())
        precondition(code == 0, "the system gives no more threads: \(String(cString: strerror(code)))")
    }

    func join() { pthread_join(handle, nil) }
}

// Every access to `state` is between lock and unlock of `mutex`.
/// A mutex with a condition that can be waited for until a moment of the monotonic clock.
final class TimedMonitor<State>: @unchecked Sendable {
    private var state: State
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init(_ state: State) {
        self.state = state
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Runs `body` alone and wakes whoever waits.
    func change(_ body: (inout State) -> Void) {
        withLock(body)
        pthread_cond_broadcast(condition)
    }

    /// Runs `body` alone and wakes whoever waits when it answers true.
    func changeIf(_ body: (inout State) -> Bool) {
        if withLock(body) { pthread_cond_broadcast(condition) }
    }

    func withLock<R>(_ body: (inout State) -> R) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body(&state)
    }

    /// Waits until `body` answers something.
    func wait<R>(_ body: (inout State) -> R?) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = body(&state) { return result }
            pthread_cond_wait(condition, mutex)
        }
    }

    /// Waits until `isReady`, or until the deadline has passed.
    /// - Parameter deadline: on the monotonic clock, in seconds; nil waits without end.
    func wait(until deadline: Double?, _ isReady: (State) -> Bool) {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while !isReady(state) {
            guard let deadline else {
                pthread_cond_wait(condition, mutex)
                continue
            }
            let whole = deadline.rounded(.down)
            var moment = timespec(tv_sec: Int(whole), tv_nsec: Int((deadline - whole) * 1e9))
            if pthread_cond_timedwait(condition, mutex, &moment) == ETIMEDOUT { return }
        }
    }
}
