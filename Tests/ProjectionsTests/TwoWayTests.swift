// Two-way accounts: what another program does in the tree becomes events, once, and the tree is then as the state wants it.
import EventStore
import Glibc
import MailCore
import MailEngine
import MailTypes
import Projections
import Testing

@Suite("Maildir two-way")
final class TwoWayTests: TwoWayTree {
    @Test("letters that another program sets and clears become flags and keywords")
    func flags() throws {
        try site.deliver("one")
        try site.deliver("two", flags: [.seen, .flagged], keywords: ["work", "$Forwarded"])
        try settle()
        try letters("one", "RS")
        try letters("two", "STa")
        try settle()
        #expect(try site.mail() == ["one|RS", "two|ST|work"])
        try letters("one", "PS")
        try settle()
        #expect(try site.mail() == ["one|S|$Forwarded", "two|ST|work"])
        #expect(site.files().contains { $0.hasSuffix(":2,PSb") })
    }

    @Test("changes of both sides to one message meet letter by letter, also across a restart")
    func bothSides() throws {
        try site.deliver("one", flags: [.seen])
        try site.deliver("two", flags: [.seen])
        try settle()
        try letters("one", "F")
        try site.flag([1], .add, [.answered], keywords: ["work"])
        try projection.catchUp()
        try settle()
        #expect(try site.mail() == ["one|FR|work", "two|S"])
        try letters("two", "FS")
        try site.flag([2], .add, [.deleted])
        let restarted = site.projection()
        try restarted.settleImports()
        #expect(try site.mail() == ["one|FR|work", "two|FST"])
        #expect(try site.differences(restarted) == [])
    }

    @Test("out of new/ is no event, and it is not put back")
    func oldMail() throws {
        try site.deliver("one")
        try settle()
        let head = try site.head
        let name = try #require(names(site.home + "/new").first)
        site.move("new/" + name, to: "cur/" + name + ":2,")
        try settle()
        #expect(try site.head == head)
        #expect(names(site.home + "/cur").count == 1)
        try site.flag([1], .add, [.flagged])
        try site.flag([1], .remove, [.flagged])
        try settle()
        #expect(names(site.home + "/cur").count == 1)
    }

    @Test("deliveries become messages, with CRLF, flags, keywords and date, under our names")
    func deliveries() throws {
        try site.flagKeyword("known")
        try site.put("a\r\nb\r\n", "new/1700000000.M1P2.host")
        try site.put("a\nb\n", "new/1700000000.M1P3.host,S=4")
        try site.put("seen\r\n", "cur/1700000000.M1P4.host,U=17:2,FSaX")
        var times = (timespec(tv_sec: 1_500_000_000, tv_nsec: 0), timespec(tv_sec: 1_500_000_000, tv_nsec: 0))
        withUnsafePointer(to: &times) {
            _ = $0.withMemoryRebound(to: timespec.self, capacity: 2) {
                utimensat(AT_FDCWD, site.home + "/new/1700000000.M1P2.host", $0, 0)
            }
        }
        try projection.settleImports()
        try settle()
        #expect(try site.mail().sorted() == ["a\r\nb\r\n|", "a\r\nb\r\n|", "seen\r\n|FS|known"])
        #expect(site.files().allSatisfy { $0.contains(".letterlog,S=") })
        #expect(site.files().contains { $0.hasSuffix(",U=17:2,FSa") })
        let dates = try site.engine.read { state in
            var dates: [Int64] = []
            try state.messages(site.account, MailboxID(1), from: UID(1)) { _, row in
                dates.append(row.internalDate.time.seconds)
                return true
            }
            return dates
        }
        #expect(dates.contains(1_500_000_000))
        #expect(projection.importCounts.adopted == 3)
        let list = try #require(contents(site.home + "/dovecot-uidlist"))
        #expect(list.contains(",U=17\n"))
        // The log says who did it.
        var gateways: [GatewayKind?] = []
        try site.engine.read { state in
            try state.log(after: .start) { logged in
                if case .messageAppended(let event) = logged.event,
                    event.keywords != [KeywordID(0)] || event.uid > UID(1)
                {
                    gateways.append(logged.origin.gateway)
                    if event.origin != .import { gateways.append(nil) }
                }
                return true
            }
        }
        #expect(gateways == [.maildirImport, .maildirImport, .maildirImport])
    }

