// Crashes at every named point: the projection is stopped there and begun anew, as a restarted node would, and the tree
// must end as the state wants it. What the crashed run had not synced is kept here; PowerCutTests take it away.
import EventStore
import MailCore
import MailTypes
import Projections
import Testing

/// Everything that can happen to a tree, in small commits.
private let story: [@Sendable (Site) throws -> Void] = [
    { try $0.deliver("one") },
    { try $0.deliver("two", flags: .seen, keywords: ["$Junk"]) },
    { try $0.create("Archive/2026", subscribed: true) },
    { try $0.deliver("three", to: "Archive/2026") },
    { try $0.flag([1], .add, [.seen, .flagged], keywords: ["$Forwarded"]) },
    {
        try $0.run(
            .copy(
                CopyMessages(source: MailboxID(1), destination: $0.mailbox("Archive"), uids: UIDSet([UID(1), UID(2)]))))
    },
    { try $0.run(.setQuota(Quota(bytes: 100_000))) },
    { try $0.rename("Archive", to: "Old") },
    {
        try $0.run(.move(CopyMessages(source: MailboxID(1), destination: $0.mailbox("Old/2026"), uids: UIDSet(UID(2)))))
    },
    { try $0.deliver("four") },
    { try $0.run(.claimRecent(MailboxID(1), upTo: UID(3))) },
    { try $0.create("Swap") },
    { try $0.deliver("five", to: "Swap") },
    {
        try $0.rename("Swap", to: "Third")
        try $0.rename("Old", to: "Swap")
        try $0.rename("Third", to: "Old")
    },
    { try $0.deliver("six", to: "Old") },
    { try $0.expunge([1]) },
    { try $0.run(.bumpUIDValidity(try $0.mailbox("Swap"))) },
    { try $0.run(.deleteMailbox(try $0.mailbox("Old"))) },
    { site in
        let bob = try site.addAccount("bob@example.test")
        try site.deliver("for bob", in: bob)
        try site.run(.removeAccount, as: bob)
    },
    { try $0.deliver("seven", flags: .deleted) },
    { try $0.run(.expunge(Expunge(mailbox: MailboxID(1), uids: UIDSet(UID(4)), onlyDeleted: true, reason: .pop3))) },
]

/// Tells the story, the projection following each part, with a crash at step number `stop`.
private struct Telling {
    let site: Site
    private(set) var steps: [MaildirStep] = []
    private(set) var crashes = 0

    init(stop: Int?, waits: Bool, slice: Int) throws {
        site = try Site()
        final class Counter {
            var steps: [MaildirStep] = []
            var stop: Int?
        }
        let counter = Counter()
        counter.stop = stop
        let begin = { (site: Site) in
            site.projection(slice: slice) { step in
                counter.steps.append(step)
                if counter.steps.count - 1 == counter.stop { throw Crash() }
            }
        }
        var projection: MaildirProjection? = begin(site)
        for (number, part) in story.enumerated() {
            try part(site)
            do {
                try projection?.catchUp()
                // Not after each part, so that more than the last is done again.
                if number % 3 == 2 { try projection?.storeCheckpoint() }
            } catch is Crash {
                crashes += 1
                // The node comes back at once, or when all is over.
                projection = waits ? nil : begin(site)
            }
        }
        steps = counter.steps
    }
}

@Suite("Maildir projection, crashes")
struct CrashTests {
    /// How many steps the story has when nothing goes wrong.
    private static let steps: [MaildirStep] = (try? Telling(stop: nil, waits: false, slice: 1000).steps) ?? []

    @Test("the story passes every named step")
    func allSteps() {
        let missing = Set(MaildirStep.allCases).subtracting(MaildirStep.twoWay).subtracting(Self.steps)
        #expect(missing == [])
    }

    @Test("the tree is right after a crash at any step", arguments: [false, true])
    func everyStep(waits: Bool) throws {
        try #require(Self.steps.count > 50)
        for stop in stride(from: 0, to: Self.steps.count, by: waits ? 2 : 1) {
            let telling = try Telling(stop: stop, waits: waits, slice: 1000)
            #expect(telling.crashes == 1)
            try expectRight(telling.site, "crash at \(stop), \(Self.steps[stop])")
        }
    }

