import LMDB
import Testing

/// Mistakes of ours end the process with a text, in debug and in release.
@Suite("Misuse")
struct MisuseTests {
    // Made here and not in the process that ends, which could not remove it.
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func expect(_ text: String, in result: ExitTest.Result?) {
        let output = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(output.contains(text), "\(output)")
    }

    @Test("use after commit")
    func afterCommit() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            [path = directory.path as String] in
            let environment = try Environment(directory: path)
            let db = try environment.openDatabase("rows", create: true)
            let txn = try environment.beginWrite()
            try txn.commit()
            try txn.put(db, [1], [1])
        }
        expect("already been committed", in: result)
    }

    @Test("use after abort")
    func afterAbort() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            [path = directory.path as String] in
            let txn = try Environment(directory: path).beginWrite()
            txn.abort()
            try txn.commit()
        }
        expect("already been committed, aborted", in: result)
    }

    @Test("a read transaction kept beyond its closure")
    func keptReader() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            [path = directory.path as String] in
            let environment = try Environment(directory: path)
            let db = try environment.openDatabase("rows", create: true)
            var kept: ReadTransaction?
            try environment.read { kept = $0 }
            _ = try kept?.getBytes(db, key: [1])
        }
        expect("already been", in: result)
    }

    @Test("a second write transaction on the same thread, which would wait for itself")
    func nestedWriters() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            [path = directory.path as String] in
            let environment = try Environment(directory: path)
            try environment.write { _ in _ = try environment.beginWrite() }
        }
        expect("already has a write transaction", in: result)
    }

    @Test("commit on another thread than begin")
    func otherThread() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            [path = directory.path as String] in
            // Shared on purpose: the test shows that this is caught.
            struct Carried: @unchecked Sendable { let txn: WriteTransaction }
            let carried = Carried(txn: try Environment(directory: path).beginWrite())
            onThreads(1) { _ in try? carried.txn.commit() }
        }
        expect("on the thread that began it", in: result)
    }

    @Test("commit inside a scan of the same transaction")
    func commitInsideScan() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            [path = directory.path as String] in
            let environment = try Environment(directory: path)
            let db = try environment.openDatabase("rows", create: true)
            let txn = try environment.beginWrite()
            try txn.put(db, [1], [1])
            try txn.scan(db, from: []) { _, _ in
                try txn.commit()
                return true
            }
        }
        expect("inside one of its own scans", in: result)
    }
}
