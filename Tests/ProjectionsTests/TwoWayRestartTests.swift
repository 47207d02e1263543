// Two-way accounts across the end of a node: what was projected and not yet synced is known again on the same boot, and in
// doubt on another.
import EventStore
import Glibc
import MailCore
import MailEngine
import MailTypes
import Projections
import Testing

@Suite("Maildir two-way, restarts")
final class TwoWayRestartTests: TwoWayTree {
    /// A node that was killed: a projection is let go without a checkpoint.
    private func killed(_ between: () throws -> Void = {}) throws {
        try projection.catchUp()
        try between()
    }

    @Test("a deletion before the kill of what came since the checkpoint is a deletion")
    func deletion() throws {
        try killed {
            try site.deliver("one")
            try site.deliver("two")
            try projection.catchUp()
            #expect(projection.isUnsynced)
        }
        remove(site.home + "/" + (try site.file("one")))
        let restarted = site.projection()
        try restarted.settleImports()
        #expect(try site.mail() == ["two|"])
        #expect(site.files().count == 1)
        #expect(try site.differences(restarted) == [])
    }

    @Test("letters that another program took back before the kill are taken back")
    func letters() throws {
        try site.deliver("one", flags: .seen)
        try settle()
        try killed {
            try site.flag([1], .add, [.flagged])
            try projection.catchUp()
        }
        try letters("one", "S")
        let restarted = site.projection()
        try restarted.settleImports()
        #expect(try site.mail() == ["one|S"])
        #expect(try site.differences(restarted) == [])
    }

    @Test("on another boot what came since the checkpoint is in doubt, and is written again", arguments: ["that", nil])
    func anotherBoot(_ boot: String?) throws {
        try killed {
            try site.deliver("one")
            try projection.catchUp()
        }
        remove(site.home + "/" + (try site.file("one")))
        let restarted = site.projection(boot: boot)
        try restarted.settleImports()
        #expect(try site.mail() == ["one|"])
        #expect(site.files().count == 1)
        #expect(try site.differences(restarted) == [])
    }

    /// The name with the letter was in the page cache alone; the event that it made is on the disk.
    @Test("a power cut that takes another program's letter back takes no event back")
    func letterLost() throws {
        try site.deliver("one", flags: .seen)
        try settle()
        let old = try site.file("one")
        try letters("one", "FS")
        try projection.settleImports()
        #expect(try site.mail() == ["one|FS"])
        site.move(try site.file("one"), to: old)
        let restarted = site.projection(boot: "that")
        try restarted.settleImports()
        #expect(try site.mail() == ["one|FS"])
        #expect(try site.differences(restarted) == [])
    }

    @Test("a mark of another store, beyond the log or before the checkpoint counts for nothing")
    func falseMarks() throws {
        let path = site.root + "/.letterlog/reached"
        let mine = try #require(contents(path))
        #expect(mine.hasPrefix("boot this\nletterlog maildir 1\nstore 5e5e"))
        try site.deliver("one")
        try projection.catchUp()
        remove(site.home + "/" + (try site.file("one")))
        let good = try #require(contents(path))
        let head = try site.head.rawValue
        let bad = [
            good.replacing("store 5e", with: "store 77"), good.replacing("cursor \(head)", with: "cursor \(head + 1)"),
            mine, good.replacing("host letterlog", with: "host other"), "boot this\n", "",
            String(good.dropLast(3)),
        ]
        for text in bad {
            try write(text, to: path)
            let restarted = site.projection(report: { _ in })
            try restarted.catchUp()
            #expect(site.files().count == 1, "\(text)")
            remove(site.home + "/" + (try site.file("one")))
        }
        try write(good, to: path)
        try site.projection().settleImports()
        #expect(try site.mail() == [])
    }

    private struct Full: Error {}

