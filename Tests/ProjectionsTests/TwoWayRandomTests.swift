// Both sides at random, seeded: IMAP-like commands, another program in the tree, the projection at any pace, crashes at
// named steps. A small model says which messages there are and with which letters; at the end tree and state are both as
// it says, nothing is lost, nothing there twice, and another pass does nothing.
//
// The model. A message is known by its text. A letter that one side alone changed since they last met is as that side left
// it. One that both changed has the value of one of them: which, depends on what was looked at between. A message that one
// side deleted is gone, but for one that the tree deleted and the state changed, which may be there or not. Of a message
// that was moved meanwhile the letters are those of one side. Which folder a message is in is for the comparison of tree
// and state; but where a client deletes a folder, only what was in it by then is deleted, and not what the other program
// put there since.
import EventStore
import Glibc
import MailCore
import MailEngine
import MailTypes
import Projections
import Synchronization
import Testing

private struct Model {
    struct Message {
        var letters: Set<Character> = []
        /// Those changed an odd number of times, by either side, since both met; and those changed at all by each.
        var flipped: Set<Character> = []
        var touchedByState: Set<Character> = []
        var touchedByTree: Set<Character> = []
        var deletedByState = false
        var deletedByTree = false
        var wasChangedByState = false
        var hasMoved = false
        /// Came since both met: after a crash what the tree did to it meanwhile may be undone.
        var isFresh = false
    }

    var messages: [String: Message] = [:]
}

private final class Run {
    let site: Site
    var model = Model()
    var random: Seeded
    var projection: MaildirProjection
    /// Steps until the next crash; nil without.
    private let fuse = Fuse()
    private var next = 0
    private var hasCrashed = false
    /// Kills come between slices only; then nothing is in doubt, and the model is as strict as without them.
    private let isBetween: Bool

    final class Fuse {
        var steps: Int?
        /// The crash was a sync that failed: what the log has had from the tree since the checkpoint is in doubt.
        var wasSync = false
    }

    init(seed: UInt64, killsBetween: Bool = false) throws {
        random = Seeded(seed)
        isBetween = killsBetween
        site = try Site()
        try site.deliver("defines keywords", keywords: ["work", "later"])
        try site.expunge([1])
        try site.create("Box")
        try site.setMode(.twoWay)
        projection = site.projection()
        begin()
        try site.settled(projection)
    }

    private func begin() {
        let fuse = fuse
        projection = site.projection { step in
            guard let left = fuse.steps else { return }
            fuse.steps = left - 1
            if left <= 0 {
                fuse.steps = nil
                if step == .synced { fuse.wasSync = true }
                throw Crash()
            }
        }
    }

    /// What a letter stands for: a flag, or the number of a keyword.
    private struct Letter {
        var letter: Character
        var flag: SystemFlags = []
        var keyword: (number: UInt16, name: String)?

        func isSet(_ row: MessageRow) -> Bool {
            keyword.map { row.keywordBits >> UInt64($0.number) & 1 == 1 } ?? row.flags.contains(flag)
        }
    }

    private static let letters: [Letter] = [
        Letter(letter: "D", flag: .draft), Letter(letter: "F", flag: .flagged), Letter(letter: "R", flag: .answered),
        Letter(letter: "S", flag: .seen), Letter(letter: "T", flag: .deleted),
        Letter(letter: "a", keyword: (0, "work")), Letter(letter: "b", keyword: (1, "later")),
    ]

    private func letter() -> Letter { Self.letters[Int(random.next(below: UInt32(Self.letters.count)))] }

    private func text() -> String {
        next += 1
        return "message \(next)"
    }

    /// One of several; nil of none.
    private func one<T>(of all: [T]) -> T? { all.isEmpty ? nil : all[Int(random.next(below: UInt32(all.count)))] }

    /// Folders as the other program sees them, each with a slash at its end; INBOX has no name.
    private func directories() -> [String] {
        let found = names(site.home).filter { name in
            name.hasPrefix(".") && !name.hasPrefix(".\\-")
                && names("\(site.home)/\(name)").count { $0 == "cur" || $0 == "new" } == 2
        }
        return found.map { $0 + "/" } + [""]
    }

    /// A folder that a client deleted in the slice that a crash broke off is none any more, and nobody knows yet: a message of
    /// that slice that is moved there is then a copy.
    private func isMailbox(_ directory: String) -> Bool { contents("\(site.home)/\(directory)dovecot-uidlist") != nil }

    /// Every file by its text.
    private func files() -> [String: (folder: String, path: String)] {
        var found: [String: (folder: String, path: String)] = [:]
        for folder in directories() {
            for part in ["cur", "new"] {
                for name in names(site.home + "/" + folder + part) {
                    let path = folder + part + "/" + name
                    if let text = contents(site.home + "/" + path) { found[text] = (folder, path) }
                }
            }
        }
        return found
    }