    @Test("mbsync's mark stays through changes of flags by either side")
    func marks() throws {
        try site.deliver("one")
        try settle()
        let name = try #require(names(site.home + "/new").first)
        site.move("new/" + name, to: "new/" + name + ",U=5")
        try settle()
        try site.flag([1], .add, [.seen])
        try settle()
        #expect(names(site.home + "/cur") == [name + ",U=5:2,S"])
        try letters("one", "RS")
        try settle()
        #expect(try site.mail() == ["one|RS"])
        #expect(try #require(contents(site.home + "/dovecot-uidlist")).contains(",U=5\n"))
        try site.expunge([1])
        try settle()
        #expect(site.files() == [])
    }

    @Test("a deletion needs two looks; one of a message that was changed meanwhile is undone")
    func deletion() throws {
        for text in ["one", "two", "three"] { try site.deliver(text) }
        try settle()
        remove(site.home + "/" + (try site.file("one")))
        remove(site.home + "/" + (try site.file("two")))
        _ = try projection.importChanges()
        #expect(try site.mail().count == 3)
        try site.flag([2], .add, [.flagged])
        try settle()
        #expect(try site.mail() == ["two|F", "three|"])
        #expect(site.files().count == 2)
    }

    @Test("a deletion while nobody followed is seen at the next start")
    func deletionOffline() throws {
        for text in ["one", "two"] { try site.deliver(text) }
        try settle()
        remove(site.home + "/" + (try site.file("one")))
        try site.deliver("three")
        try site.flag([2], .add, [.seen])
        let restarted = site.projection()
        try restarted.settleImports()
        #expect(try site.mail() == ["two|S", "three|"])
        #expect(try site.differences(restarted) == [])
    }

    @Test("the file of a message deleted over IMAP goes under whatever letters another program gave it")
    func deletedHere() throws {
        for text in ["one", "two"] { try site.deliver(text, flags: [.seen]) }
        try settle()
        try letters("one", "FS")
        try site.expunge([1])
        try projection.catchUp()
        try settle()
        #expect(try site.mail() == ["two|S"])
        #expect(site.files().count == 1)
    }

    @Test("a file moved to another folder is a move, a copied one a copy, whatever the name")
    func moves() throws {
        try site.create("Box")
        for text in ["one", "two", "three"] { try site.deliver(text, flags: .seen, keywords: ["work"]) }
        try settle()
        let one = try site.file("one")
        site.move(one, to: ".Box/" + one)
        let two = try site.file("two")
        try site.put("two", ".Box/" + two.replacing(":2,S", with: ":2,FS"))
        // As mutt saves: a new name, and the old file marked.
        try site.put("three", ".Box/cur/1700000001.R1.host:2,S")
        try letters("three", "STa")
        try settle()
        #expect(try site.mail() == ["two|S|work", "three|ST|work"])
        #expect(try site.mail("Box").sorted() == ["one|S|work", "three|S", "two|FS|work"])
        #expect(projection.importCounts.moves == 2)
        remove(site.home + "/" + (try site.file("three")))
        try settle()
        #expect(try site.mail() == ["two|S|work"])
    }

    @Test("letters given in the tree to what IMAP moves at that moment go with it, and so do those taken away")
    func moveOfOther() throws {
        try site.create("Box")
        for text in ["one", "two"] { try site.deliver(text, flags: .seen, keywords: ["work"]) }
        try settle()
        try letters("one", "FSa")
        try letters("two", "F")
        let uids = UIDSet([UID(1), UID(2)])
        try site.run(.move(CopyMessages(source: MailboxID(1), destination: site.mailbox("Box"), uids: uids)))
        try site.flag([1], .add, .answered, in: "Box")
        // The projection comes first: it finds files that it did not leave so.
        try projection.catchUp()
        try settle()
        #expect(try site.mail("Box") == ["one|FRS|work", "two|F"])
        #expect(try site.mail() == [])
    }

    @Test("second names and second files of one message do not double it")
    func doubles() throws {
        try site.deliver("one", flags: .seen)
        try settle()
        let one = try site.file("one")
        try site.put("one", one.replacing(":2,S", with: ":2,FS"))
        #expect(link(site.home + "/" + (try site.put("two", "new/1.a")), site.home + "/new/2.b") == 0)
        try settle()
        #expect(try site.mail() == ["one|FS", "two|"])
        #expect(site.files().count == 2)
        // Other octets under the name of a message are a message.
        try site.put("onE", (try site.file("one")).replacing(":2,FS", with: ":2,S"))
        try settle()
        #expect(try site.mail().sorted() == ["onE|S", "one|FS", "two|"])
    }

