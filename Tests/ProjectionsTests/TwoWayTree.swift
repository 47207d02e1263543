// A two-way account and its tree: short words for what another program does there, and looks until nothing is left to do.
import EventStore
import Glibc
import MailCore
import MailEngine
import MailTypes
import Projections
import Testing

/// What the suites of two-way accounts begin with.
class TwoWayTree {
    let site: Site
    let projection: MaildirProjection

    init() throws {
        site = try Site()
        try site.setMode(.twoWay)
        projection = site.projection()
        try site.settled(projection)
    }

    /// Looks until quiet; then tree and state agree, and nothing more happens, now or after a restart.
    func settle(_ place: SourceLocation = #_sourceLocation) throws {
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

    /// Looks until quiet, where tree and state may differ by what waits.
    func settleWaiting() throws {
        try projection.settleImports()
        try projection.storeCheckpoint()
        let head = try site.head
        try projection.settleImports()
        #expect(try site.head == head)
    }

    func letters(_ text: String, _ letters: String, in folder: String = "") throws {
        let old = try site.file(text, in: folder)
        let prefix = folder.isEmpty ? "" : folder + "/"
        let base = old.split(separator: "/").last?.split(separator: ":").first ?? ""
        site.move(old, to: "\(prefix)cur/\(base):2,\(letters)")
    }
}

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