    @Test("and when every event is a slice of its own", arguments: Array(stride(from: 0, to: 120, by: 7)))
    func smallSlices(stop: Int) throws {
        let telling = try Telling(stop: stop, waits: true, slice: 1)
        try expectRight(telling.site, "crash at \(stop)")
    }

    private func expectRight(_ site: Site, _ place: String) throws {
        let projection = try site.settled()
        #expect(try site.differences(projection) == [], "\(place)")
        let report = try projection.check()
        #expect(report.foreign == 0, "\(place)")
        // A second look changes nothing, and a tree made from nothing is the same but for stale lines of lists.
        var changes = 0
        let second = site.projection { _ in changes += 1 }
        try site.settled(second)
        #expect(changes == 0, "\(place)")
        try second.rebuild()
        let fresh = site.directory.path + "/fresh"
        try site.settled(site.projection(root: fresh))
        #expect(tree(site.root) == tree(fresh), "\(place)")
    }

    /// Names are journaled, contents are not: ext4 and XFS may bring back a file of the right name with nothing in it.
    @Test("files and lists that a power cut emptied after the checkpoint are written again")
    func emptied() throws {
        let site = try Site()
        try site.deliver("old")
        let projection = try site.settled()
        try site.deliver("one")
        try site.create("Box")
        try site.deliver("two", to: "Box", flags: .seen)
        try projection.catchUp()
        let fresh = names(site.home + "/new").filter { $0.contains("U2E") }.map { "/new/" + $0 }
        let inBox = "/.Box/cur/" + names(site.home + "/.Box/cur")[0]
        let lost = fresh + [inBox, "/.Box/dovecot-uidlist", "/dovecot-uidlist"]
        for path in lost { try write("", to: site.home + path) }
        let again = try site.settled()
        #expect(try site.differences(again) == [])
        #expect(tree(site.home).values.filter { ["old", "one", "two"].contains($0) }.count == 3)
    }

    @Test("a failed operation stops at its event and goes on from there")
    func failure() throws {
        let site = try Site()
        try site.deliver("one")
        var isBroken = true
        let projection = site.projection { step in
            if isBroken, step == .temporaryWritten {
                throw MaildirFailure(operation: "write", path: "somewhere", code: 28)
            }
        }
        #expect(throws: MaildirFailure.self) { try projection.catchUp() }
        try site.deliver("two")
        #expect(throws: MaildirFailure.self) { try projection.catchUp() }
        #expect(projection.projected < (try site.engine.read { $0.head }))
        isBroken = false
        try site.settled(projection)
        #expect(names(site.home + "/new").count == 2)
        #expect(try site.differences(projection) == [])
    }

    @Test("a store that went back to an earlier moment, and other host names, make the tree anew")
    func otherNames() throws {
        let site = try Site()
        try site.deliver("one")
        try site.settled()
        let other = MaildirProjection(engine: site.engine, options: MaildirOptions(root: site.root, host: "other"))
        try site.settled(other)
        #expect(names(site.home + "/new").count == 1)
        #expect(names(site.home + "/new")[0].contains(".other,"))
        #expect(try other.check().differences == [])
        try write(
            "letterlog maildir 1\nstore \(String(repeating: "5e", count: 16))\ncursor 99999\nhost other\n",
            to: site.root + "/.letterlog/checkpoint")
        try write("stray", to: site.home + "/cur/1.V1U9E9.other,S=5,W=5:2,S")
        let again = MaildirProjection(engine: site.engine, options: MaildirOptions(root: site.root, host: "other"))
        try site.settled(again)
        #expect(try again.check().differences == [])
    }

    @Test("a tree of another store is not touched")
    func otherStore() throws {
        let site = try Site()
        try site.settled()
        try write(
            "letterlog maildir 1\nstore \(String(repeating: "77", count: 16))\ncursor 1\nhost letterlog\n",
            to: site.root + "/.letterlog/checkpoint")
        let before = tree(site.root)
        try site.deliver("one")
        #expect(throws: MaildirMismatch.self) { try site.projection().catchUp() }
        #expect(tree(site.root) == before)
    }
}
