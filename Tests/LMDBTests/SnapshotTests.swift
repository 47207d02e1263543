// What readers see beside a writer, on many threads.
import Glibc
import LMDB
import Synchronization
import Testing

@Suite("Views of a commit")
struct SnapshotTests {
    let directory: TemporaryDirectory
    let environment: Environment
    let db: Database

    init() throws {
        directory = try TemporaryDirectory()
        environment = try directory.environment()
        db = try environment.openDatabase("rows", create: true)
    }

    private func set(_ value: UInt8) throws {
        try environment.write { try $0.put(db, key(1), [value]) }
    }

    @Test("readers on many threads see whole commits only, and one view never changes")
    func isolation() throws {
        let rows = 50
        let done = Atomic<Bool>(false)
        let torn = Atomic<Int>(0)
        let views = Atomic<Int>(0)
        let environment = environment
        let db = db
        // Every commit writes its own number into all rows.
        @Sendable func write(_ round: Int) throws {
            try environment.write { txn throws in
                for row in 0..<rows { try txn.put(db, key(row), key(round)) }
            }
        }
        try write(0)
        onThreads(5) { index in
            if index == 0 {
                for round in 1...400 { if (try? write(round)) == nil { torn.add(1, ordering: .relaxed) } }
                done.store(true, ordering: .relaxed)
                return
            }
            repeat {
                let values: [Int]? = try? environment.read { txn throws in
                    var values: [Int] = []
                    for _ in 0..<2 {
                        try txn.scan(db, from: []) { _, value in
                            values.append(number(value))
                            return true
                        }
                    }
                    return values
                }
                if values?.count != 2 * rows || Set(values ?? []).count != 1 { torn.add(1, ordering: .relaxed) }
                views.add(1, ordering: .relaxed)
            } while !done.load(ordering: .relaxed)
        }
        #expect(torn.load(ordering: .relaxed) == 0)
        #expect(views.load(ordering: .relaxed) >= 4)
        #expect(try environment.read { try $0.get(db, key(0)) { number($0) } } == 400)
    }

    @Test("writers on many threads take turns")
    func writersTakeTurns() throws {
        let environment = environment
        let db = db
        let failures = Atomic<Int>(0)
        onThreads(4) { _ in
            for _ in 0..<50 {
                do {
                    try environment.write { txn throws in
                        let count = try txn.get(db, key(0)) { number($0) } ?? 0
                        try txn.put(db, key(0), key(count + 1))
                    }
                } catch {
                    failures.add(1, ordering: .relaxed)
                }
            }
        }
        #expect(failures.load(ordering: .relaxed) == 0)
        #expect(try environment.read { try $0.get(db, key(0)) { number($0) } } == 200)
    }

    @Test("a snapshot keeps its commit until it is renewed")
    func renew() throws {
        let start = ContinuousClock.now
        try set(1)
        let snapshot = try Snapshot(environment, at: start)
        #expect(snapshot.transactionsBehind == 0)
        try set(2)
        try set(3)
        #expect(try snapshot.getBytes(db, key: key(1)) == [1])
        #expect(snapshot.transactionsBehind == 2)
        #expect(snapshot.age(at: start + .seconds(3)) == .seconds(3))
        try snapshot.renew(at: start + .seconds(3))
        #expect(try snapshot.getBytes(db, key: key(1)) == [3])
        #expect(snapshot.transactionsBehind == 0)
        #expect(snapshot.age(at: start + .seconds(4)) == .seconds(1))
        snapshot.close()
        snapshot.close()
    }

    @Test("a snapshot may be open beside a write transaction of the same thread")
    func besideWriter() throws {
        try set(1)
        let txn = try environment.beginWrite()
        let snapshot = try Snapshot(environment, at: .now)
        try txn.put(db, key(1), [2])
        #expect(try snapshot.getBytes(db, key: key(1)) == [1])
        #expect(try environment.read { try $0.getBytes(db, key: key(1)) } == [1])
        try txn.commit()
        #expect(try snapshot.getBytes(db, key: key(1)) == [1])
    }

    @Test("info counts readers and tells how far the oldest is behind")
    func lag() throws {
        try set(1)
        let before = try environment.info()
        #expect(before.readers == 0)
        #expect(before.oldestReaderLag == 0)
        let snapshot = try Snapshot(environment, at: .now)
        for value in 0..<5 { try set(UInt8(value)) }
        let during = try environment.info()
        #expect(during.readers == 1)
        #expect(during.oldestReaderLag == 5)
        #expect(during.lastTransaction == before.lastTransaction + 5)
        // A parked snapshot keeps its slot but holds no pages back.
        snapshot.reset()
        #expect(try environment.info().oldestReaderLag == 0)
        try snapshot.renew(at: .now)
        #expect(try environment.info().oldestReaderLag == 0)
        snapshot.close()
        #expect(try environment.info().readers == 0)
    }

    @Test("a snapshot given up without close frees its slot")
    func forgotten() throws {
        do { _ = try Snapshot(environment, at: .now) }
        #expect(try environment.info().readers == 0)
    }

    @Test("a transaction alone keeps its environment alive")
    func holdsEnvironment() throws {
        let other = try TemporaryDirectory()
        func open() throws -> (Snapshot, Database) {
            let environment = try other.environment()
            let db = try environment.openDatabase("rows", create: true)
            try environment.write { try $0.put(db, key(1), [42]) }
            return (try Snapshot(environment, at: .now), db)
        }
        let (snapshot, db) = try open()
        #expect(try snapshot.getBytes(db, key: key(1)) == [42])
        #expect(try snapshot.get(db, key(1)) { $0.first } == 42)
    }

    @Test("when all reader slots are taken the next reader is refused, and served once one is free")
    func readersFull() throws {
        let other = try TemporaryDirectory()
        let environment = try other.environment(.init(mapBytes: 1 << 20, readersMax: 4))
        var held = try (0..<4).map { _ in try Snapshot(environment, at: .now) }
        #expect { try environment.read { _ in } } throws: { ($0 as? LMDBError)?.isReadersFull == true }
        held.removeLast()
        #expect(throws: Never.self) { try environment.read { _ in } }
    }
}
