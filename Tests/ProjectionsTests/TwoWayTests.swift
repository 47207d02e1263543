// Two-way accounts: what another program does in the tree becomes events, once, and the tree is then as the state wants it.
import EventStore
import Glibc
import MailCore
import MailEngine
import MailTypes
import Projections
import Testing

extension Site {
    func setMode(_ mode: MaildirMode) throws {
        try run(.setSetting(key: MaildirProjection.settingKey, value: mode.rawValue))
    }

    /// The messages of a mailbox: body, flags and keywords, in the order of their UIDs.
    func mail(_ name: String = "INBOX") throws -> [String] {
        let mailbox = try mailbox(name)
        return try engine.read { state in
            var rows: [(UID, MessageRow)] = []
            try state.messages(account, mailbox, from: UID(1)) { uid, row in
                rows.append((uid, row))
                return true
            }
            return try rows.map { (uid, row) throws -> String in
                var bytes: [UInt8] = []
                let body = try engine.openBody(row.blob)
                try body.read(at: 0, count: body.size, into: &bytes)
                let words = try state.keywords(account, mailbox, uid, row).compactMap {
                    try state.keyword(account, $0)?.name
                }
                let letters: String = MaildirLetters(row.flags, keywords: 0, forwarded: false).text
                let text = String(decoding: bytes, as: UTF8.self)
                return text + "|" + letters + words.map { "|" + $0 }.joined()
            }
        }
    }

    var head: Cursor { get throws { try engine.read { $0.head } } }

    /// A message by another program; its name.
    @discardableResult
    func put(_ text: String, _ path: String) throws -> String {
        try write(text, to: home + "/" + path)
        return path
    }

    func move(_ old: String, to new: String) {
        let code = Glibc.rename(home + "/" + old, home + "/" + new)
        #expect(code == 0, "\(old) to \(new)")
    }

    /// The file in a folder whose text is this, below the home.
    func file(_ text: String, in folder: String = "") throws -> String {
        let prefix = folder.isEmpty ? "" : folder + "/"
        for part in ["cur", "new"] {
            for name in names(home + "/" + prefix + part) {
                let path: String = prefix + part + "/" + name
                if contents(home + "/" + path) == text { return path }
            }
        }
        throw Unexpected(text: "no file with \(text) in \(folder)")
    }

    func files(_ folder: String = "") -> [String] {
        let prefix = folder.isEmpty ? home : home + "/" + folder
        return names(prefix + "/new") + names(prefix + "/cur")
    }
}

@Suite("Maildir two-way")
final class TwoWayTests {
    private let site: Site
    private let projection: MaildirProjection
    private var said: [String] = []

    init() throws {
        site = try Site()
        try site.setMode(.twoWay)
        projection = site.projection()
        try site.settled(projection)
    }

    /// Looks until quiet; then tree and state agree, and nothing more happens, now or after a restart.
    private func settle(_ place: SourceLocation = #_sourceLocation) throws {
        try projection.settleImports()
        try projection.storeCheckpoint()
        #expect(try site.differences(projection) == [], sourceLocation: place)
        let head = try site.head
        let before = tree(site.root)
        try projection.settleImports()
        let again = site.projection()
        try again.settleImports()
        #expect(try site.head == head, "a second pass made events", sourceLocation: place)
        #expect(tree(site.root) == before, "a second pass changed files", sourceLocation: place)
    }

    private func letters(_ text: String, _ letters: String, in folder: String = "") throws {
        let old = try site.file(text, in: folder)
        let prefix = folder.isEmpty ? "" : folder + "/"
        let base = old.split(separator: "/").last?.split(separator: ":").first ?? ""
        site.move(old, to: "\(prefix)cur/\(base):2,\(letters)")
    }

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

    @Test("many deletions wait until somebody confirms them, while everything else goes on")
    func quarantine() throws {
        try site.create("Box")
        for number in 1...60 { try site.deliver("m\(number)", to: number > 40 ? "Box" : "INBOX", flags: .seen) }
        try settle()
        for number in 1...15 { remove(site.home + "/" + (try site.file("m\(number)"))) }
        remove(site.home + "/" + (try site.file("m41", in: ".Box")))
        try settle2()
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
        try settle2()
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

    @Test("what waits in quarantine is written again when asked, and forgotten when it comes back")
    func restored() throws {
        for number in 1...20 { try site.deliver("m\(number)", flags: .seen) }
        try settle()
        let all = tree(site.home + "/cur")
        for name in all.keys { remove(site.home + "/cur/" + name) }
        try settle2()
        #expect(projection.importCounts.quarantined == 20)
        try projection.restore(site.account)
        try settle()
        #expect(projection.importCounts.quarantined == 0)
        #expect(tree(site.home + "/cur") == all)
        for name in all.keys { remove(site.home + "/cur/" + name) }
        try settle2()
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
        try settle2()
        let gone = try projection.importStatus(site.account).quarantine
        #expect(gone.map(\.mailbox) == ["Box"] && gone.allSatisfy { $0.messages == 12 && $0.isFolder })
        site.move("../Box", to: ".Box")
        try settle()
        #expect(Glibc.rename(site.home, site.root + "/elsewhere") == 0)
        try settle2()
        #expect(try site.mail("Box").count == 12)
        #expect(try projection.importStatus(site.account).quarantine.count == 2)
        #expect(Glibc.rename(site.root + "/elsewhere", site.home) == 0)
        try settle()
        site.move(".Box", to: "../Box")
        try settle2()
        #expect(try projection.confirm(site.account) == 12)
        #expect(try !site.has("Box"))
    }

    /// Looks until quiet, where tree and state may differ by what waits.
    private func settle2() throws {
        try projection.settleImports()
        try projection.storeCheckpoint()
        let head = try site.head
        try projection.settleImports()
        #expect(try site.head == head)
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

extension Site {
    func has(_ name: String) throws -> Bool {
        let parsed = try #require(MailboxName(name))
        return try engine.read { try $0.mailboxID(account, named: parsed) } != nil
    }

    /// Defines a keyword.
    func flagKeyword(_ word: String) throws {
        try deliver("gone", keywords: [word])
        try expunge([1])
    }
}
