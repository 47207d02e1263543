// Rows written and read back, in order, in ranges, and what an abort leaves.
import LMDB
import Testing

@Suite("Reading and writing rows")
struct ReadWriteTests {
    let directory: TemporaryDirectory
    let environment: Environment
    let db: Database

    init() throws {
        directory = try TemporaryDirectory()
        environment = try directory.environment()
        db = try environment.openDatabase("rows", create: true)
    }

    private func fill(_ numbers: [Int]) throws {
        try environment.write { txn throws in
            for number in numbers { try txn.put(db, key(number), Array("v\(number)".utf8)) }
        }
    }

    @Test("a writer reads its own writes, others do not until the commit")
    func ownWrites() throws {
        let txn = try environment.beginWrite()
        try txn.put(db, key(1), [7, 8, 9])
        #expect(try txn.getBytes(db, key: key(1)) == [7, 8, 9])
        #expect(try environment.read { try $0.getBytes(db, key: key(1)) } == nil)
        try txn.commit()
        #expect(try environment.read { try $0.getBytes(db, key: key(1)) } == [7, 8, 9])
    }

    @Test("get gives the value to its closure, and does not call it for a missing key")
    func getClosure() throws {
        try fill([1])
        let octets = try environment.read { try $0.get(db, key(1)) { $0.count } }
        #expect(octets == 2)
        var called = false
        let missing: Int? = try environment.read { txn in
            try txn.get(db, key(2)) { _ in
                called = true
                return 1
            }
        }
        #expect(missing == nil)
        #expect(!called)
    }

    @Test("a value may be empty, and replaces what was there")
    func emptyValue() throws {
        try fill([1])
        try environment.write { try $0.put(db, key(1), []) }
        #expect(try environment.read { try $0.getBytes(db, key: key(1)) } == [])
        #expect(try environment.read { try $0.count(db) } == 1)
    }

    @Test("values of many pages come back whole")
    func largeValue() throws {
        let value = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try environment.write { try $0.put(db, key(1), value) }
        #expect(try environment.read { try $0.getBytes(db, key: key(1)) } == value)
        #expect(try environment.statistics(of: db).overflowPages == 245)
    }

    @Test("keys of 1 and 511 octets are taken, 0 and 512 refused before anything happens", arguments: [1, 511, 0, 512])
    func keyLengths(_ octets: Int) throws {
        let key = [UInt8](repeating: 0x61, count: octets)
        let allowed = octets == 1 || octets == 511
        let txn = try environment.beginWrite()
        func check(_ operation: () throws -> Void) {
            if allowed {
                #expect(throws: Never.self) { try operation() }
            } else {
                #expect { try operation() } throws: { ($0 as? LMDBError)?.isBadValueSize == true }
            }
        }
        check { try txn.put(db, key, [1]) }
        check { _ = try txn.getBytes(db, key: key) }
        check { try txn.delete(db, key) }
        check { try txn.append(db, key, [1]) }
        check { try txn.scanBackward(db, from: key) { _, _ in false } }
        // A refusal does not spoil the transaction.
        try txn.put(db, [2], [2])
        try txn.commit()
    }

    @Test("append goes up only, and a refusal leaves the transaction usable", arguments: [5, 4])
    func appendOutOfOrder(_ late: Int) throws {
        try environment.write { txn throws in
            try txn.append(db, key(3), [3])
            try txn.append(db, key(5), [5])
            #expect { try txn.append(db, key(late), [0]) } throws: { ($0 as? LMDBError)?.isKeyExists == true }
            try txn.append(db, key(6), [6])
        }
        try environment.read { txn throws in
            #expect(try txn.numbers(db) == [3, 5, 6])
            #expect(try txn.getBytes(db, key: key(5)) == [5])
        }
    }

    @Test("delete tells whether the row was there")
    func delete() throws {
        try fill([1, 2])
        try environment.write { txn throws in
            #expect(try txn.delete(db, key(1)))
            #expect(try !txn.delete(db, key(1)))
            #expect(try !txn.delete(db, key(9)))
        }
        #expect(try environment.read { try $0.numbers(db) } == [2])
    }

    @Test(
        "an ascending scan begins at the bound or above it",
        arguments: [
            (nil, [10, 20, 30]), (0, [10, 20, 30]), (10, [10, 20, 30]), (11, [20, 30]), (30, [30]), (31, []),
        ] as [(Int?, [Int])])
    func scan(_ start: Int?, _ expected: [Int]) throws {
        try fill([10, 20, 30])
        #expect(try environment.read { try $0.numbers(db, from: start.map(key) ?? []) } == expected)
    }

    @Test(
        "a descending scan begins at the bound or below it",
        arguments: [
            (nil, [30, 20, 10]), (99, [30, 20, 10]), (30, [30, 20, 10]), (29, [20, 10]), (10, [10]), (9, []),
        ] as [(Int?, [Int])])
    func scanBackward(_ start: Int?, _ expected: [Int]) throws {
        try fill([10, 20, 30])
        #expect(try environment.read { try $0.numbersBackward(db, from: start.map(key)) } == expected)
    }

