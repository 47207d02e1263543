// The disposable cache: it keeps what fits, loses the rest, and after anything but a clean end begins empty.
import EventStore
import Foundation
import MailTypes
import Testing

private final class Place {
    let path = NSTemporaryDirectory() + "letterlog-cache-" + UUID().uuidString
    deinit { try? FileManager.default.removeItem(atPath: path) }

    func open(version: UInt32 = 1, octetsMax: Int = 4 << 20) throws -> DisposableCache {
        try DisposableCache(path, version: version, octetsMax: octetsMax)
    }
}

private func key(_ email: Int, account: UInt32 = 16, kind: UInt8 = 1) -> CacheKey {
    CacheKey(AccountID(account), EmailID(UInt64(email)), kind: kind)
}

private func bytes(_ row: DisposableCache.Row?) -> [UInt8]? { row?.bytes }

@Suite("Disposable cache")
struct DisposableCacheTests {
    @Test("rows come back, in the order asked for; accounts and kinds are apart")
    func rows() throws {
        let place = Place()
        let cache = try place.open()
        cache.put([(key(1), [1]), (key(2), [2, 2]), (key(1, account: 17), [3]), (key(1, kind: 2), [])])
        let asked = [key(2), key(3), key(1), key(1, account: 17), key(1, kind: 2), key(2, kind: 2)]
        #expect(cache.rows(asked).map { bytes($0) } == [[2, 2], nil, [1], [3], [], nil])
        cache.put([(key(1), [9])])
        #expect(bytes(cache.rows([key(1)])[0]) == [9])
        #expect(cache.statistics.hits == 5 && cache.statistics.misses == 2 && cache.statistics.rowsWritten == 5)
        cache.remove(AccountID(16))
        #expect(cache.rows(asked).map { bytes($0) } == [nil, nil, nil, [3], nil, nil])
        cache.removeAll()
        #expect(cache.rows(asked).allSatisfy { $0 == nil })
        #expect(cache.rows([]).isEmpty)
    }

    @Test("a clean end keeps everything; another version, or an end that was none, nothing")
    func ends() throws {
        let place = Place()
        var cache: DisposableCache? = try place.open()
        cache?.put([(key(1), [1])])
        cache?.close()
        #expect(cache?.rows([key(1)])[0] == nil)
        cache?.put([(key(2), [2])])
        cache = nil
        cache = try place.open()
        #expect(bytes(cache?.rows([key(1)])[0]) == [1])
        #expect(cache?.rows([key(2)])[0] == nil)
        // Not closed: a crash.
        cache = nil
        cache = try place.open()
        #expect(cache?.rows([key(1)])[0] == nil)
        cache?.put([(key(1), [1])])
        cache?.close()
        cache = nil
        cache = try place.open(version: 2)
        #expect(cache?.rows([key(1)])[0] == nil)
        cache?.close()
        cache = nil
        for mark in ["", "letterlog cache 1 2", "letterlog cache 1 2 7 0 0", "letterlog cache 1 2 0 -1 0", "x\0y"] {
            try mark.write(toFile: place.path + "/CLEAN", atomically: false, encoding: .utf8)
            cache = try place.open(version: 2)
            #expect(cache?.rows([key(1)])[0] == nil)
            #expect(!FileManager.default.fileExists(atPath: place.path + "/CLEAN"))
            cache = nil
        }
        // Files that are no database, under a mark that says all is well.
        try Data(repeating: 7, count: 100_000).write(to: URL(fileURLWithPath: place.path + "/data.mdb"))
        cache = try place.open(version: 2)
        cache?.put([(key(1), [1])])
        #expect(bytes(cache?.rows([key(1)])[0]) == [1])
    }

    @Test("it stays within its room, and keeps what is used")
    func room() throws {
        let place = Place()
        let octetsMax = 4 << 20
        let cache = try place.open(octetsMax: octetsMax)
        let row = [UInt8](repeating: 7, count: 900)
        for round in 0..<60 {
            cache.put((0..<200).map { (key(1000 + round * 200 + $0), row) })
            // One row is used all the time: whoever finds it aging puts it again.
            let found = cache.rows([key(1)])[0]
            if round == 0 || found?.isAging == true { cache.put([(key(1), [1])]) }
            #expect(bytes(cache.rows([key(1)])[0]) == [1], "round \(round)")
        }
        #expect(cache.rows([key(1000)])[0] == nil)
        #expect(bytes(cache.rows([key(1000 + 59 * 200)])[0]) == row)
        #expect(cache.statistics.octets <= octetsMax && !cache.statistics.isFailed)
        let size = try #require(
            try FileManager.default.attributesOfItem(atPath: place.path + "/data.mdb")[.size] as? Int)
        #expect(size <= octetsMax * 2 + (8 << 20))
        cache.close()
    }

    @Test("less room than there is begins anew; rows over the limit are left out")
    func limits() throws {
        let place = Place()
        var cache: DisposableCache? = try place.open(octetsMax: 32 << 20)
        cache?.put((0..<12_000).map { (key($0), [UInt8](repeating: 7, count: 900)) })
        cache?.put([(key(-1 & 0xFFFF), [UInt8](repeating: 1, count: CacheLimits.rowOctetsMax + 1))])
        #expect(cache?.rows([key(-1 & 0xFFFF)])[0] == nil)
        cache?.put([(key(50_000), [UInt8](repeating: 1, count: CacheLimits.rowOctetsMax))])
        #expect(cache?.rows([key(50_000)])[0]?.bytes.count == CacheLimits.rowOctetsMax)
        cache?.close()
        cache = nil
        cache = try place.open(octetsMax: CacheLimits.octetsMin)
        #expect(cache?.rows([key(1)])[0] == nil)
        cache?.put([(key(1), [1])])
        #expect(bytes(cache?.rows([key(1)])[0]) == [1])
    }

    @Test("many threads read and write at once")
    func threads() throws {
        let place = Place()
        let cache = try place.open(octetsMax: 1 << 20)
        DispatchQueue.concurrentPerform(iterations: 8) { thread in
            for round in 0..<100 {
                let keys = (0..<20).map { key(thread * 10_000 + round * 20 + $0) }
                cache.put(keys.map { ($0, [UInt8](repeating: UInt8(thread), count: 300)) })
                for row in cache.rows(keys) where row != nil { #expect(row?.bytes.first == UInt8(thread)) }
            }
        }
        #expect(!cache.statistics.isFailed)
    }
}
