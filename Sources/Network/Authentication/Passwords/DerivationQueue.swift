// Logins that wait for a thread which derives keys. Whose turn it is decides how a storm of bad logins feels to the good
// ones: a name that has logged in from there before goes first, then those of whom nothing is known, then places that
// have failed lately. Of the last, one runs at a time where there are two threads or more, so that a good login waits for
// one derivation at most. Each rank has its own bound, so a full queue of bad ones refuses no good one.
import NIOCore
import NIOPosix
import Synchronization

/// How a login is looked at before its password is.
enum LoginRank: Int, CaseIterable, Sendable {
    case known, fresh, suspect
}

final class DerivationQueue: Sendable {
    /// Called once: with true on a thread of the queue, or with false when the threads have ended.
    typealias Job = @Sendable (Bool) -> Void

    private struct State {
        var waiting: [CircularBuffer<Job>] = LoginRank.allCases.map { _ in CircularBuffer() }
        var running: [Int] = LoginRank.allCases.map { _ in 0 }

        func count(_ rank: LoginRank) -> Int { waiting[rank.rawValue].count + running[rank.rawValue] }
    }

    private let threads: NIOThreadPool
    private let pendingMax: Int
    private let suspectsMax: Int
    private let state = Mutex(State())

    /// - Parameter pendingMax: of each rank, those that run included.
    init(threads count: Int, pendingMax: Int) {
        threads = NIOThreadPool(numberOfThreads: count)
        self.pendingMax = pendingMax
        suspectsMax = max(1, count - 1)
        threads.start()
    }

    /// - Returns: false when too many of that rank wait; the job is not called then.
    func submit(_ rank: LoginRank, _ job: @escaping Job) -> Bool {
        let isTaken = state.withLock { state in
            guard state.count(rank) < pendingMax else { return false }
            state.waiting[rank.rawValue].append(job)
            return true
        }
        if isTaken { threads.submit { [self] in runNext($0 == .active) } }
        return isTaken
    }

    func shutDown() { threads.shutdownGracefully { _ in } }

    private func runNext(_ isActive: Bool) {
        let next: (LoginRank, Job)? = state.withLock { state in
            for rank in LoginRank.allCases {
                if isActive, rank == .suspect, state.running[rank.rawValue] >= suspectsMax { continue }
                guard let job = state.waiting[rank.rawValue].popFirst() else { continue }
                state.running[rank.rawValue] += 1
                return (rank, job)
            }
            return nil
        }
        // A suspect that was passed over is taken by the thread that ends with the one before it.
        guard let (rank, job) = next else { return }
        job(isActive)
        let isOneLeft = state.withLock { state in
            state.running[rank.rawValue] -= 1
            return rank == .suspect && !state.waiting[rank.rawValue].isEmpty
        }
        if isOneLeft { threads.submit { [self] in runNext($0 == .active) } }
    }
}
