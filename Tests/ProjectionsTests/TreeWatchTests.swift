// Two-way accounts that are watched: a quiet tree is not looked at, a touched one is, and where nothing can be watched or
// more happened than was kept, the looks are as without.
import Glibc
import MailCore
import MailTypes
import Projections
import Testing

@Suite("Maildir two-way, watching")
final class TreeWatchTests: TwoWayTree {
    /// Looks as the projector does, until quiet.
    private func looks(_ projection: MaildirProjection) throws {
        for _ in 0..<100 {
            try projection.catchUp()
            if try projection.importChanges(), try projection.importStatus(site.account).isQuiet { return }
            usleep(2000)
        }
        Issue.record("not quiet")
    }

    private func isIdle(_ projection: MaildirProjection) throws -> Bool {
        try looks(projection)
        let before = projection.looks
        for _ in 0..<5 { _ = try projection.importChanges() }
        return projection.looks == before
    }

    @Test("a quiet tree is not looked at, and each kind of change in it is seen")
    func changes() throws {
        try site.create("Box")
        try site.deliver("one", flags: .seen)
        #expect(try isIdle(projection))
        // Two parts of two folders, and the account's directory.
        #expect(projection.importCounts.watches == 5)
        try letters("one", "FS")
        try looks(projection)
        #expect(try site.mail() == ["one|FS"])
        try site.put("two", ".Box/new/1.two")
        try looks(projection)
        #expect(try site.mail("Box") == ["two|"])
        remove(site.home + "/" + (try site.file("one")))
        try looks(projection)
        #expect(try site.mail() == [])
        for part in ["", "/cur", "/new", "/tmp"] { mkdir(site.home + "/.Made" + part, 0o700) }
        try looks(projection)
        #expect(try site.has("Made"))
        try site.put("three", ".Made/cur/3.three:2,S")
        try looks(projection)
        #expect(try site.mail("Made") == ["three|S"])
        site.move(".Made", to: ".Other")
        try looks(projection)
        #expect(try site.mail("Other") == ["three|S"])
        try site.put("four", ".Other/new/4.four")
        try looks(projection)
        #expect(try site.mail("Other").count == 2)
        #expect(projection.importCounts.watches == 7)
        #expect(try isIdle(projection))
        #expect(try site.differences(projection) == [])
    }

    @Test("a file that was empty when it came is taken when it is written")
    func filledLater() throws {
        try site.put("", "new/1.later")
        #expect(try isIdle(projection))
        try site.put("later", "new/1.later")
        try looks(projection)
        #expect(try site.mail() == ["later|"])
    }

    @Test("a directory that was exchanged for another is watched in its place")
    func exchanged() throws {
        try site.create("Box")
        #expect(try isIdle(projection))
        site.move(".Box/new", to: "elsewhere")
        mkdir(site.home + "/.Box/new", 0o700)
        try looks(projection)
        #expect(try isIdle(projection))
        try site.put("one", ".Box/new/1.one")
        try looks(projection)
        #expect(try site.mail("Box") == ["one|"])
        try site.put("two", "elsewhere/2.two")
        #expect(try isIdle(projection))
        #expect(try site.mail("Box") == ["one|"])
    }

    @Test("without a watch the looks go on as they did", arguments: [0, 3])
    func noWatches(max: Int) throws {
        let projection = site.projection(watchesMax: max)
        try site.settled(projection)
        try site.create("Box")
        try looks(projection)
        #expect(projection.importCounts.watches == 0)
        let before = projection.looks
        _ = try projection.importChanges()
        #expect(projection.looks > before)
        try site.put("one", ".Box/new/1.one")
        try looks(projection)
        #expect(try site.mail("Box") == ["one|"])
    }

