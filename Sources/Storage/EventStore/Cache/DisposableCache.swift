// Rows that may be lost at any time, in an LMDB environment of their own that is never flushed.
//
//     DIR/data.mdb lock.mdb     DIR/CLEAN  one line, there only while the cache is closed and whole
//
// Invariants
// - What is there after anything but a clean end, or was written by another version, is thrown away at open: without
//   flushes a power cut can leave any page, and CLEAN is gone from stable storage before the first write.
// - Size is bounded by two generations, each of half the room. Rows go to the current one; when it is full the other is
//   emptied and becomes the current one. A row that is used stays: whoever finds it in the older one puts it again.
// - No failure of the cache reaches its users. After one that is not understood it answers nothing until it is opened
//   again.
//
// Rejected: exact least-recently-used, which writes at each read; and rows in the store's own environment, whose
// commits are flushed and whose readers must be short.
import Glibc
import LMDB
import MailTypes
import Synchronization

/// Names a row of the cache.
package struct CacheKey: Hashable, Sendable {
    package var account: AccountID
    package var email: EmailID
    /// What is kept of the message.
    package var kind: UInt8

    package init(_ account: AccountID, _ email: EmailID, kind: UInt8) {
        self.account = account
        self.email = email
        self.kind = kind
    }

    static let octets = 13

    /// Sorted by account, then by kind, then by message: what a listing reads lies together, mostly in its order.
    func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try withUnsafeTemporaryAllocation(byteCount: Self.octets, alignment: 8) { room in
            room.storeBytes(of: account.rawValue.bigEndian, toByteOffset: 0, as: UInt32.self)
            room.storeBytes(of: kind, toByteOffset: 4, as: UInt8.self)
            room.storeBytes(of: email.rawValue.bigEndian, toByteOffset: 5, as: UInt64.self)
            return try body(UnsafeRawBufferPointer(room))
        }
    }
}

package struct CacheStatistics: Sendable, Equatable {
    package var octets = 0
    package var octetsMax = 0
    package var hits: UInt64 = 0
    package var misses: UInt64 = 0
    package var rowsWritten: UInt64 = 0
    /// It answers nothing until it is opened again.
    package var isFailed = false

    package init() {}
}