    /// The account's mailboxes but INBOX, which stays.
    private func mailboxes() throws -> [MailboxID] {
        try site.engine.read { state in
            var found: [MailboxID] = []
            try state.mailboxes(site.account) { id, _ in
                found.append(id)
                return true
            }
            return found.filter { $0 != MailboxID(1) }.sorted()
        }
    }

    private func rows() throws -> [String: (mailbox: MailboxID, uid: UID, row: MessageRow)] {
        var found: [String: (mailbox: MailboxID, uid: UID, row: MessageRow)] = [:]
        let all = try [MailboxID(1)] + mailboxes()
        try site.engine.read { state in
            for mailbox in all {
                var rows: [(UID, MessageRow)] = []
                try state.messages(site.account, mailbox, from: UID(1)) { uid, row in
                    rows.append((uid, row))
                    return true
                }
                for (uid, row) in rows {
                    var bytes: [UInt8] = []
                    let body = try site.engine.openBody(row.blob)
                    try body.read(at: 0, count: body.size, into: &bytes)
                    let text = String(decoding: bytes, as: UTF8.self)
                    #expect(found[text] == nil, "\(text) is there twice")
                    found[text] = (mailbox, uid, row)
                }
            }
        }
        return found
    }

    func byState() throws {
        let rows = try rows()
        let picked = rows.keys.sorted()
        switch random.next(below: 13) {
        case 0...2:
            let text = text()
            let folder = try random.next(below: 3) == 0 ? one(of: mailboxes()) : nil
            let append = AppendMessages(mailbox: folder ?? MailboxID(1), messages: [NewMessage(body: 0)], origin: .lmtp)
            try site.run(.append(append), bodies: [text])
            model.messages[text] = Model.Message(isFresh: true)
        case 3...7:
            guard let text = one(of: picked), let row = rows[text] else { return }
            let letter = letter()
            try site.run(
                .changeFlags(
                    ChangeFlags(
                        mailbox: row.mailbox, uids: UIDSet(row.uid), operation: letter.isSet(row.row) ? .remove : .add,
                        flags: letter.flag, keywords: [letter.keyword.flatMap { Keyword($0.name) }].compactMap(\.self)))
            )
            model.messages[text]?.flipped.formSymmetricDifference([letter.letter])
            model.messages[text]?.touchedByState.insert(letter.letter)
            model.messages[text]?.wasChangedByState = true
        case 8:
            guard let text = picked.first, let row = rows[text], random.next(below: 2) == 0 else { return }
            try site.run(
                .expunge(Expunge(mailbox: row.mailbox, uids: UIDSet(row.uid), onlyDeleted: false, reason: .expunge)))
            model.messages[text]?.deletedByState = true
        case 9:
            guard let text = picked.last, let row = rows[text],
                let other = try one(of: ([MailboxID(1)] + mailboxes()).filter { $0 != row.mailbox })
            else { return }
            try site.run(.move(CopyMessages(source: row.mailbox, destination: other, uids: UIDSet(row.uid))))
            model.messages[text]?.hasMoved = true
            model.messages[text]?.wasChangedByState = true
        default: try changeFolder(rows)
        }
    }

    private func changeFolder(_ rows: [String: (mailbox: MailboxID, uid: UID, row: MessageRow)]) throws {
        let all = try mailboxes()
        let folder = one(of: all)
        // Few names, so that one comes again while the other program still works where it was.
        let free = try ["Box", "One", "Two", "Three", "Four"].filter { try !site.has($0) }
        switch random.next(below: 4) {
        case 0:
            guard let folder else { return }
            try site.run(.deleteMailbox(folder))
            for (text, row) in rows where row.mailbox == folder { model.messages[text]?.deletedByState = true }
        case 1...2:
            guard let folder, let name = one(of: free).flatMap({ MailboxName($0) }) else { return }
            try site.run(.renameMailbox(folder, to: name))
        default:
            if all.count < 4, let name = one(of: free) { try site.create(name) }
        }
    }

