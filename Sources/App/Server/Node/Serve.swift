// `serve`: a node from its start to its end, driven by signals.
//
// The main thread waits for signals with sigwait(3). They are blocked before any other thread is made, so every thread
// inherits the block and no handler ever interrupts one.
import Foundation
import Glibc
import Logging
import Synchronization

package enum Serve {
    /// Runs until SIGTERM or SIGINT. SIGHUP reloads the configuration.
    /// - Parameter announce: gets the `ready` line.
    package static func run(
        store: String, sources: ConfigurationSources, announce: @escaping @Sendable (String) -> Void
    ) throws {
        let configuration = try sources.configuration()
        let signals = SignalSet([SIGTERM, SIGINT, SIGHUP])
        signals.block()
        signal(SIGPIPE, SIG_IGN)
        raiseFileLimit()
        LineLogHandler.install(configuration.log)
        let log = Logger(label: "letterlog")
        let node = try Node(store: store, configuration: configuration, log: log)
        try start(node, announce)
        while true {
            let signal = signals.wait()
            guard signal == SIGHUP else {
                log.notice("ending", metadata: ["signal": "\(signal == SIGTERM ? "SIGTERM" : "SIGINT")"])
                break
            }
            node.reload(sources)
        }
        blocking { await node.stop() }
    }

    private static func start(_ node: Node, _ announce: @escaping @Sendable (String) -> Void) throws {
        let result: Result<String, any Error> = blocking {
            do {
                return .success(try await node.start())
            } catch {
                return .failure(error)
            }
        }
        do {
            announce(try result.get())
        } catch {
            blocking { await node.stop() }
            throw error
        }
    }

    /// Runs `body` on the pool of tasks and waits on this thread, which is none of the pool's.
    private static func blocking<R: Sendable>(_ body: @escaping @Sendable () async -> R) -> R {
        let done = DispatchSemaphore(value: 0)
        let result = Mutex<R?>(nil)
        Task.detached {
            let value = await body()
            result.withLock { $0 = value }
            done.signal()
        }
        done.wait()
        guard let value = result.withLock({ $0 }) else { preconditionFailure("a task ended without its result") }
        return value
    }

    /// Each connection takes a descriptor; the soft limit is often 1,024.
    private static func raiseFileLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}

/// Signals that are waited for instead of handled.
struct SignalSet {
    private var set = sigset_t()

    init(_ signals: [Int32]) {
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
    }

    /// For this thread and all that it makes from now on.
    func block() {
        var set = set
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    func wait() -> Int32 {
        var set = set
        var signal: Int32 = 0
        while sigwait(&set, &signal) != 0 {}
        return signal
    }
}
