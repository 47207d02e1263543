// Opening, options, limits and inspection of a real environment.
import Glibc
import LMDB
import Testing

@Suite("Opening, limits and copies")
struct EnvironmentTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test("data outlives the environment")
    func reopen() throws {
        do {
            let environment = try directory.environment()
            let db = try environment.openDatabase("rows", create: true)
            try environment.write { try $0.put(db, key(1), [1, 2, 3]) }
        }
        do {
            let environment = try directory.environment()
            let db = try environment.openDatabase("rows", create: false)
            #expect(try environment.read { try $0.getBytes(db, key: key(1)) } == [1, 2, 3])
        }
        let environment = try directory.environment(.init(mapBytes: 64 << 20, readOnly: true))
        let db = try environment.openDatabase("rows", create: true)
        #expect(try environment.read { try $0.getBytes(db, key: key(1)) } == [1, 2, 3])
        #expect { _ = try environment.beginWrite() } throws: { ($0 as? LMDBError)?.code == EACCES }
    }

    @Test("the default map costs no disk")
    func defaultMap() throws {
        let environment = try Environment(directory: directory.path)
        let db = try environment.openDatabase("rows", create: true)
        try environment.write { try $0.put(db, key(1), [1]) }
        let info = try environment.info()
        #expect(info.mapOctets == 1 << 40)
        #expect(info.readersMax == 1_024)
        #expect(info.dataFileOctets == environment.dataFileBytes)
        #expect((1...1 << 16).contains(info.dataFileOctets))
    }

    @Test("files are for their owner only, and the data file is not inherited by programs we start")
    func descriptors() throws {
        let environment = try directory.environment()
        #expect(mode(directory.path + "/data.mdb") == 0o600)
        #expect(mode(directory.path + "/lock.mdb") == 0o600)
        let ours = openFiles().filter { $0.path.hasPrefix(directory.path + "/") }
        #expect(ours.contains { $0.path.hasSuffix("/data.mdb") })
        for file in ours { #expect(fcntl(file.descriptor, F_GETFD) & FD_CLOEXEC != 0, "\(file.path)") }
        withExtendedLifetime(environment) {}
    }

    @Test("a second open of the same directory is refused, by any name, until the first is closed")
    func openTwice() throws {
        do {
            let environment = try directory.environment()
            #expect { _ = try Environment(directory: directory.path + "/.") } throws: {
                ($0 as? LMDBError)?.isBusy == true
            }
            withExtendedLifetime(environment) {}
        }
        #expect(throws: Never.self) { _ = try directory.environment() }
    }

    @Test("a file that is not a database is refused, and the directory can be opened after it is gone")
    func notADatabase() throws {
        let path = directory.path + "/data.mdb"
        let file = open(path, O_WRONLY | O_CREAT, 0o600)
        _ = [UInt8](repeating: 0x41, count: 8_192).withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
        close(file)
        #expect { _ = try directory.environment() } throws: { ($0 as? LMDBError)?.isCorrupted == true }
        unlink(path)
        #expect(throws: Never.self) { _ = try directory.environment() }
    }

    @Test("a missing parent directory is an error of the system")
    func missingParent() {
        #expect { _ = try Environment(directory: directory.path + "/a/b") } throws: {
            ($0 as? LMDBError)?.code == ENOENT
        }
    }

    @Test("databases: the same name is the same database, names are counted, unknown names are not found")
    func databases() throws {
        let environment = try directory.environment(.init(mapBytes: 1 << 20, databasesMax: 2))
        let first = try environment.openDatabase("a", create: true)
        #expect(try environment.openDatabase("a", create: true) == first)
        #expect(try environment.openDatabase("a", create: false) == first)
        #expect { _ = try environment.openDatabase("b", create: false) } throws: {
            ($0 as? LMDBError)?.isNotFound == true
        }
        #expect(try environment.openDatabase("b", create: true) != first)
        #expect { _ = try environment.openDatabase("c", create: true) } throws: {
            ($0 as? LMDBError)?.isDatabasesFull == true
        }
        // The refused one did not keep the write lock.
        try environment.write { try $0.put(first, [1], [1]) }
    }

    @Test("a full map refuses the write, keeps what was committed, and goes on after rows are deleted")
    func mapFull() throws {
        let environment = try directory.environment(.init(mapBytes: 256 << 10))
        let db = try environment.openDatabase("rows", create: true)
        let value = [UInt8](repeating: 1, count: 1_000)
        try environment.write { txn in for row in 0..<50 { try txn.put(db, key(row), value) } }
        #expect {
            try environment.write { txn in for row in 1_000..<2_000 { try txn.put(db, key(row), value) } }
        } throws: {
            ($0 as? LMDBError)?.isMapFull == true
        }
        #expect(try environment.read { try $0.numbers(db) } == Array(0..<50))
        #expect(try environment.write { try $0.deleteRange(db, from: [], to: nil, limit: 40) } == 40)
        try environment.write { try $0.put(db, key(7), value) }
        #expect(try environment.read { try $0.numbers(db) } == [7] + Array(40..<50))
    }

    @Test("after a failed put only abort is left")
    func failedTransaction() throws {
        let environment = try directory.environment(.init(mapBytes: 256 << 10))
        let db = try environment.openDatabase("rows", create: true)
        let txn = try environment.beginWrite()
        #expect { try txn.put(db, key(1), [UInt8](repeating: 0, count: 1 << 20)) } throws: {
            ($0 as? LMDBError)?.isMapFull == true
        }
        #expect { try txn.put(db, key(2), [1]) } throws: { ($0 as? LMDBError)?.isBadTransaction == true }
        #expect { try txn.commit() } throws: { ($0 as? LMDBError)?.isBadTransaction == true }
        try environment.write { try $0.put(db, key(3), [1]) }
        #expect(try environment.read { try $0.numbers(db) } == [3])
    }

    @Test("a compact copy is whole, private, smaller, and never written over another")
    func copy() throws {
        let environment = try directory.environment()
        let db = try environment.openDatabase("rows", create: true)
        let value = [UInt8](repeating: 5, count: 1_000)
        try environment.write { txn in for row in 0..<2_000 { try txn.put(db, key(row), value) } }
        #expect(try environment.write { try $0.deleteRange(db, from: key(100), to: nil, limit: 5_000) } == 1_900)
        #expect(try environment.read { try $0.freePages() } > 400)
        let target = directory.path + "/copy"
        try environment.copyCompact(to: target)
        #expect(mode(target + "/data.mdb") == 0o600)
        let copy = try Environment(directory: target, options: .init(mapBytes: 64 << 20))
        let copied = try copy.openDatabase("rows", create: false)
        #expect(try copy.read { try $0.numbers(copied) } == Array(0..<100))
        #expect(try copy.read { try $0.freePages() } == 0)
        #expect(copy.dataFileBytes * 5 < environment.dataFileBytes)
        #expect { try environment.copyCompact(to: target) } throws: { ($0 as? LMDBError)?.code == EEXIST }
        #expect(copy.dataFileBytes > 0)
    }

    @Test("statistics count rows and pages")
    func statistics() throws {
        let environment = try directory.environment()
        let db = try environment.openDatabase("rows", create: true)
        #expect(try environment.statistics(of: db).depth == 0)
        try environment.write { txn in for row in 0..<1_000 { try txn.append(db, key(row), key(row)) } }
        let statistics = try environment.statistics(of: db)
        #expect(statistics.entries == 1_000)
        #expect(statistics.depth == 2)
        #expect(statistics.branchPages == 1)
        // 1,000 rows of 8 + 8 octets and 10 of overhead do not fit 6 pages of 4 KiB and fill 7 when appended.
        if try environment.info().pageOctets == 4_096 { #expect(statistics.leafPages == 7) }
        #expect(statistics.pages == statistics.leafPages + 1)
    }

    @Test("descriptions name the operation and the reason, and no data")
    func descriptions() throws {
        let environment = try directory.environment()
        let db = try environment.openDatabase("rows", create: true)
        let secret = [UInt8]("secret".utf8) + [UInt8](repeating: 0x61, count: 600)
        let error = #expect(throws: LMDBError.self) { try environment.write { try $0.put(db, secret, []) } }
        #expect(error?.operation == "put")
        let text = try #require(error?.description)
        #expect(text.hasPrefix("put: MDB_BAD_VALSIZE"))
        #expect(!text.contains("secret"))
        #expect(LMDBError(code: ENOSPC, operation: "commit").description == "commit: No space left on device (28)")
        #expect(LMDBError(code: ENOSPC, operation: "commit").isNoSpace)
        #expect(LMDBError(code: EIO, operation: "commit").isIOError)
    }

    private func mode(_ path: String) -> UInt32 {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
    }
}
