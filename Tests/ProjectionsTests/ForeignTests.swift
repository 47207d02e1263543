// What other programs and people leave in the tree.
import Glibc
import MailCore
import MailEngine
import MailTypes
import Projections
import Testing

@Suite("Maildir projection, foreign files")
struct ForeignTests {
    private let site: Site

    init() throws { site = try Site() }

    @Test("files that are not ours survive the deletion of their mailbox, and are counted")
    func deletion() throws {
        try site.create("Notes")
        try site.deliver("ours", to: "Notes")
        let projection = try site.settled()
        try write("theirs", to: site.home + "/.Notes/cur/1700000000.M1P2.host:2,S")
        try write("index", to: site.home + "/.Notes/dovecot.index")
        #expect(try projection.check().differences == [])
        #expect(try projection.check().foreign >= 1)
        try site.run(.deleteMailbox(try site.mailbox("Notes")))
        var lines: [String] = []
        try site.settled(site.projection(report: { lines.append($0) }))
        #expect(
            tree(site.home + "/.Notes") == [
                "cur/": "", "cur/1700000000.M1P2.host:2,S": "theirs", "dovecot.index": "index",
            ])
        #expect(lines.count == 1)
        try site.create("Notes")
        try site.deliver("ours again", to: "Notes")
        let again = try site.settled()
        #expect(names(site.home + "/.Notes/new").count == 1)
        #expect(try again.check().differences == [])
        #expect(contents(site.home + "/.Notes/cur/1700000000.M1P2.host:2,S") == "theirs")
    }

    @Test("a rename onto a directory of somebody else's fills that one and leaves what is in it")
    func occupiedName() throws {
        try site.create("A")
        try site.deliver("one", to: "A")
        let projection = try site.settled()
        mkdir(site.home + "/.B", 0o700)
        try write("theirs", to: site.home + "/.B/note.txt")
        try site.rename("A", to: "B")
        try site.settled(projection)
        #expect(names(site.home + "/.B/new").count == 1)
        #expect(contents(site.home + "/.B/note.txt") == "theirs")
        #expect(names(site.home + "/.A") == [])
        #expect(try projection.check().differences == [])
    }

    @Test("a Maildir that another program keeps is not touched")
    func otherMaildir() throws {
        mkdir(site.root, 0o700)
        mkdir(site.home, 0o700)
        let list = "3 V1 N7 G0123456789abcdef0123456789abcdef\n"
        try write(list, to: site.home + "/dovecot-uidlist")
        #expect(throws: ForeignMaildir.self) { try site.projection().catchUp() }
        #expect(contents(site.home + "/dovecot-uidlist") == list)
        #expect(names(site.home) == ["dovecot-uidlist"])
    }

    @Test("letters that another program changed are put back when the message is looked at")
    func changedLetters() throws {
        try site.deliver("one", flags: .seen)
        let projection = try site.settled()
        let name = try #require(names(site.home + "/cur").first)
        rename(site.home + "/cur/" + name, site.home + "/cur/" + name.replacing(":2,S", with: ":2,TSX"))
        #expect(try projection.check().differences.map(\.kind) == [.misnamedFile])
        try site.flag([1], .add, .answered)
        try site.settled(projection)
        #expect(names(site.home + "/cur").map { $0.suffix(5) } == [":2,RS"])
        #expect(try site.differences(projection) == [])
    }

    @Test("what was removed, added or spoilt is found by the check and put right by a rebuild")
    func rebuild() throws {
        try site.create("Box")
        for text in ["first", "second", "third"] { try site.deliver(text, to: "Box", flags: .seen) }
        try site.deliver("in the inbox")
        let projection = try site.settled()
        let folder = site.home + "/.Box"
        let files = names(folder + "/cur")
        remove(folder + "/cur/" + files[0])
        try write("sec0nd", to: folder + "/cur/" + files[1])
        try write("longer than it was", to: folder + "/cur/" + files[2])
        try write("x", to: folder + "/cur/1.V1U77E1.letterlog,S=1,W=1:2,")
        try write(
            "3 V1 N1 G6c74726c6f670001\(String(repeating: "0", count: 6))1000000002\n", to: folder + "/dovecot-uidlist")
        try write("7 wrong\n", to: folder + "/dovecot-keywords")
        remove(site.home + "/subscriptions")
        remove(folder + "/maildirfolder")
        let kinds = Set(try projection.check(contents: true).differences.map(\.kind))
        #expect(
            kinds == [
                .missingFile, .wrongContent, .wrongSize, .extraFile, .wrongList, .wrongKeywords, .wrongSubscriptions,
            ])
        try projection.rebuild(site.account)
        let left = try projection.check(contents: true).differences.map(\.kind)
        // Size and name are right; only reading every file tells, and a rebuild trusts what the disk gives back.
        #expect(left == [.wrongContent])
    }

    @Test("a folder that was removed comes back with all its messages")
    func lostFolder() throws {
        try site.create("Box")
        for text in ["first", "second"] { try site.deliver(text, to: "Box") }
        try site.settled()
        for name in ["new/" + names(site.home + "/.Box/new")[0], "dovecot-uidlist"] {
            remove(site.home + "/.Box/" + name)
        }
        try site.deliver("third", to: "Box")
        let projection = try site.settled()
        #expect(names(site.home + "/.Box/new").count == 3)
        #expect(try site.differences(projection) == [])
    }

    @Test("the projector follows the engine on its own thread, answers and ends")
    func thread() throws {
        let projector = MaildirProjector(engine: site.engine, options: MaildirOptions(root: site.root))
        for number in 0..<50 { try site.deliver("message \(number)") }
        #expect(projector.settle() == nil)
        #expect(names(site.home + "/new").count == 50)
        let status = projector.status
        // What came while the projection began may have been written twice.
        #expect(status.filesWritten >= 50)
        #expect(try projector.check().get().differences == [])
        try site.flag([3], .add, .seen)
        #expect(projector.rebuild() == nil)
        #expect(names(site.home + "/cur").count == 1)
        try site.deliver("last")
        projector.close()
        #expect(try site.differences(try site.settled()) == [])
    }

    @Test("what the log holds and the tree does not is told before the projector looks again")
    func lag() throws {
        var pace = MaildirPace()
        pace.gatherSeconds = 3_600
        let projector = MaildirProjector(engine: site.engine, options: MaildirOptions(root: site.root), pace: pace)
        try site.deliver("first")
        #expect(projector.settle() == nil)
        #expect(projector.status.lag == 0)
        for number in 0..<10 { try site.deliver("message \(number)") }
        #expect(projector.status.lag >= 10)
        #expect(projector.settle() == nil)
        #expect(projector.status.lag == 0)
        projector.close()
    }

    @Test("a projector that cannot write says why, and goes on when it can")
    func stopped() throws {
        try write("in the way", to: site.root)
        var pace = MaildirPace()
        pace.retrySecondsMax = 0.01
        let projector = MaildirProjector(engine: site.engine, options: MaildirOptions(root: site.root), pace: pace)
        try site.deliver("one")
        let failure = try #require(projector.settle())
        #expect(failure.contains(site.root))
        remove(site.root)
        #expect(projector.settle() == nil)
        #expect(names(site.home + "/new").count == 1)
        projector.close()
    }
}
