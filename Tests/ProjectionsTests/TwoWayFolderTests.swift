// Two-way accounts: folders that other programs make, rename and remove, and what is not deleted before somebody says so.
import EventStore
import Glibc
import MailCore
import MailEngine
import MailTypes
import Projections
import Testing

@Suite("Maildir two-way, folders and quarantine")
final class TwoWayFolderTests: TwoWayTree {
    @Test("folders made, renamed and removed by others")
    func folders() throws {
        for part in ["", "/cur", "/new", "/tmp"] { mkdir(site.home + "/.Entw&APw-rfe.a\\2eb" + part, 0o700) }
        try site.put("draft", ".Entw&APw-rfe.a\\2eb/cur/1.x:2,D")
        mkdir(site.home + "/.no-maildir", 0o700)
        try settle()
        #expect(try site.mail("Entw\u{FC}rfe/a.b") == ["draft|D"])
        site.move(".Entw&APw-rfe.a\\2eb", to: ".Other")
        try settle()
        #expect(try site.mail("Other") == ["draft|D"])
        #expect(try !site.has("Entw\u{FC}rfe/a.b"))
        try removeFolder(".Other")
        try settle()
        #expect(try !site.has("Other"))
    }

    private func removeFolder(_ name: String) throws {
        for part in ["cur", "new", "tmp"] {
            for file in names("\(site.home)/\(name)/\(part)") { remove("\(site.home)/\(name)/\(part)/\(file)") }
            rmdir("\(site.home)/\(name)/\(part)")
        }
        for file in names("\(site.home)/\(name)") { remove("\(site.home)/\(name)/\(file)") }
        #expect(rmdir(site.home + "/" + name) == 0)
    }

    @Test("a copied folder is a folder of its own")
    func copiedFolder() throws {
        try site.create("Box")
        try site.deliver("one", to: "Box", flags: .seen)
        try settle()
        for part in ["", "/cur", "/new", "/tmp"] { mkdir(site.home + "/.Copy" + part, 0o700) }
        for (path, text) in tree(site.home + "/.Box") where !path.hasSuffix("/") && !["new", "tmp"].contains(path) {
            try write(text, to: site.home + "/.Copy/" + path)
        }
        try settle()
        #expect(try site.mail("Box") == ["one|S"])
        #expect(try site.mail("Copy") == ["one|S"])
    }

    enum Change: CaseIterable { case deleted, renumbered }

    @Test(
        "a message moved into a folder that a client deletes or renumbers at that moment is moved",
        arguments: Change.allCases)
    func movedIntoChanging(_ change: Change) throws {
        let box = try site.create("Box")
        try site.deliver("kept", flags: .seen, keywords: ["work"])
        try site.deliver("in Box", to: "Box", flags: .seen)
        try settle()
        let file = try site.file("kept")
        site.move(file, to: ".Box/" + file)
        try site.run(change == .deleted ? .deleteMailbox(box) : .bumpUIDValidity(box))
        _ = try projection.importChanges()
        _ = try projection.importChanges()
        try projection.catchUp()
        try settle()
        #expect(try site.mail("Box").sorted() == (change == .deleted ? [] : ["in Box|S"]) + ["kept|S|work"])
        #expect(try site.mail() == [])
        #expect(projection.importCounts.moves == 1)
    }

    @Test("a folder renamed to where another program has a directory keeps what was done in it")
    func renamedOntoForeign() throws {
        try site.create("Box")
        for text in ["one", "two", "three"] { try site.deliver(text, to: "Box", flags: .seen) }
        try settle()
        for part in ["", "/cur", "/new", "/tmp"] { mkdir(site.home + "/.Other" + part, 0o700) }
        try site.put("theirs", ".Other/cur/1.theirs:2,S")
        try letters("one", "FS", in: ".Box")
        remove(site.home + "/" + (try site.file("two", in: ".Box")))
        try site.put("late", ".Box/new/2.late")
        try site.rename("Box", to: "Other")
        try projection.catchUp()
        try settle()
        #expect(try site.mail("Other").sorted() == ["late|", "one|FS", "theirs|S", "three|S"])
        #expect(names(site.home).contains(".Box") == false)
    }

