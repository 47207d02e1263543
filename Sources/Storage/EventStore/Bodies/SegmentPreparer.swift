// Makes the next segment while the current one fills, so that a roll costs two small flushes and no allocation.
//
// One thread for each segment, started when the one before is taken: once in 64 MiB of mail a thread costs nothing, and
// there is none to stop while nothing happens. Rejected: a thread that waits for orders, with a queue and a way to end.
import Glibc
import Synchronization

// start, take and stop are called by the writer under its lock; only `result` and `isAbandoned` are shared with the thread.
final class SegmentPreparer: @unchecked Sendable {
    private let directory: SegmentDirectory
    private let octets: UInt64
    private let prezero: Bool
    private let result = Mutex<Result<OpenFile, FileFault>?>(nil)
    private let isAbandoned = Atomic(false)
    private var thread: pthread_t?

    init(_ directory: SegmentDirectory, octets: UInt64, prezero: Bool) {
        self.directory = directory
        self.octets = octets
        self.prezero = prezero
    }

    /// Begins to prepare a segment, when none is.
    func start() {
        guard thread == nil else { return }
        var id = pthread_t()
        let context = Unmanaged.passRetained(self)
        if pthread_create(&id, nil, runPreparer, context.toOpaque()) == 0 {
            thread = id
        } else {
            // Without a thread, `take` does the work.
            context.release()
        }
    }

    /// A segment without header and name. Waits for the one in preparation; makes one when that failed, so that an
    /// error is of now and not of then.
    func take() throws(FileFault) -> OpenFile {
        join()
        let prepared = result.withLock { result in
            defer { result = nil }
            return result
        }
        if case .success(let file) = prepared { return file }
        return try makeSpare()
    }

    /// Gives up what is being prepared: whoever closes a store waits for one step of zeros, not for a segment of them.
    func stop() {
        isAbandoned.store(true, ordering: .relaxed)
        join()
    }

    private func join() {
        guard let id = thread else { return }
        pthread_join(id, nil)
        thread = nil
    }

    fileprivate func run() {
        let made: Result<OpenFile, FileFault>
        do throws(FileFault) { made = .success(try makeSpare()) } catch { made = .failure(error) }
        result.withLock { $0 = made }
    }

    /// A spare left by an earlier run has the right size and holds no record: it is used as it is.
    private func makeSpare() throws(FileFault) -> OpenFile {
        if let left = try? OpenFile(directory.sparePath, flags: O_RDWR, disk: directory.disk),
            (try? left.count) == octets
        {
            return left
        }
        return try directory.allocate(directory.sparePath, octets: octets, prezero: prezero) {
            isAbandoned.load(ordering: .relaxed)
        }
    }
}

private func runPreparer(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    Unmanaged<SegmentPreparer>.fromOpaque(context).takeRetainedValue().run()
    return nil
}