    @Test("what is empty, being written, hidden or no file is left alone, and a bad name too")
    func ignored() throws {
        try site.put("", "new/1.empty")
        try site.put("x", "new/.hidden")
        try site.put("half", "tmp/3.half")
        mkdir(site.home + "/new/4.directory", 0o700)
        symlink("/etc/passwd", site.home + "/new/5.link")
        let bad: [CChar] = Array((site.home + "/new/6.").utf8CString.dropLast()) + [CChar(bitPattern: 0xFF), 0]
        let descriptor = bad.withUnsafeBufferPointer { creat($0.baseAddress!, 0o600) }
        close(descriptor)
        let before = try site.head
        try settle()
        #expect(try site.head == before)
        #expect(try projection.importStatus(site.account).ignored == 2)
        #expect(try site.mail() == [])
        // A file that still grows waits until it was the same twice.
        try site.put("gro", "new/7.grows")
        _ = try projection.importChanges()
        try site.put("grown", "new/7.grows")
        _ = try projection.importChanges()
        #expect(try site.mail() == [])
        try settle()
        #expect(try site.mail() == ["grown|"])
    }

    @Test("over quota a delivery stays where it is, with the reason, and comes in when there is room")
    func overQuota() throws {
        try site.run(.setQuota(Quota(bytes: 10)))
        try site.put("longer than ten", "new/1.big")
        try projection.settleImports()
        let status = try projection.importStatus(site.account)
        #expect(status.refused.map(\.path) == [site.home + "/new/1.big"])
        #expect(contents(site.home + "/new/1.big") == "longer than ten")
        try site.run(.setQuota(Quota()))
        try projection.settleImports()
        #expect(contents(site.home + "/new/1.big") == "longer than ten")
        // A new run does not wait.
        let restarted = site.projection()
        try restarted.settleImports()
        #expect(try site.mail() == ["longer than ten|"])
    }

    @Test("keywords that another program defined come in under their names")
    func foreignKeywords() throws {
        try site.deliver("one", flags: .seen)
        try settle()
        try write("0 theirs\n1 other\n", to: site.home + "/dovecot-keywords")
        try letters("one", "Sb")
        try settle()
        #expect(try site.mail() == ["one|S|other"])
        #expect(contents(site.home + "/dovecot-keywords") == "0 other\n")
        #expect(site.files().allSatisfy { $0.hasSuffix(":2,Sa") })
        try letters("one", "Saz")
        try settle()
        #expect(site.files().allSatisfy { $0.hasSuffix(":2,Sa") })
    }

    @Test("a file brought back after its message was deleted is a message again; one left over goes")
    func broughtBack() throws {
        try site.deliver("one", flags: .seen)
        try settle()
        let name = try site.file("one")
        try site.expunge([1])
        try settle()
        // The clock of this site is far ahead of the file's, so the file counts as left over.
        try site.put("one", name)
        try settle()
        #expect(site.files() == [])
        try site.put("two!", name.replacing("U1E", with: "U9E").replacing("=3", with: "=4"))
        try settle()
        #expect(try site.mail() == ["two!|S"])
    }

    @Test("a file written over in place is set aside by a rebuild, and the message is as it was")
    func overwritten() throws {
        try site.deliver("one", flags: .seen)
        try settle()
        try site.put("another text", (try site.file("one")))
        #expect(try projection.check().differences.map(\.kind) == [.wrongSize])
        try projection.settleImports()
        try projection.rebuild(site.account)
        try settle()
        #expect(try site.mail() == ["one|S"])
        #expect(tree(site.root + "/.letterlog/aside").values.sorted() == ["another text"])
    }

    @Test("each file that was written over is set aside, also of one message")
    func overwrittenAgain() throws {
        try site.deliver("one", flags: .seen)
        try settle()
        for text in ["first text", "second text"] {
            try site.put(text, (try site.file("one")))
            try projection.rebuild(site.account)
            try settle()
        }
        // Two files of it at once.
        let name = try site.file("one")
        try site.put("third text", name.replacing(":2,S", with: ":2,FS"))
        try site.put("fourth text", name)
        try projection.rebuild(site.account)
        try settle()
        #expect(try site.mail() == ["one|S"])
        let aside = tree(site.root + "/.letterlog/aside").values.sorted()
        #expect(aside == ["first text", "fourth text", "second text", "third text"])
    }

    @Test("a switch to two-way takes what lies there, and one back lets it be")
    func modes() throws {
        try site.deliver("one", flags: .seen)
        try settle()
        try site.setMode(.oneWay)
        try site.settled(projection)
        try site.put("theirs", "new/1.theirs")
        try letters("one", "FS")
        try projection.settleImports()
        #expect(try site.mail() == ["one|S"])
        try site.setMode(.twoWay)
        try settle()
        #expect(try site.mail() == ["one|S", "theirs|"])
    }
}
