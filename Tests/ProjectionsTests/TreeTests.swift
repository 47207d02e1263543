// What the tree looks like after each kind of event. Names and texts are those of Maildir, Maildir++ and Dovecot 2.3.
import Glibc
import MailCore
import MailTypes
import Projections
import Testing

@Suite("Maildir tree")
struct TreeTests {
    private let site: Site

    init() throws { site = try Site() }

    @Test("a delivery lies in new/ with the stored bytes, its date and the name that its row gives")
    func delivery() throws {
        try site.deliver("Subject: a\r\n\r\nb\r\n")
        let projection = try site.settled()
        let files = names(site.home + "/new")
        #expect(files.count == 1)
        let name = try #require(files.first)
        let row = try #require(try site.engine.read { try $0.mailbox(site.account, MailboxID(1)) })
        #expect(name == "1234567890.V\(String(row.uidValidity.rawValue, radix: 16))U1E1.letterlog,S=17,W=17")
        #expect(contents(site.home + "/new/" + name) == "Subject: a\r\n\r\nb\r\n")
        var status = stat()
        #expect(stat(site.home + "/new/" + name, &status) == 0)
        #expect(status.st_mtim.tv_sec == 1_234_567_890)
        #expect(names(site.home + "/cur").isEmpty)
        #expect(names(site.home + "/tmp").isEmpty)
        let list = try #require(contents(site.home + "/dovecot-uidlist")).split(separator: "\n")
        #expect(list[0].hasPrefix("3 V\(row.uidValidity.rawValue) N2 G6c74726c6f6700010000001000000001"))
        #expect(list[1] == "1 :\(name)")
        #expect(try site.differences(projection) == [])
    }

    @Test("flags and keywords become letters in ASCII order; keywords stand in their own file")
    func letters() throws {
        try site.deliver("x", flags: [.seen, .draft])
        try site.deliver("y", keywords: ["$Junk", "blue"])
        let projection = try site.settled()
        try site.flag([1], .add, [.flagged, .answered, .deleted], keywords: ["$Forwarded"])
        try site.settled(projection)
        let files = names(site.home + "/cur")
        #expect(files.map { $0.split(separator: ":")[1] }.sorted() == ["2,DFPRSTc", "2,ab"])
        #expect(contents(site.home + "/dovecot-keywords") == "0 $Junk\n1 blue\n2 $Forwarded\n")
        #expect(try site.differences(projection) == [])
        try site.flag([1, 2], .replace, [])
        try site.settled(projection)
        #expect(names(site.home + "/cur") == [])
        #expect(names(site.home + "/new").count == 2)
    }

    @Test("what has been seen by a session moves from new/ to cur/")
    func recent() throws {
        for text in ["1", "2", "3"] { try site.deliver(text) }
        let projection = try site.settled()
        try site.run(.claimRecent(MailboxID(1), upTo: UID(2)))
        try site.settled(projection)
        #expect(names(site.home + "/new").count == 1)
        #expect(names(site.home + "/cur").allSatisfy { $0.hasSuffix(":2,") })
        #expect(try site.differences(projection) == [])
    }

