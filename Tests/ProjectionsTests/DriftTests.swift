// Each kind of difference between tree and state, made by hand in a settled tree: the check finds it, says what and where,
// and a rebuild mends it.
import Glibc
import MailCore
import MailTypes
import Projections
import Testing

@Suite("Maildir projection, drift")
struct DriftTests {
    /// One thing that somebody does in a tree.
    struct Drift: CustomTestStringConvertible, Sendable {
        var kind: MaildirDifference.Kind
        /// What the report names.
        var names: String
        var make: @Sendable (Site) throws -> Void
        var testDescription: String { kind.rawValue }
    }

    static let drifts: [Drift] = [
        Drift(kind: .missingFolder, names: ".Box") { try removeTree($0.home + "/.Box") },
        Drift(kind: .missingFolder, names: ".Box/new") { try removeTree($0.home + "/.Box/new") },
        Drift(kind: .extraFolder, names: ".Gone") { site in
            mkdir(site.home + "/.Gone", 0o700)
            let list = try #require(contents(site.home + "/.Box/dovecot-uidlist"))
            try write(list.replacing("00000002\n", with: "00000077\n"), to: site.home + "/.Gone/dovecot-uidlist")
        },
        Drift(kind: .misplacedFolder, names: ".Elsewhere") { $0.move(".Box", to: ".Elsewhere") },
        Drift(kind: .missingFile, names: "UID 2") { remove($0.home + "/" + (try $0.file("two"))) },
        Drift(kind: .missingFile, names: ".Box/maildirfolder") { remove($0.home + "/.Box/maildirfolder") },
        Drift(kind: .extraFile, names: "U99E") { site in
            try site.put("twx", (try site.file("two")).replacing("U2E", with: "U99E"))
        },
        Drift(kind: .extraFile, names: "has two files") { site in
            try site.put("two", (try site.file("two")).replacing(":2,S", with: ":2,FS"))
        },
        Drift(kind: .misnamedFile, names: "should be") { site in
            let name = try site.file("two")
            site.move(name, to: name.replacing(":2,S", with: ":2,RS"))
        },
        Drift(kind: .wrongSize, names: "should have 3 octets") { try $0.put("longer", try $0.file("two")) },
        Drift(kind: .wrongContent, names: "differs from body") { try $0.put("twO", try $0.file("two")) },
        Drift(kind: .wrongList, names: "is not there") { remove($0.home + "/dovecot-uidlist") },
        Drift(kind: .wrongList, names: "UIDVALIDITY") { site in
            let row = try #require(try site.engine.read { try $0.mailbox(site.account, MailboxID(1)) })
            let list = try #require(contents(site.home + "/dovecot-uidlist"))
            let (right, wrong) = ("3 V\(row.uidValidity.rawValue) ", "3 V\(row.uidValidity.rawValue + 1) ")
            try write(list.replacing(right, with: wrong), to: site.home + "/dovecot-uidlist")
        },
        Drift(kind: .wrongList, names: "UID 2") { site in
            let list = try #require(contents(site.home + "/dovecot-uidlist"))
            try write(list.replacing("\n2 :", with: "\n5 :"), to: site.home + "/dovecot-uidlist")
        },
        Drift(kind: .wrongList, names: "UID 1 its POP3 UIDL, one.of.old") { try $0.changeList(" Pone.of.old", to: "") },
        Drift(kind: .wrongList, names: "UID 1 its POP3 UIDL, one.of.old") { site in
            try site.changeList(" Pone.of.old", to: " Panother")
        },
        Drift(kind: .wrongKeywords, names: "dovecot-keywords") { try $0.put("0 other\n", "dovecot-keywords") },
        Drift(kind: .wrongSubscriptions, names: "subscriptions") { try $0.put("V\t2\n\nINBOX\n", "subscriptions") },
        Drift(kind: .wrongQuota, names: "maildirsize") { try $0.put("1000S\n1 1\n", "maildirsize") },
        Drift(kind: .leftover, names: "interrupted") { site in
            let name = try #require(try site.file("two").split(separator: "/").last?.split(separator: ":").first)
            try site.put("tw", "tmp/" + name)
        },
    ]

    private static func removeTree(_ path: String) throws {
        for name in names(path) {
            if !names(path + "/" + name).isEmpty { try removeTree(path + "/" + name) }
            remove(path + "/" + name)
        }
        #expect(rmdir(path) == 0)
    }

    private static func site() throws -> Site {
        let site = try Site()
        try site.run(.setQuota(Quota(bytes: 1000)))
        try site.create("Box", subscribed: true)
        try site.deliver("one", keywords: ["work"], uidl: "one.of.old")
        try site.deliver("two", flags: .seen)
        try site.deliver("three", to: "Box")
        return site
    }

    @Test("every kind is made here")
    func kinds() {
        // What waits for a word about a two-way account has a test of its own.
        #expect(Set(Self.drifts.map(\.kind)) == Set(MaildirDifference.Kind.allCases).subtracting([.waiting]))
    }

    @Test("it is found, named and mended", arguments: drifts)
    func found(_ drift: Drift) throws {
        let site = try Self.site()
        let projection = try site.settled()
        #expect(try site.differences(projection) == [])
        try drift.make(site)
        let found = try projection.check(contents: true).differences
        #expect(
            found.contains { $0.kind == drift.kind && $0.description.contains(drift.names) },
            "\(found.map(\.description))")
        try projection.rebuild(site.account)
        let left = try site.differences(projection)
        // A rebuild trusts names and sizes; only reading every file tells.
        #expect(drift.kind == .wrongContent ? left.count == 1 : left == [], "\(left)")
    }

    /// A store from before format 4 has such UIDLs in the log alone, and the list may have them from there.
    @Test("a UIDL that the list has and the state does not is no drift")
    func unknownUIDL() throws {
        let site = try Self.site()
        let projection = try site.settled()
        try site.changeList("\n2 :", to: "\n2 Ptwo.of.old :")
        #expect(try site.differences(projection) == [])
    }
}

extension Site {
    fileprivate func changeList(_ old: String, to new: String) throws {
        let list = try #require(contents(home + "/dovecot-uidlist"))
        #expect(list.contains(old))
        try write(list.replacing(old, with: new), to: home + "/dovecot-uidlist")
    }
}
