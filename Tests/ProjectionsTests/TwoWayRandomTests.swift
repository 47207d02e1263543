// Both sides at random, seeded: IMAP-like commands, another program in the tree, the projection at any pace, crashes at
// named steps. A small model says which messages there are and with which letters; at the end tree and state are both as
// it says, nothing is lost, nothing there twice, and another pass does nothing.
//
// The model. A message is known by its text. A letter that one side alone changed since they last met is as that side left
// it. One that both changed has the value of one of them: which, depends on what was looked at between. A message that one
// side deleted is gone, but for one that the tree deleted and the state changed, which may be there or not. Of a message
// that was moved meanwhile the letters are those of one side.
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
    }

    init(seed: UInt64, killsBetween: Bool = false) throws {
        random = Seeded(seed)
        isBetween = killsBetween
        site = try Site()
        try site.create("Box")
        try site.setMode(.twoWay)
        projection = site.projection()
        begin()
        try site.settled(projection)
    }

    private func begin() {
        let fuse = fuse
        projection = site.projection { _ in
            guard let left = fuse.steps else { return }
            fuse.steps = left - 1
            if left <= 0 {
                fuse.steps = nil
                throw Crash()
            }
        }
    }

    private static let letters: [(Character, SystemFlags)] = [
        ("D", .draft), ("F", .flagged), ("R", .answered), ("S", .seen), ("T", .deleted),
    ]

    private func text() -> String {
        next += 1
        return "message \(next)"
    }

    /// Every file by its text.
    private func files() -> [String: String] {
        var found: [String: String] = [:]
        for folder in ["", ".Box/"] {
            for part in ["cur", "new"] {
                for name in names(site.home + "/" + folder + part) {
                    let path = folder + part + "/" + name
                    if let text = contents(site.home + "/" + path) { found[text] = path }
                }
            }
        }
        return found
    }

    private func rows() throws -> [String: (mailbox: MailboxID, uid: UID, row: MessageRow)] {
        var found: [String: (mailbox: MailboxID, uid: UID, row: MessageRow)] = [:]
        try site.engine.read { state in
            for mailbox in [MailboxID(1), MailboxID(2)] {
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
        switch random.next(below: 10) {
        case 0...2:
            let text = text()
            try site.deliver(text, to: random.next(below: 3) == 0 ? "Box" : "INBOX")
            model.messages[text] = Model.Message(isFresh: true)
        case 3...7:
            guard !picked.isEmpty, let row = rows[picked[Int(random.next(below: UInt32(picked.count)))]] else { return }
            let text = picked.first { rows[$0]?.uid == row.uid && rows[$0]?.mailbox == row.mailbox } ?? ""
            let (letter, flag) = Self.letters[Int(random.next(below: 5))]
            let isSet = row.row.flags.contains(flag)
            try site.run(
                .changeFlags(
                    ChangeFlags(
                        mailbox: row.mailbox, uids: UIDSet(row.uid), operation: isSet ? .remove : .add, flags: flag)))
            model.messages[text]?.flipped.formSymmetricDifference([letter])
            model.messages[text]?.touchedByState.insert(letter)
            model.messages[text]?.wasChangedByState = true
        case 8:
            guard let text = picked.first, let row = rows[text], random.next(below: 2) == 0 else { return }
            try site.run(
                .expunge(Expunge(mailbox: row.mailbox, uids: UIDSet(row.uid), onlyDeleted: false, reason: .expunge)))
            model.messages[text]?.deletedByState = true
        default:
            guard let text = picked.last, let row = rows[text] else { return }
            let other = MailboxID(3 - row.mailbox.rawValue)
            try site.run(.move(CopyMessages(source: row.mailbox, destination: other, uids: UIDSet(row.uid))))
            model.messages[text]?.hasMoved = true
            model.messages[text]?.wasChangedByState = true
        }
    }

    func byTree() throws {
        let files = files()
        let picked = files.keys.sorted()
        switch random.next(below: 10) {
        case 0...2:
            let text = text()
            let folder = random.next(below: 3) == 0 ? ".Box/" : ""
            let isRead = random.next(below: 2) == 0
            // No two of a name: as a delivery program makes them.
            try site.put(text, folder + (isRead ? "cur/\(next).x:2,S" : "new/\(next).x"))
            model.messages[text] = Model.Message(letters: isRead ? ["S"] : [], isFresh: true)
        case 3...7:
            guard !picked.isEmpty else { return }
            let text = picked[Int(random.next(below: UInt32(picked.count)))]
            guard let path = files[text], let slash = path.lastIndex(of: "/") else { return }
            let name = path[path.index(after: slash)...].split(separator: ":")
            var letters = Set(name.dropFirst().first?.dropFirst(2) ?? "")
            let letter = Self.letters[Int(random.next(below: 5))].0
            letters.formSymmetricDifference([letter])
            let folder = path.hasPrefix(".Box/") ? ".Box/" : ""
            site.move(path, to: folder + "cur/" + name[0] + ":2," + String(letters.sorted()))
            model.messages[text]?.flipped.formSymmetricDifference([letter])
            model.messages[text]?.touchedByTree.insert(letter)
        case 8:
            guard let text = picked.first, let path = files[text], random.next(below: 2) == 0 else { return }
            remove(site.home + "/" + path)
            model.messages[text]?.deletedByTree = true
        default:
            guard let text = picked.last, let path = files[text] else { return }
            let target = path.hasPrefix(".Box/") ? String(path.dropFirst(5)) : ".Box/" + path
            site.move(path, to: target)
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
            let found = Set(Self.letters.filter { row.row.flags.contains($0.1) }.map(\.0))
            let unsure =
                message.hasMoved || message.deletedByTree || (hasCrashed && message.isFresh)
                ? message.touchedByState.union(message.touchedByTree)
                : message.touchedByState.intersection(message.touchedByTree)
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