    @Test("a scan stops when the closure says so, and gives keys with their own values")
    func scanStops() throws {
        try fill(Array(1...100))
        try environment.read { txn throws in
            var rows: [String] = []
            try txn.scan(db, from: key(50)) { key, value in
                rows.append("\(number(key))=" + String(decoding: value, as: UTF8.self))
                return rows.count < 3
            }
            #expect(rows == ["50=v50", "51=v51", "52=v52"])
        }
    }

    @Test("an error of the closure comes through, and the transaction goes on")
    func scanThrows() throws {
        struct Stop: Error, Equatable { let at: Int }
        try fill([1, 2, 3])
        try environment.read { txn throws in
            #expect(throws: Stop(at: 2)) {
                try txn.scan(db, from: []) { key, _ in
                    if number(key) == 2 { throw Stop(at: 2) }
                    return true
                }
            }
            #expect(try txn.numbers(db) == [1, 2, 3])
        }
    }

    @Test("shorter keys come before the keys they begin")
    func prefixOrder() throws {
        try environment.write { txn throws in
            for key: [UInt8] in [[2], [1, 0], [1], [1, 255], [1, 0, 0]] { try txn.put(db, key, []) }
        }
        try environment.read { txn throws in
            var keys: [[UInt8]] = []
            try txn.scan(db, from: [1, 0]) { key, _ in
                keys.append([UInt8](key))
                return true
            }
            #expect(keys == [[1, 0], [1, 0, 0], [1, 255], [2]])
            #expect(try txn.last(db)?.key == [2])
            var below: [UInt8]?
            try txn.scanBackward(db, from: [1, 1]) { key, _ in
                below = [UInt8](key)
                return false
            }
            #expect(below == [1, 0, 0])
        }
    }

    @Test("first and last of an empty, a small and a large tree", arguments: [0, 1, 5_000])
    func edges(_ rows: Int) throws {
        try fill(Array(0..<rows))
        try environment.read { txn throws in
            #expect(try txn.count(db) == rows)
            #expect(try txn.first(db)?.key == (rows == 0 ? nil : key(0)))
            #expect(try txn.last(db)?.key == (rows == 0 ? nil : key(rows - 1)))
            #expect(try txn.first(db) { key, _ in number(key) } == (rows == 0 ? nil : 0))
            #expect(try txn.last(db) { key, _ in number(key) } == (rows == 0 ? nil : rows - 1))
        }
    }

    @Test(
        "deleteRange removes the lowest rows of a half-open range, at most the limit",
        arguments: [
            (2, 5, 100, 3, [0, 1, 5, 6, 7]), (2, 5, 2, 2, [0, 1, 4, 5, 6, 7]), (6, nil, 100, 2, [0, 1, 2, 3, 4, 5]),
            (5, 5, 100, 0, [0, 1, 2, 3, 4, 5, 6, 7]), (5, 2, 100, 0, [0, 1, 2, 3, 4, 5, 6, 7]),
            (8, nil, 100, 0, [0, 1, 2, 3, 4, 5, 6, 7]), (0, 8, 0, 0, [0, 1, 2, 3, 4, 5, 6, 7]), (0, 99, 8, 8, []),
        ] as [(Int, Int?, Int, Int, [Int])])
    func deleteRange(_ start: Int, _ end: Int?, _ limit: Int, _ removed: Int, _ left: [Int]) throws {
        try fill(Array(0..<8))
        try environment.write { txn throws in
            #expect(try txn.deleteRange(db, from: key(start), to: end.map(key), limit: limit) == removed)
            #expect(try txn.numbers(db) == left)
        }
    }

    @Test("deleteRange over many pages, in portions, leaves exactly the rest")
    func deleteRangeManyPages() throws {
        try fill(Array(0..<20_000))
        var portions = 0
        while try environment.write({ try $0.deleteRange(db, from: key(100), to: key(19_900), limit: 3_000) }) > 0 {
            portions += 1
        }
        #expect(portions == 7)
        #expect(try environment.read { try $0.numbers(db) } == Array(0..<100) + Array(19_900..<20_000))
    }

    @Test("drop empties, or removes the database with its name")
    func drop() throws {
        try fill([1, 2])
        try environment.write { try $0.drop(db, delete: false) }
        #expect(try environment.read { try $0.count(db) } == 0)
        try fill([3])
        try environment.write { try $0.drop(db, delete: true) }
        #expect { try environment.openDatabase("rows", create: false) } throws: {
            ($0 as? LMDBError)?.isNotFound == true
        }
    }

    @Test("abort, and an error inside write, leave nothing")
    func abort() throws {
        struct Refused: Error {}
        try fill([1])
        let txn = try environment.beginWrite()
        try txn.put(db, key(2), [])
        try txn.delete(db, key(1))
        txn.abort()
        #expect(throws: Refused.self) {
            try environment.write { txn throws in
                try txn.put(db, key(3), [])
                throw Refused()
            }
        }
        do {
            // Let go unfinished.
            let forgotten = try environment.beginWrite()
            try forgotten.put(db, key(4), [])
        }
        #expect(try environment.read { try $0.numbers(db) } == [1])
        // The write lock is free again.
        try fill([5])
        #expect(try environment.read { try $0.numbers(db) } == [1, 5])
    }
}
