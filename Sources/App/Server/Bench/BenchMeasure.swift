import EventStore
import Foundation
import Glibc
import MailEngine
import Synchronization

/// What was counted between two moments of a bench.
struct BenchMeasure {
    private let store: BenchStore
    private let start = ContinuousClock.now
    private let processor: Double
    private let statistics: EngineStatistics
    private let segmentOctets: UInt64
    private let written: UInt64

    init(_ store: BenchStore) {
        self.store = store
        processor = Self.processorSeconds
        statistics = store.engine.statistics
        segmentOctets = statistics.store.bodyBytesStaged
        written = Self.octetsWritten
    }

    /// The figures for `operations` of a kind.
    func finish(_ operations: Int, latencies: [Double] = []) -> [(String, JSONValue)] {
        let seconds = max(1e-9, (ContinuousClock.now - start).seconds)
        let now = store.engine.statistics
        let batches = now.batches - statistics.batches
        let each = Double(max(1, operations))
        let database = Double(now.store.databaseBytes) - Double(statistics.store.databaseBytes)
        let histogram = zip(now.batchSizes, statistics.batchSizes).map { $0 - $1 }
        let written = Double(Self.octetsWritten - written)
        let bodies = Double(now.store.bodyBytesStaged - segmentOctets)
        // What went to disks beside the bodies, in pages of the database.
        let pages = max(0, written - bodies) / 4096
        var fields: [(String, JSONValue)] = [
            ("operations", .count(operations)),
            ("seconds", .number(seconds)),
            ("per_second", .number(each / seconds)),
            ("cpu_us_per_operation", .number((Self.processorSeconds - processor) * 1e6 / each)),
            ("batches", .count(batches)),
            ("batch_mean", .number(each / Double(max(1, batches)))),
            ("batch_histogram", .array(Self.trimmed(histogram).map { .count($0) })),
            ("pages_per_batch", .number(pages / Double(max(1, batches)))),
            ("database_octets_per_operation", .number(database / each)),
            ("body_octets_per_operation", .number(bodies / each)),
            ("written_octets_per_operation", .number(written / each)),
        ]
        if !latencies.isEmpty {
            let sorted = latencies.sorted()
            fields.append(("p50_ms", .number(sorted[sorted.count / 2] * 1000)))
            fields.append(("p99_ms", .number(sorted[min(sorted.count - 1, sorted.count * 99 / 100)] * 1000)))
        }
        return fields
    }

    private static func trimmed(_ histogram: [Int]) -> [Int] {
        Array(histogram.prefix((histogram.lastIndex { $0 > 0 } ?? 0) + 1))
    }

    /// Of the whole process, producers included.
    private static var processorSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Octets this process had written to disks, as the kernel counts them.
    private static var octetsWritten: UInt64 {
        guard let text = try? String(contentsOfFile: "/proc/self/io", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("write_bytes:") })
        else { return 0 }
        return UInt64(line.split(separator: " ").last ?? "0") ?? 0
    }
}

/// Latencies gathered by several threads.
final class LatencyLog: Sendable {
    private let seconds = Mutex<[Double]>([])
    var all: [Double] { seconds.withLock { $0 } }
    func add(_ duration: Duration) { seconds.withLock { $0.append(duration.seconds) } }
}