    @Test("more than the kernel keeps is a reason to look at everything")
    func overflow() throws {
        try site.create("Box")
        try site.deliver("one", flags: .seen)
        #expect(try isIdle(projection))
        let queue = Int(try #require(contents("/proc/sys/fs/inotify/max_queued_events")).dropLast()) ?? 0
        try site.put("x", "cur/.hidden")
        for number in 0...queue / 2 {
            let (old, new) = number % 2 == 0 ? ("hidden", "other") : ("other", "hidden")
            site.move("cur/." + old, to: "cur/." + new)
        }
        // What happened behind the overflow was not told.
        try site.put("late", ".Box/new/1.late")
        try looks(projection)
        #expect(try site.mail("Box") == ["late|"])
        #expect(try isIdle(projection))
    }

    @Test("watches and gauges end with the account's two ways")
    func switchedBack() throws {
        for number in 1...20 { try site.deliver("m\(number)", flags: .seen) }
        try site.run(.setQuota(Quota(bytes: 200)))
        try settle()
        for name in names(site.home + "/cur") { remove(site.home + "/cur/" + name) }
        try site.put(String(repeating: "too large ", count: 30), "new/1.large")
        try looks(projection)
        #expect(projection.importCounts.quarantined == 20)
        #expect(projection.importCounts.refused == 1)
        #expect(projection.importCounts.watches == 3)
        try site.setMode(.oneWay)
        try site.settled(projection)
        let counts = projection.importCounts
        #expect(counts.accounts == 0 && counts.quarantined == 0 && counts.refused == 0 && counts.watches == 0)
    }

    @Test("what waits for a word is no drift, and is told by itself")
    func waiting() throws {
        for number in 1...20 { try site.deliver("m\(number)", flags: .seen) }
        try site.deliver("kept")
        try settle()
        // One has a number of mbsync's in its name.
        let name = try site.file("m7")
        site.move(name, to: name.replacing(":2,", with: ",U=9:2,"))
        try settle()
        for number in 1...20 { remove(site.home + "/" + (try site.file("m\(number)"))) }
        try looks(projection)
        let report = try projection.check()
        #expect(report.differences == [])
        #expect(report.waiting.count == 20)
        #expect(try #require(report.waiting.first).description.contains("maildir confirm"))
        // Another loss beside it is one.
        remove(site.home + "/dovecot-uidlist")
        #expect(try projection.check().differences.map(\.kind) == [.wrongList])
        #expect(Glibc.rename(site.home, site.root + "/elsewhere") == 0)
        try projection.settleImports()
        let gone = try projection.check()
        #expect(gone.differences == [])
        #expect(gone.waiting.count == 1)
    }

    enum Loss: CaseIterable { case files, folder, tree }

    @Test(
        "an account that waits for a word is looked at when something comes, and not before", arguments: Loss.allCases)
    func idleQuarantine(_ loss: Loss) throws {
        try site.create("Box")
        for number in 1...20 { try site.deliver("m\(number)", to: "Box", flags: .seen) }
        try site.deliver("other", flags: .seen)
        try settle()
        #expect(try isIdle(projection))
        let elsewhere = site.directory.path + "/elsewhere"
        let lost = loss == .files ? "/.Box/cur" : loss == .folder ? "/.Box" : ""
        if loss == .files {
            mkdir(elsewhere, 0o700)
            for name in names(site.home + lost) {
                #expect(Glibc.rename("\(site.home)\(lost)/\(name)", "\(elsewhere)/\(name)") == 0)
            }
        } else {
            #expect(Glibc.rename(site.home + lost, elsewhere) == 0)
        }
        #expect(try (0..<5).contains { _ in try isIdle(projection) })
        #expect(projection.importCounts.quarantined == (loss == .tree ? 21 : 20))
        if loss == .files {
            for name in names(elsewhere) {
                #expect(Glibc.rename("\(elsewhere)/\(name)", "\(site.home)\(lost)/\(name)") == 0)
            }
        } else {
            #expect(Glibc.rename(elsewhere, site.home + lost) == 0)
        }
        // Nothing tells of a whole tree that is back, but for the next turn or who asks.
        if loss == .tree { try projection.settleImports() }
        #expect(try (0..<5).contains { _ in try isIdle(projection) })
        #expect(projection.importCounts.quarantined == 0)
        #expect(projection.importCounts.watches == 5)
        // It is watched as before.
        try site.put("late", ".Box/new/1.late")
        try looks(projection)
        #expect(try site.mail("Box").count == 21)
        #expect(try site.differences(projection) == [])
    }

    @Test("what is left alone is told once, and again when it is another")
    func told() throws {
        var lines: [String] = []
        let projection = site.projection(report: { lines.append($0) })
        try site.settled(projection)
        for part in ["", "/cur", "/new"] { mkdir(site.home + "/.a..b" + part, 0o700) }
        try site.run(.setQuota(Quota(bytes: 10)))
        try site.put("longer than ten", "new/1.big")
        for _ in 0..<3 { try projection.settleImports() }
        #expect(lines.count == 2)
        for part in ["/cur", "/new", ""] { rmdir(site.home + "/.a..b" + part) }
        try projection.settleImports()
        for part in ["", "/cur", "/new"] { mkdir(site.home + "/.a..b" + part, 0o700) }
        for _ in 0..<3 { try projection.settleImports() }
        #expect(lines.count == 3)
    }
}
