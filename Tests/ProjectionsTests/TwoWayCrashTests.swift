// Crashes at each named step of the import: what another program did in the tree is in the log once, and in the tree as the
// log has it, wherever the projection was stopped.
import EventStore
import Glibc
import MailCore
import MailEngine
import MailTypes
import Projections
import Testing

@Suite("Maildir two-way, crashes")
struct TwoWayCrashTests {
    /// One thing of each kind by another program, and some over IMAP.
    private static func story(_ site: Site, _ text: (String) throws -> String) throws {
        try site.put("crlf\r\n", "new/1.crlf")
        try site.put("lf\n", "cur/2.lf,U=9:2,FS")
        for part in ["", "/cur", "/new", "/tmp"] { mkdir(site.home + "/.Made" + part, 0o700) }
        try site.put("made\r\n", ".Made/new/3.made")
        let moved = try text("moved")
        site.move(moved, to: ".Box/" + moved)
        let copied = try text("copied")
        try site.put("copied", ".Box/" + copied)
        remove(site.home + "/" + (try text("deleted")))
        let flagged = try text("flagged")
        site.move(flagged, to: flagged.replacing("new/", with: "cur/") + (flagged.hasPrefix("new/") ? ":2,RS" : "RS"))
        try site.flag([4], .add, .flagged)
        try site.deliver("over IMAP")
    }

    private struct Told {
        var steps: [MaildirStep] = []
        var crashes = 0
        var mail: [String: [String]] = [:]
    }

    private static func tell(crashAt stop: Int?) throws -> Told {
        final class Counter {
            var steps: [MaildirStep] = []
            var isArmed = false
        }
        let site = try Site()
        try site.create("Box")
        try site.setMode(.twoWay)
        for text in ["moved", "copied", "deleted", "flagged"] { try site.deliver(text) }
        try site.settled()
        let counter = Counter()
        let begin = {
            site.projection { step in
                guard counter.isArmed else { return }
                counter.steps.append(step)
                if counter.steps.count - 1 == stop { throw Crash() }
            }
        }
        var projection = begin()
        try projection.settleImports()
        try story(site) { try site.file($0) }
        counter.isArmed = true
        var told = Told()
        for _ in 0..<2 {
            do {
                try projection.settleImports()
                try projection.storeCheckpoint()
            } catch is Crash {
                told.crashes += 1
                projection = begin()
            }
        }
        #expect(try site.differences(projection) == [], "crash at \(stop ?? -1)")
        #expect(try projection.check().foreign == 0, "crash at \(stop ?? -1)")
        for name in ["INBOX", "Box", "Made"] { told.mail[name] = try site.mail(name).sorted() }
        told.steps = counter.steps
        return told
    }

    @Test("a crash at any step loses nothing and doubles nothing")
    func everyStep() throws {
        let whole = try Self.tell(crashAt: nil)
        #expect(
            whole.mail == [
                "INBOX": ["copied|", "crlf\r\n|", "flagged|FRS", "lf\r\n|FS", "over IMAP|"],
                "Box": ["copied|", "moved|"], "Made": ["made\r\n|"],
            ])
        let passed = Set(whole.steps)
        #expect(MaildirStep.twoWay.subtracting([.fileSetAside, .rebuildNoted]).isSubset(of: passed))
        try #require(whole.steps.count > 20)
        for stop in whole.steps.indices {
            let told = try Self.tell(crashAt: stop)
            #expect(told.crashes == 1)
            #expect(told.mail == whole.mail, "crash at \(stop), \(whole.steps[stop])")
        }
    }
}