package final class DisposableCache: Sendable {
    private struct State {
        var environment: Environment?
        var generations: Generations
        var isFailed = false
    }

    /// Which of the two databases is current, and about how many octets each holds.
    private struct Generations {
        var current = 0
        var octets = [0, 0]
    }

    private let directory: String
    private let octetsMax: Int
    private let header: String
    private let databases: [Database]
    private let state: Mutex<State>
    /// Held by the one thread that writes.
    private let writing = Mutex<Void>(())
    private let hits = Atomic<UInt64>(0)
    private let misses = Atomic<UInt64>(0)
    private let written = Atomic<UInt64>(0)

    /// Opens the cache in `directory`, which is made, or emptied when what it holds cannot be used.
    /// - Parameters:
    ///   - version: of the rows' content; another one empties the cache.
    ///   - octetsMax: about what it may take on disk.
    package init(_ directory: String, version: UInt32, octetsMax: Int) throws(StoreError) {
        self.directory = directory
        self.octetsMax = max(octetsMax, CacheLimits.octetsMin)
        header = "letterlog cache 1 \(version)"
        let generations = Self.takeMark(directory, header)
        // A file never shrinks: one from a time of more room is thrown away.
        if generations == nil || Self.fileOctets(directory) > self.octetsMax * 2 + CacheLimits.mapReserveOctets {
            try Self.empty(directory)
        }
        do {
            // Pages of an emptied generation come back only when no reader sees them, so there is room for both twice.
            let environment = try Environment(
                directory: directory,
                options: .init(
                    mapBytes: self.octetsMax * 2 + CacheLimits.mapReserveOctets, databasesMax: 2, noSync: true))
            databases = try ["a", "b"].map { try environment.openDatabase($0, create: true) }
            state = Mutex(State(environment: environment, generations: generations ?? Generations()))
        } catch {
            throw .failed("\(directory): \(error)")
        }
    }

    /// Removes a cache that no one has open.
    package static func empty(_ directory: String) throws(StoreError) {
        for name in ["CLEAN", "data.mdb", "lock.mdb"] {
            guard unlink(directory + "/" + name) == 0 || errno == ENOENT else {
                throw .unusable("\(directory)/\(name): \(String(cString: strerror(errno)))")
            }
        }
    }

    // MARK: Reading

    package struct Row: Sendable {
        package var bytes: [UInt8]
        /// In the older generation: put it again to keep it.
        package var isAging: Bool
    }

    /// The rows of these keys, in one snapshot; nil for those that are not there.
    package func rows(_ keys: [CacheKey]) -> [Row?] {
        let (environment, current) = state.withLock { state in
            (state.isFailed ? nil : state.environment, state.generations.current)
        }
        var rows = [Row?](repeating: nil, count: keys.count)
        guard let environment else { return rows }
        do {
            try environment.read { transaction in
                for (index, key) in keys.enumerated() {
                    rows[index] = try key.withBytes { key in
                        if let bytes = try transaction.get(databases[current], key, { [UInt8]($0) }) {
                            return Row(bytes: bytes, isAging: false)
                        }
                        return try transaction.get(databases[1 - current], key) {
                            Row(bytes: [UInt8]($0), isAging: true)
                        }
                    }
                }
            }
        } catch {
            fail(error)
            return [Row?](repeating: nil, count: keys.count)
        }
        let found = UInt64(rows.count { $0 != nil })
        hits.add(found, ordering: .relaxed)
        misses.add(UInt64(keys.count) - found, ordering: .relaxed)
        return rows
    }

    // MARK: Writing

    /// Puts rows, replacing those that are there. Rows over `CacheLimits.rowOctetsMax` are left out.
    package func put(_ rows: [(key: CacheKey, bytes: [UInt8])]) {
        let rows = rows.filter { $0.bytes.count <= CacheLimits.rowOctetsMax }
        guard !rows.isEmpty else { return }
        write { environment, generations in
            let octets = rows.reduce(0) { $0 + Self.octets(of: $1.bytes.count) }
            if generations.octets[generations.current] + octets > octetsMax / 2 {
                // In a transaction of its own: what it frees can be used by the next.
                let next = 1 - generations.current
                try environment.write { try $0.drop(databases[next], delete: false) }
                generations.current = next
                generations.octets[next] = 0
            }
            let current = databases[generations.current]
            try environment.write { transaction in
                for row in rows {
                    try row.key.withBytes { key in
                        try row.bytes.withUnsafeBytes { try transaction.put(current, key, $0) }
                    }
                }
            }
            generations.octets[generations.current] += octets
            written.add(UInt64(rows.count), ordering: .relaxed)
        }
    }

    /// Removes every row of an account.
    package func remove(_ account: AccountID) {
        let start = CacheKey(account, EmailID(0), kind: 0).withBytes { [UInt8]($0) }
        let end =
            account.rawValue == .max
            ? nil : CacheKey(AccountID(account.rawValue + 1), EmailID(0), kind: 0).withBytes { [UInt8]($0) }
        write { environment, _ in
            for database in databases {
                let limit = CacheLimits.removedPerTransactionMax
                while try environment.write({ try $0.deleteRange(database, from: start, to: end, limit: limit) })
                    == limit
                {}
            }
        }
    }

    /// Removes every row.
    package func removeAll() {
        write { environment, generations in
            for database in databases { try environment.write { try $0.drop(database, delete: false) } }
            generations = Generations()
        }
    }

    private func write(_ body: (Environment, inout Generations) throws -> Void) {
        writing.withLock { _ in
            let (environment, before) = state.withLock { ($0.isFailed ? nil : $0.environment, $0.generations) }
            guard let environment else { return }
            var generations = before
            do {
                try body(environment, &generations)
                state.withLock { $0.generations = generations }
            } catch {
                fail(error)
            }
        }
    }

    /// About what a row takes: long ones have pages of their own.
    private static func octets(of count: Int) -> Int {
        count > CacheLimits.leafOctetsMax ? (count + 16 + 4095) / 4096 * 4096 : (CacheKey.octets + count + 24) * 3 / 2
    }

    private func fail(_ error: any Error) {
        let error = error as? LMDBError
        state.withLock { state in
            if error?.isMapFull == true {
                // Readers hold what was emptied: the rows are not kept, and the next put empties again.
                state.generations.octets[state.generations.current] = octetsMax
            } else if error?.isReadersFull != true {
                state.isFailed = true
            }
        }
    }

    package var statistics: CacheStatistics {
        var statistics = CacheStatistics()
        (statistics.octets, statistics.isFailed) = state.withLock { ($0.generations.octets.reduce(0, +), $0.isFailed) }
        statistics.octetsMax = octetsMax
        statistics.hits = hits.load(ordering: .relaxed)
        statistics.misses = misses.load(ordering: .relaxed)
        statistics.rowsWritten = written.load(ordering: .relaxed)
        return statistics
    }

    // MARK: The clean end

    /// Flushes and marks the cache as whole. It answers nothing afterwards.
    package func close() {
        writing.withLock { _ in
            let (environment, generations) = state.withLock { state in
                defer { state.environment = nil }
                return (state.isFailed ? nil : state.environment, state.generations)
            }
            guard let environment, (try? environment.flush()) != nil else { return }
            let octets = generations.octets
            Self.writeMark(directory, "\(header) \(generations.current) \(octets[0]) \(octets[1])\n")
        }
    }

    /// Reads the mark and removes it, also from stable storage; nil when there is none of ours.
    private static func takeMark(_ directory: String, _ header: String) -> Generations? {
        let path = directory + "/CLEAN"
        guard let file = fopen(path, "re") else { return nil }
        var line = [CChar](repeating: 0, count: 256)
        let isRead = fgets(&line, Int32(line.count), file) != nil
        fclose(file)
        guard unlink(path) == 0, syncDirectory(directory), isRead else { return nil }
        let text = String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard text.hasPrefix(header + " ") else { return nil }
        let numbers = text.dropFirst(header.count + 1).split(separator: " ").compactMap { Int($0) }
        guard numbers.count == 3, (0...1).contains(numbers[0]), numbers[1] >= 0, numbers[2] >= 0 else { return nil }
        return Generations(current: numbers[0], octets: [numbers[1], numbers[2]])
    }

    private static func fileOctets(_ directory: String) -> Int {
        var status = stat()
        return stat(directory + "/data.mdb", &status) == 0 ? Int(status.st_size) : 0
    }

    private static func writeMark(_ directory: String, _ line: String) {
        let path = directory + "/CLEAN"
        guard let file = fopen(path, "we") else { return }
        let isWritten = fputs(line, file) >= 0 && fflush(file) == 0 && fsync(fileno(file)) == 0
        fclose(file)
        if !isWritten { unlink(path) }
        _ = syncDirectory(directory)
    }

    private static func syncDirectory(_ path: String) -> Bool {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { Glibc.close(descriptor) }
        return fsync(descriptor) == 0
    }
}

/// Limits of a disposable cache.
package enum CacheLimits {
    /// The least that one is given.
    package static let octetsMin = 1 << 20
    /// A longer row is not kept.
    package static let rowOctetsMax = 1 << 16
    /// Octets of a row that still lies beside others on a page.
    static let leafOctetsMax = 1_900
    /// Room beyond twice that of the rows, for what transactions need.
    static let mapReserveOctets = 8 << 20
    /// Rows removed by one transaction.
    static let removedPerTransactionMax = 10_000
}
