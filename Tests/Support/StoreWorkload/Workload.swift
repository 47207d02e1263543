// A seeded load of everything that mail can do, from several producers at once, so that batches form. The choices come
// from the seed; what they meet depends on how the producers interleave, and the journal says what became of them.
import EventStore
import Glibc
import MailCore
import MailEngine
import MailTypes

/// What a run needs to know; each is `name=value` on the command line.
struct WorkloadSettings {
    var seed: UInt64 = 1
    /// Requests per producer.
    var requests = 40
    var producers = 4
    var accounts = 3
    var killAfter = 0
    var segmentOctets = 256 << 10
    var ballastOctets = 0
    /// Small, so that the database file is extended often and images stay small.
    var growthOctets = 1 << 20
    var stepOctets = 256 << 10
    var softFreeOctets: UInt64 = 0
    var hardFreeOctets: UInt64 = 0
    /// One body in so many is over the spool's threshold; 0 for none.
    var largeEvery = 60
    var bodyOctetsMax = 20_000
    /// Milliseconds to wait after a full disk before the next request.
    var fullPause: UInt32 = 0
    /// Only deletions and collections: what must still be possible on a full disk.
    var deletesOnly = 0
    /// Rows that wait for a fold: some ten batches. 1 folds every batch, a large number none.
    var foldRows = 150
    /// Ends without closing, so that the rows that wait are left to the next open.
    var leaveTail = 0

    mutating func set(_ text: String) -> Bool {
        let parts = text.split(separator: "=")
        guard parts.count == 2, let value = Int(parts[1]) else { return false }
        switch parts[0] {
        case "seed": seed = UInt64(value)
        case "requests": requests = value
        case "producers": producers = value
        case "accounts": accounts = value
        case "kill-after": killAfter = value
        case "segment": segmentOctets = value
        case "ballast": ballastOctets = value
        case "growth": growthOctets = value
        case "step": stepOctets = value
        case "soft": softFreeOctets = UInt64(value)
        case "hard": hardFreeOctets = UInt64(value)
        case "large-every": largeEvery = value
        case "body-max": bodyOctetsMax = value
        case "full-pause": fullPause = UInt32(value)
        case "deletes-only": deletesOnly = value
        case "fold-rows": foldRows = value
        case "leave-tail": leaveTail = value
        default: return false
        }
        return true
    }

    var storeOptions: LMDBStoreOptions {
        var options = LMDBStoreOptions()
        options.segments.segmentOctets = segmentOctets
        options.segments.ballastOctets = ballastOctets
        options.limits.batchGrowthOctetsMax = growthOctets
        options.limits.allocationStepOctets = stepOctets
        options.limits.unfoldedRowsMax = foldRows
        // Not by the clock, so that a slow machine does not fold more often.
        options.limits.unfoldedMillisecondsMax = 3_600_000
        return options
    }
}

enum Workload {
    static func main(directory: String, journal: String, settings words: [String]) async {
        var settings = WorkloadSettings()
        for word in words where !settings.set(word) {
            say("unknown setting \(word)", on: 2)
            exit(2)
        }
        let writer = JournalWriter(journal, killAfter: settings.killAfter)
        let engine: MailEngine
        do throws(StoreError) {
            if access(directory + "/STORE", F_OK) != 0 {
                try LMDBStore.create(directory, options: settings.storeOptions)
            }
            let store = try LMDBStore(directory, options: settings.storeOptions)
            var options = EngineOptions(spoolDirectory: directory)
            options.softFreeOctets = settings.softFreeOctets
            options.hardFreeOctets = settings.hardFreeOctets
            if settings.leaveTail > 0 { options.settleNanoseconds = 3_600_000_000_000 }
            engine = MailEngine(store: store, options: options) { wallClock() }
        } catch {
            say("open: \(error)", on: 2)
            exit(4)
        }
        say("open")
        var first = Producer(engine, writer, settings, number: 0)
        await first.prepare()
        let load = settings
        await withTaskGroup(of: Void.self) { group in
            for number in 1...load.producers {
                group.addTask {
                    var producer = Producer(engine, writer, load, number: number)
                    await producer.run()
                }
            }
        }
        let statistics = engine.statistics
        if settings.leaveTail == 0 { engine.close() }
        say("unfolded \(statistics.store.unfoldedRows) folds \(statistics.store.folds)")
        say("batches \(statistics.batches) requests \(statistics.requests) events \(statistics.events)")
        say("faults \(statistics.faults)")
        if let reason = statistics.stopped {
            say("stopped: \(reason)")
            exit(3)
        }
    }

    static func wallClock() -> Timestamp {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Timestamp(rawValue: Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000)
    }
}