    @Test(
        "what a restore has not written yet when it is broken off is no deletion",
        arguments: [false, true], [MaildirStep.rebuildNoted, .filePlaced, .temporaryWritten, .synced])
    func brokenRestore(isKilled: Bool, step: MaildirStep) throws {
        for number in 1...20 { try site.deliver("m\(number)", flags: .seen) }
        try settle()
        for name in names(site.home + "/cur") { remove(site.home + "/cur/" + name) }
        try settleWaiting()
        var passed = 0
        var isFull = true
        let full = site.projection { reached in
            passed += reached == step ? 1 : 0
            // With most of it written, what is missing is too little to ask.
            if isFull, reached == step, passed == (step == .filePlaced || step == .temporaryWritten ? 15 : 1) {
                throw isKilled ? Full() : MaildirFailure(operation: "write", path: "somewhere", code: ENOSPC)
            }
        }
        try full.catchUp()
        #expect(throws: (any Error).self) {
            try full.restore(self.site.account)
            try full.storeCheckpoint()
        }
        isFull = false
        let next = isKilled ? site.projection() : full
        for _ in 0..<5 {
            try next.catchUp()
            _ = try next.importChanges()
        }
        try next.settleImports()
        #expect(try site.mail().count == 20)
        #expect(site.files().count == 20)
        #expect(try site.differences(next) == [])
        try next.storeCheckpoint()
        #expect(names(site.root + "/.letterlog/rebuilding") == [])
        // From now on what goes was deleted.
        remove(site.home + "/" + (try site.file("m7")))
        let restarted = site.projection()
        try restarted.settleImports()
        #expect(try site.mail().count == 19)
    }

    /// A restore that is killed when this many files are written; its note stays.
    private func breakOffRestore(files count: Int) throws {
        var written = 0
        let doomed = site.projection { step in
            written += step == .filePlaced ? 1 : 0
            if written == count { throw Full() }
        }
        try doomed.catchUp()
        #expect(throws: Full.self) { try doomed.restore(self.site.account) }
        #expect(names(site.root + "/.letterlog/rebuilding") == ["\(site.account.rawValue)"])
    }

    @Test(
        "a broken restore is done once, with or without a checkpoint: what others do in the tree later holds",
        arguments: [false, true])
    func restoreDoneOnce(hasCheckpoint: Bool) throws {
        for number in 1...20 { try site.deliver("m\(number)", flags: .seen) }
        try settle()
        for name in names(site.home + "/cur") { remove(site.home + "/cur/" + name) }
        try breakOffRestore(files: 15)
        if !hasCheckpoint { remove(site.root + "/.letterlog/checkpoint") }
        let next = site.projection()
        try next.settleImports()
        try next.storeCheckpoint()
        #expect(site.files().count == 20)
        // The node is down.
        remove(site.home + "/" + (try site.file("m7")))
        try letters("m8", "FS")
        let restarted = site.projection()
        try restarted.settleImports()
        #expect(try site.mail().count == 19)
        #expect(try site.mail().contains("m8|FS"))
        #expect(try site.differences(restarted) == [])
        try restarted.storeCheckpoint()
        #expect(names(site.root + "/.letterlog/rebuilding") == [])
    }

    @Test("a checkpoint beyond the log, of a store that went back, is not believed when the log has grown to it")
    func staleCheckpoint() throws {
        for number in 1...5 { try site.deliver("m\(number)", flags: .seen) }
        try settle()
        for name in names(site.home + "/cur") { remove(site.home + "/cur/" + name) }
        let path = site.root + "/.letterlog/checkpoint"
        let head = try site.head.rawValue
        let good = try #require(contents(path))
        #expect(good.contains("cursor \(head)\n"))
        try write(good.replacing("cursor \(head)\n", with: "cursor \(head + 1)\n"), to: path)
        // The tree is made anew from the state, and that is broken off.
        var written = 0
        let doomed = site.projection { step in
            written += step == .filePlaced ? 1 : 0
            if written == 2 { throw Full() }
        }
        #expect(throws: Full.self) { try doomed.catchUp() }
        for number in 6...7 { try site.deliver("m\(number)", flags: .seen) }
        let restarted = site.projection()
        try restarted.settleImports()
        #expect(try site.mail().count == 7)
        #expect(site.files().count == 7)
        #expect(try site.differences(restarted) == [])
    }

    @Test("a rebuild whose sync failed is made and synced again before its note goes", arguments: [false, true])
    func failedSync(isAll: Bool) throws {
        for number in 1...20 { try site.deliver("m\(number)", flags: .seen) }
        try settle()
        var isFailing = false
        let projection = site.projection { step in
            if isFailing, step == .synced { throw MaildirFailure(operation: "syncfs", path: "somewhere", code: EIO) }
        }
        try projection.settleImports()
        for name in names(site.home + "/cur") { remove(site.home + "/cur/" + name) }
        isFailing = true
        try projection.rebuild(isAll ? nil : site.account)
        #expect(throws: MaildirFailure.self) { try projection.storeCheckpoint() }
        isFailing = false
        // The page cache has it all, and the disk may have nothing of it.
        #expect(site.files().count == 20)
        let before = projection.filesWritten
        try projection.catchUp()
        #expect(projection.filesWritten - before == 20)
        #expect(names(site.root + "/.letterlog/rebuilding") == [isAll ? "all" : "\(site.account.rawValue)"])
        try projection.settleImports()
        #expect(try site.mail().count == 20)
        #expect(try site.differences(projection) == [])
        try projection.storeCheckpoint()
        #expect(names(site.root + "/.letterlog/rebuilding") == [])
        #expect(names(site.root + "/.letterlog/aside") == [])
        // What is on the disk is not written again.
        try projection.rebuild(site.account)
        #expect(projection.filesWritten - before == 20)
    }

    @Test("what a look has half-written when it is broken off goes at the next start")
    func halfWritten() throws {
        try site.deliver("one", flags: .seen)
        try settle()
        let doomed = site.projection { if $0 == .temporaryWritten { throw Full() } }
        try doomed.settleImports()
        remove(site.home + "/" + (try site.file("one")))
        // Deleted there and changed here: it is written again.
        try site.flag([1], .add, .flagged)
        #expect(throws: Full.self) { try doomed.settleImports() }
        #expect(!names(site.home + "/tmp").isEmpty)
        try doomed.storeCheckpoint()
        let restarted = site.projection()
        _ = try restarted.step()
        try site.expunge([1])
        try restarted.settleImports()
        #expect(try site.mail() == [])
        #expect(try site.differences(restarted) == [])
    }

    @Test("folders that go or are renamed while nobody follows are seen at the next start")
    func folders() throws {
        for name in ["Gone", "Old"] {
            try site.create(name)
            try site.deliver("in \(name)", to: name, flags: .seen)
        }
        try settle()
        for (path, _) in tree(site.home + "/.Gone").sorted(by: { $0.key > $1.key }) {
            remove(site.home + "/.Gone/" + (path.hasSuffix("/") ? String(path.dropLast()) : path))
        }
        #expect(rmdir(site.home + "/.Gone") == 0)
        site.move(".Old", to: ".New")
        // What a client does meanwhile brings neither back.
        try site.deliver("in INBOX")
        let restarted = site.projection()
        try restarted.settleImports()
        #expect(try !site.has("Gone"))
        #expect(try !site.has("Old"))
        #expect(try site.mail("New") == ["in Old|S"])
        #expect(try site.differences(restarted) == [])
    }

    @Test("a switch to both ways that was not projected yet makes no deletions of what the tree never had")
    func switchedWhileDown() throws {
        try site.setMode(.off)
        try site.settled(projection)
        for number in 1...5 { try site.deliver("m\(number)", flags: .seen) }
        try site.settled(projection)
        #expect(site.files() == [])
        try site.setMode(.twoWay)
        let restarted = site.projection(slice: 1)
        // The looks may come before the log was followed that far.
        _ = try restarted.step()
        for _ in 0..<3 { _ = try restarted.importChanges() }
        try restarted.settleImports()
        #expect(try site.mail().count == 5)
        #expect(site.files().count == 5)
        #expect(try site.differences(restarted) == [])
    }

    @Test("without two-way accounts no mark is written")
    func oneWay() throws {
        try site.setMode(.oneWay)
        try site.settled(projection)
        remove(site.root + "/.letterlog/reached")
        try site.deliver("one")
        try site.settled(projection)
        #expect(contents(site.root + "/.letterlog/reached") == nil)
    }
}
