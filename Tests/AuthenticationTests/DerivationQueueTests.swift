// Whose turn it is when logins wait for a thread.
import Dispatch
import Synchronization
import Testing

@testable import Authentication

@Suite struct DerivationQueueTests {
    private final class Record: Sendable {
        let order = Mutex<[String]>([])
        let done = DispatchSemaphore(value: 0)
        func note(_ text: String) {
            order.withLock { $0.append(text) }
            done.signal()
        }
    }

    /// Holds threads until it is opened.
    private final class Gate: Sendable {
        let entered = DispatchSemaphore(value: 0)
        let exit = DispatchSemaphore(value: 0)
    }

    private func onThread(_ body: @escaping @Sendable () -> Void) async {
        await withCheckedContinuation { continuation in
            DispatchQueue(label: "test").async {
                body()
                continuation.resume()
            }
        }
    }

    @Test func theKnownGoFirstAndSuspectsLast() async {
        await onThread {
            let queue = DerivationQueue(threads: 1, pendingMax: 10)
            let (gate, record) = (Gate(), Record())
            #expect(
                queue.submit(.fresh) { _ in
                    gate.entered.signal(); gate.exit.wait()
                })
            gate.entered.wait()
            for (rank, name) in [
                (LoginRank.suspect, "s1"), (.suspect, "s2"), (.fresh, "f1"), (.known, "k1"), (.fresh, "f2"),
            ] {
                #expect(queue.submit(rank) { _ in record.note(name) })
            }
            gate.exit.signal()
            for _ in 0..<5 { record.done.wait() }
            #expect(record.order.withLock { $0 } == ["k1", "f1", "f2", "s1", "s2"])
            queue.shutDown()
        }
    }

    @Test func suspectsLeaveAThreadToTheOthers() async {
        await onThread {
            let queue = DerivationQueue(threads: 2, pendingMax: 10)
            let (gate, record) = (Gate(), Record())
            #expect(
                queue.submit(.suspect) { _ in
                    gate.entered.signal(); gate.exit.wait(); record.note("s1")
                })
            gate.entered.wait()
            #expect(queue.submit(.suspect) { _ in record.note("s2") })
            #expect(queue.submit(.fresh) { _ in record.note("f") })
            record.done.wait()
            #expect(record.order.withLock { $0 } == ["f"])
            gate.exit.signal()
            for _ in 0..<2 { record.done.wait() }
            #expect(record.order.withLock { $0 } == ["f", "s1", "s2"])
            queue.shutDown()
        }
    }

    @Test func eachRankHasItsBound() async {
        await onThread {
            let queue = DerivationQueue(threads: 1, pendingMax: 2)
            let (gate, record) = (Gate(), Record())
            #expect(
                queue.submit(.suspect) { _ in
                    gate.entered.signal(); gate.exit.wait(); record.note("s")
                })
            gate.entered.wait()
            #expect(queue.submit(.suspect) { _ in record.note("s") })
            #expect(!queue.submit(.suspect) { _ in record.note("refused") })
            #expect(queue.submit(.fresh) { _ in record.note("f") })
            gate.exit.signal()
            for _ in 0..<3 { record.done.wait() }
            #expect(record.order.withLock { !$0.contains("refused") })
            queue.shutDown()
        }
    }
}
