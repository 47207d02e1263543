import EventStore
import MailCore
import MailTypes
import Testing

@Suite struct SimulationTests {
    static let parts = 8

    /// Each part takes every eighth seed, so that the parts can run beside each other.
    @Test(arguments: 0..<parts) func theStoreInMemoryFollowsTheModel(_ part: Int) {
        let runner = Runner { MemoryDisk() }
        for seed in stride(from: part, to: seedCount(1000), by: Self.parts) {
            guard let failed = runner.run(UInt64(seed)) else { continue }
            Issue.record("\(failed.report)")
            return
        }
    }

    /// From a fold with each batch to none at all.
    static let unfoldedRows = [1, 6, 25, 120, 1_000_000]

    @Test(arguments: unfoldedRows) func theStoreOnLMDBFollowsTheModel(_ rows: Int) {
        let runner = Runner { try LocalDisk(unfoldedRowsMax: rows) }
        for seed in 0..<seedCount(300) / Self.unfoldedRows.count {
            guard let failed = runner.run(UInt64(seed * Self.unfoldedRows.count + rows % 7)) else { continue }
            Issue.record("\(failed.report)")
            return
        }
    }

    @Test func aSeedAlwaysTakesTheSameWay() {
        let first = generate(seed: 7, steps: 50).map(\.description)
        #expect(first == generate(seed: 7, steps: 50).map(\.description))
        #expect(first != generate(seed: 8, steps: 50).map(\.description))
    }

    /// A generator that never reaches something proves nothing about it.
    @Test func theGeneratorReachesEverything() throws {
        var tally: [String: Int] = [:]
        for seed in UInt64(0)..<100 {
            let simulation = Simulation(MemoryDisk())
            try simulation.run(generate(seed: seed, steps: 60), filler: seed % 4 == 0)
            tally.merge(simulation.tally) { $0 + $1 }
        }
        let wanted = [
            "mailboxCreated", "mailboxRenamed", "mailboxDeleted", "subscriptionChanged", "uidValidityBumped",
            "uidNextRaised",
            "keywordDefined", "messageAppended", "flagsChanged", "messagesExpunged", "messagesCopied", "messagesMoved",
            "messageRestored", "messagesCollected", "accountStatusSet", "quotaSet", "noSuchMailbox", "mailboxExists",
            "invalidName", "hasChildren", "inbox", "overQuota", "accountDisabled", "notRestorable", "repeated", "full",
            "lost", "durable", "crash",
        ]
        for name in wanted { #expect(tally[name, default: 0] >= 5, "\(name): \(tally[name, default: 0])") }
    }

    @Test func aFailingListIsShrunkToWhatMatters() {
        let short = shrink(Array(0..<60)) { $0.contains(17) && $0.contains(42) }
        #expect(short == [17, 42])
    }
}