    @Test("expunged and moved messages leave; copies get names of their own")
    func comingAndGoing() throws {
        try site.create("Archive")
        for text in ["one", "two", "three"] { try site.deliver(text) }
        let projection = try site.settled()
        let archive = try site.mailbox("Archive")
        try site.run(.copy(CopyMessages(source: MailboxID(1), destination: archive, uids: UIDSet(UID(1)))))
        try site.run(.move(CopyMessages(source: MailboxID(1), destination: archive, uids: UIDSet(UID(2)))))
        try site.expunge([3])
        try site.settled(projection)
        #expect(
            tree(site.home).values.filter { ["one", "two", "three"].contains($0) }.sorted() == ["one", "one", "two"])
        #expect(names(site.home + "/.Archive/new").count == 2)
        #expect(try site.differences(projection) == [])
        let restore = RestoreMessages(fromMailbox: MailboxID(1), uids: UIDSet(UID(3)), mailbox: archive)
        try site.run(.restore(restore))
        try site.settled(projection)
        #expect(names(site.home + "/.Archive/new").count == 3)
        #expect(try site.differences(projection) == [])
    }

    /// Dovecot's listescape plugin reads `\2e`, `\5c` and `\7e`; RFC 3501 section 5.1.3 gives the encoding.
    @Test(
        "folder names are Maildir++ in modified UTF-7 with escapes",
        arguments: [
            ("Sent", ".Sent"), ("Archive/2026", ".Archive.2026"), ("Entw\u{FC}rfe", ".Entw&APw-rfe"),
            ("a.b/c\\d", ".a\\2eb.c\\5cd"), ("~x/~y", ".\\7ex.\\7ey"), ("R&D", ".R&-D"), ("INBOX/Sub", ".INBOX.Sub"),
            ("x y", ".x y"),
        ])
    func folderNames(_ pair: (String, String)) throws {
        try site.create(pair.0)
        try site.deliver("m", to: pair.0)
        let projection = try site.settled()
        #expect(names(site.home + "/" + pair.1) == ["cur", "dovecot-uidlist", "maildirfolder", "new", "tmp"])
        #expect(try site.differences(projection) == [])
    }

    @Test("a name too long for a directory is cut, and two such names stay apart")
    func longNames() throws {
        let long = String(repeating: "\u{65E5}", count: 80)
        try site.create(long + "/a")
        try site.create(long + "/b")
        try site.deliver("in b", to: long + "/b")
        let projection = try site.settled()
        let folders = names(site.home).filter { $0.hasPrefix(".") }
        #expect(folders.count == 3)
        #expect(folders.allSatisfy { $0.utf8.count <= 255 })
        #expect(try site.differences(projection) == [])
        try site.rename(long + "/b", to: "short")
        try site.settled(projection)
        #expect(names(site.home + "/.short/new").count == 1)
        #expect(try site.differences(projection) == [])
    }

    @Test("a rename takes the folder and its children along and writes no message again")
    func renames() throws {
        try site.create("A/B")
        try site.deliver("in A", to: "A")
        try site.deliver("in B", to: "A/B")
        let projection = try site.settled()
        let written = projection.filesWritten
        try site.rename("A", to: "X/Y")
        try site.settled(projection)
        #expect(names(site.home).filter { $0.hasPrefix(".") } == [".X", ".X.Y", ".X.Y.B"])
        #expect(projection.filesWritten == written)
        #expect(try site.differences(projection) == [])
    }

    @Test("two folders that change names end right, in any slices", arguments: [1, 2, 1000])
    func swap(slice: Int) throws {
        try site.create("A")
        try site.create("B")
        try site.deliver("in A", to: "A")
        try site.deliver("in B", to: "B")
        let projection = site.projection(slice: slice)
        try site.settled(projection)
        try site.deliver("second in A", to: "A")
        try site.rename("A", to: "C")
        try site.rename("B", to: "A")
        try site.rename("C", to: "B")
        try site.deliver("second in new A", to: "A")
        try site.settled(projection)
        #expect(try site.differences(projection) == [])
        #expect(
            Set(names(site.home + "/.B/new").compactMap { contents(site.home + "/.B/new/" + $0) })
                == ["in A", "second in A"])
    }

    @Test("a deleted mailbox goes, and a new one of its name is another")
    func deletion() throws {
        try site.create("Old")
        try site.deliver("gone", to: "Old")
        let projection = try site.settled()
        try site.run(.deleteMailbox(try site.mailbox("Old")))
        try site.settled(projection)
        #expect(names(site.home + "/.Old") == [])
        #expect(try site.differences(projection) == [])
        try site.create("Old")
        try site.deliver("new", to: "Old")
        try site.settled(projection)
        #expect(names(site.home + "/.Old/new").count == 1)
        #expect(try site.differences(projection) == [])
    }

    @Test("a new UIDVALIDITY renames every file and rewrites the list")
    func validity() throws {
        try site.deliver("one", flags: .seen)
        try site.deliver("two")
        let projection = try site.settled()
        try site.run(.bumpUIDValidity(MailboxID(1)))
        try site.deliver("three")
        let written = projection.filesWritten
        try site.settled(projection)
        #expect(projection.filesWritten == written + 1)
        #expect(try site.differences(projection) == [])
    }

    @Test("subscriptions stand in Dovecot's second version, in the folders' own names")
    func subscriptions() throws {
        try site.create("A/B", subscribed: true)
        try site.create("x.y", subscribed: true)
        try site.run(.setSubscription(try #require(MailboxName("Gone")), true))
        let projection = try site.settled()
        #expect(contents(site.home + "/subscriptions") == "V\t2\n\nA\tB\nGone\nINBOX\nx\\2ey\n")
        try site.run(.setSubscription(try #require(MailboxName("A/B")), false))
        try site.settled(projection)
        #expect(contents(site.home + "/subscriptions") == "V\t2\n\nGone\nINBOX\nx\\2ey\n")
    }

    @Test("maildirsize gives limit and use, and is there only with a limit")
    func quota() throws {
        try site.deliver("12345")
        let projection = try site.settled()
        #expect(contents(site.home + "/maildirsize") == nil)
        try site.run(.setQuota(Quota(bytes: 1000, messages: 10)))
        try site.deliver("123")
        try site.settled(projection)
        #expect(contents(site.home + "/maildirsize") == "1000S,10C\n8 2\n")
        try site.run(.setQuota(Quota()))
        try site.settled(projection)
        #expect(contents(site.home + "/maildirsize") == nil)
    }

    @Test("a removed account's directory goes, and its address may begin again")
    func accountRemoval() throws {
        let bob = try site.addAccount("bob@example.test")
        try site.deliver("old", in: bob)
        let projection = try site.settled()
        #expect(names(site.root + "/bob@example.test/new").count == 1)
        try site.run(.removeAccount, as: bob)
        try site.settled(projection)
        #expect(names(site.root) == [".letterlog", "ada@example.test"])
        let again = try site.addAccount("bob@example.test")
        try site.deliver("new", in: again)
        try site.settled(projection)
        #expect(names(site.root + "/bob@example.test/new").count == 1)
        #expect(try site.differences(projection) == [])
    }

    @Test("a removal and a new account of the same address in one slice")
    func accountReplaced() throws {
        let bob = try site.addAccount("bob@example.test")
        try site.deliver("old", in: bob)
        let projection = try site.settled()
        try site.run(.removeAccount, as: bob)
        let again = try site.addAccount("bob@example.test")
        try site.deliver("new", in: again)
        try site.settled(projection)
        let files = names(site.root + "/bob@example.test/new")
        #expect(files.map { contents(site.root + "/bob@example.test/new/" + $0) } == ["new"])
        #expect(try site.differences(projection) == [])
    }

    @Test("an account that is switched off is left as it is, and catches up when it is switched on")
    func switchedOff() throws {
        try site.deliver("before")
        let projection = try site.settled()
        try site.run(.setSetting(key: MaildirProjection.settingKey, value: "off"))
        try site.deliver("while off")
        try site.settled(projection)
        #expect(names(site.home + "/new").count == 1)
        try site.run(.setSetting(key: MaildirProjection.settingKey, value: nil))
        try site.settled(projection)
        #expect(names(site.home + "/new").count == 2)
        #expect(try site.differences(projection) == [])
    }

    @Test("collected messages whose rows are gone still leave the tree")
    func collected() throws {
        for text in ["1", "2", "3"] { try site.deliver(text) }
        let projection = try site.settled()
        try site.expunge([1, 3])
        try site.run(.collect(MailboxID(1), UIDSet([UID(1), UID(3)])))
        try site.settled(projection)
        #expect(names(site.home + "/new").count == 1)
        #expect(try site.differences(projection) == [])
    }
}