    func byTree() throws {
        let files = files()
        let picked = files.keys.sorted()
        switch random.next(below: 10) {
        case 0...2:
            let text = text()
            let folder = random.next(below: 3) == 0 ? one(of: directories()) ?? "" : ""
            let isRead = random.next(below: 2) == 0
            // No two of a name: as a delivery program makes them.
            try site.put(text, folder + (isRead ? "cur/\(next).x:2,Sa" : "new/\(next).x"))
            model.messages[text] = Model.Message(letters: isRead ? ["S", "a"] : [], isFresh: true)
        case 3...7:
            guard let text = one(of: picked), let (folder, path) = files[text], let slash = path.lastIndex(of: "/")
            else { return }
            let name = path[path.index(after: slash)...].split(separator: ":")
            var letters = Set(name.dropFirst().first?.dropFirst(2) ?? "")
            let letter = letter().letter
            letters.formSymmetricDifference([letter])
            site.move(path, to: folder + "cur/" + name[0] + ":2," + String(letters.sorted()))
            model.messages[text]?.flipped.formSymmetricDifference([letter])
            model.messages[text]?.touchedByTree.insert(letter)
        case 8:
            guard let text = picked.first, let path = files[text]?.path, random.next(below: 2) == 0 else { return }
            remove(site.home + "/" + path)
            model.messages[text]?.deletedByTree = true
        default:
            guard let text = picked.last, let (folder, path) = files[text],
                let target = one(of: directories().filter { $0 != folder && (!hasCrashed || isMailbox($0)) })
            else { return }
            site.move(path, to: target + path.dropFirst(folder.count))
            model.messages[text]?.hasMoved = true
        }
    }

    func follow() throws {
        do {
            switch random.next(below: 6) {
            case 0: _ = try projection.step()
            case 1: try projection.catchUp()
            case 2: _ = try projection.importChanges()
            case 3: try projection.settleImports()
            case 4: try projection.storeCheckpoint()
            default: if isBetween { begin() } else { fuse.steps = Int(random.next(below: 12)) }
            }
        } catch is Crash {
            hasCrashed = true
            begin()
        }
    }

    /// Both sides have met: what the model holds, and that it is held.
    func meet(_ place: String) throws {
        fuse.steps = nil
        try projection.settleImports()
        try projection.storeCheckpoint()
        let wrong = try site.differences(projection)
        #expect(wrong == [], "\(wrong) \(place)")
        let rows = try rows()
        for (text, message) in model.messages.sorted(by: { $0.key < $1.key }) {
            let row = rows[text]
            let mayGo = message.deletedByState || message.deletedByTree
            let mayStay = message.wasChangedByState || (hasCrashed && message.isFresh)
            let mustGo = message.deletedByState || (message.deletedByTree && !mayStay)
            if mustGo, !message.hasMoved { #expect(row == nil, "\(text) is still there, \(place)") }
            guard let row else {
                #expect(mayGo, "\(text) is lost, \(place)")
                model.messages[text] = nil
                continue
            }
            let letters = message.letters.symmetricDifference(message.flipped)
            let found = Set(Self.letters.filter { $0.isSet(row.row) }.map(\.letter))
            var unsure =
                message.hasMoved || message.deletedByTree || (hasCrashed && message.isFresh)
                ? message.touchedByState.union(message.touchedByTree)
                : message.touchedByState.intersection(message.touchedByTree)
            if fuse.wasSync { unsure.formUnion(message.touchedByTree) }
            let wrong = found.symmetricDifference(letters).subtracting(unsure)
            #expect(wrong == [], "\(text) has \(found), not \(letters), \(place)")
            model.messages[text] = Model.Message(letters: found)
        }
        #expect(Set(rows.keys).isSubset(of: model.messages.keys), "\(place)")
        let head = try site.head
        let before = tree(site.root)
        try projection.settleImports()
        #expect(try site.head == head, "a second pass made events, \(place)")
        #expect(tree(site.root) == before, "a second pass changed files, \(place)")
        hasCrashed = false
        fuse.wasSync = false
    }
}

@Suite("Maildir two-way, at random")
struct TwoWayRandomTests {
    private static let first = getenv("LETTERLOG_SOAK_SEED").flatMap { UInt64(String(cString: $0)) } ?? 0
    private static let count: UInt64 = getenv("LETTERLOG_SOAK_SECONDS") == nil ? 24 : 400

    @Test(
        "both sides work on the same messages, the projection at any pace, with crashes",
        arguments: (0..<Self.count).map { Self.first &+ $0 })
    func interleaved(seed: UInt64) throws { try Self.work(try Run(seed: seed), seed) }

    @Test(
        "a kill between two slices leaves nothing in doubt",
        arguments: (0..<Self.count / 2).map { Self.first &+ $0 })
    func killedBetween(seed: UInt64) throws { try Self.work(try Run(seed: seed, killsBetween: true), seed) }

    private static func work(_ run: Run, _ seed: UInt64) throws {
        for round in 0..<3 {
            for _ in 0..<25 {
                switch run.random.next(below: 3) {
                case 0: try run.byState()
                case 1: try run.byTree()
                default: try run.follow()
                }
            }
            try run.meet("seed \(seed), round \(round)")
        }
    }
}
