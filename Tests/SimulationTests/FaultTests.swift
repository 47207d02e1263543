// The simulator is worth what it finds: each fault put in must fail a seed, and shrink to something short.
import EventStore
import MailCore
import MailTypes
import Testing

@Suite struct FaultTests {
    static let seedsMax: UInt64 = 200

    @Test(arguments: Spoiling.allCases) func aSpoiledFoldIsFound(_ spoiling: Spoiling) throws {
        let runner = Runner { MemoryDisk { SpoiledEditor($0, spoiling) } }
        let seed = (0..<Self.seedsMax).first { runner.failure($0, generate(seed: $0, steps: 60)) != nil }
        let found = try #require(seed, "no seed below \(Self.seedsMax) found \(spoiling)")
        let failed = try #require(runner.run(found))
        #expect(failed.steps.count < 20, "\(failed.report)")
        #expect(failed.report.contains("seed \(found)"))
    }

    @Test func aCommitOnLMDBThatIsNotMadeIsFound() {
        let runner = Runner {
            let disk = try LocalDisk(unfoldedRowsMax: 20)
            _ = disk.failNextCommit(.forgotten)
            return disk
        }
        #expect(runner.failure(1, generate(seed: 1, steps: 60)) != nil)
    }

    @Test func aStoreThatLosesAnAcknowledgedBatchIsFound() {
        let runner = Runner {
            let disk = LyingDisk()
            disk.lieOnce()
            return disk
        }
        #expect(runner.failure(1, generate(seed: 1, steps: 60)) != nil)
    }
}