    @Test("many deletions wait until somebody confirms them, while everything else goes on")
    func quarantine() throws {
        try site.create("Box")
        for number in 1...60 { try site.deliver("m\(number)", to: number > 40 ? "Box" : "INBOX", flags: .seen) }
        try settle()
        for number in 1...15 { remove(site.home + "/" + (try site.file("m\(number)"))) }
        remove(site.home + "/" + (try site.file("m41", in: ".Box")))
        try settleWaiting()
        #expect(try site.mail().count == 40)
        #expect(try site.mail("Box").count == 19)
        #expect(try projection.importStatus(site.account).quarantine.map(\.messages) == [15])
        #expect(projection.importCounts.quarantined == 15)
        #expect(try projection.importStatus(site.account).isQuiet)
        try site.put("new", "new/1.new")
        try site.flag([20], .add, .flagged)
        // One of those in quarantine is changed, so it stays.
        try site.flag([3], .add, .flagged)
        try letters("m30", "ST")
        try settleWaiting()
        #expect(try site.mail().count == 41)
        #expect(try projection.importStatus(site.account).quarantine.map(\.messages) == [14])
        // A restart forgets nothing of it.
        let restarted = site.projection()
        try restarted.settleImports()
        #expect(try restarted.importStatus(site.account).quarantine.map(\.messages) == [14])
        #expect(try restarted.confirm(site.account) == 14)
        #expect(try site.mail().count == 27)
        #expect(try restarted.importStatus(site.account).quarantine.isEmpty)
        #expect(try site.differences(restarted) == [])
    }

    @Test("of many deletions none is done, wherever in the middle of them somebody looked", arguments: [1, 8, 10])
    func headStart(count: Int) throws {
        for number in 1...30 { try site.deliver("m\(number)", flags: .seen) }
        try settle()
        for number in 1...count { remove(site.home + "/" + (try site.file("m\(number)"))) }
        _ = try projection.importChanges()
        for number in (count + 1)...20 { remove(site.home + "/" + (try site.file("m\(number)"))) }
        try settleWaiting()
        #expect(try site.mail().count == 30)
        #expect(projection.importCounts.quarantined == 20)
    }

    @Test("what waits in quarantine is written again when asked, and forgotten when it comes back")
    func restored() throws {
        for number in 1...20 { try site.deliver("m\(number)", flags: .seen) }
        try settle()
        let all = tree(site.home + "/cur")
        for name in all.keys { remove(site.home + "/cur/" + name) }
        try settleWaiting()
        #expect(projection.importCounts.quarantined == 20)
        try projection.restore(site.account)
        try settle()
        #expect(projection.importCounts.quarantined == 0)
        #expect(tree(site.home + "/cur") == all)
        for name in all.keys { remove(site.home + "/cur/" + name) }
        try settleWaiting()
        for (name, text) in all { try write(text, to: site.home + "/cur/" + name) }
        try settle()
        #expect(try projection.importStatus(site.account).quarantine.isEmpty)
        #expect(try site.mail().count == 20)
    }

    @Test("a folder or a whole tree that is gone is no order to delete it")
    func goneTree() throws {
        try site.create("Box")
        for number in 1...12 { try site.deliver("m\(number)", to: "Box", flags: .seen) }
        try settle()
        site.move(".Box", to: "../Box")
        try settleWaiting()
        let gone = try projection.importStatus(site.account).quarantine
        #expect(gone.map(\.mailbox) == ["Box"] && gone.allSatisfy { $0.messages == 12 && $0.isFolder })
        site.move("../Box", to: ".Box")
        try settle()
        #expect(Glibc.rename(site.home, site.root + "/elsewhere") == 0)
        try settleWaiting()
        #expect(try site.mail("Box").count == 12)
        #expect(try projection.importStatus(site.account).quarantine.count == 2)
        #expect(Glibc.rename(site.root + "/elsewhere", site.home) == 0)
        try settle()
        site.move(".Box", to: "../Box")
        try settleWaiting()
        #expect(try projection.confirm(site.account) == 12)
        #expect(try !site.has("Box"))
    }
}
