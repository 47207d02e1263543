// What the log says behind what was projected. Where it is not remembered what was last put into a folder, it follows from
// the state: what was projected is the state, but for what these events changed since. So no table has to be kept.
import EventStore
import MailCore
import MailTypes

struct LogWindow {
    struct Box {
        var arrived = UIDSet()
        /// Expunged, or moved away.
        var gone = UIDSet()
        /// Letters that were changed, by UID.
        var letters: [UInt32: UInt32] = [:]
        /// Nothing can be said: the tree is taken as it is.
        var isUnknown = false
    }

    var boxes: [MailboxID: Box] = [:]
    /// Mailboxes came, went or were renamed.
    var hasLayout = false
    /// The tree became one of both ways: what is there is not what was projected.
    private var isNew = false
    private var messages = 0
    private let forwarded: KeywordID?

    init(forwarded: KeywordID?) { self.forwarded = forwarded }

    func box(_ mailbox: MailboxID) -> Box {
        if isNew || messages > MaildirLimits.windowMessagesMax {
            var box = Box()
            box.isUnknown = true
            return box
        }
        return boxes[mailbox] ?? Box()
    }

    /// - Parameter isImport: it came from the tree, which is so already, and no power cut has taken that back.
    mutating func add(_ event: Event, isImport: Bool) {
        guard messages <= MaildirLimits.windowMessagesMax else { return }
        switch event {
        case .accountCreated, .accountStatusSet, .mailboxCreated, .mailboxRenamed, .mailboxDeleted, .addressAdded,
            .addressRemoved:
            hasLayout = true
        case .settingSet(let key, _) where key == MaildirProjection.settingKey:
            hasLayout = true
            isNew = true
        case .uidValidityBumped(let mailbox, _): boxes[mailbox, default: Box()].isUnknown = true
        case .messageAppended(let event): arrive(UIDSet(event.uid), event.mailbox)
        case .messageRestored(let event): arrive(UIDSet(event.uid), event.mailbox)
        case .messagesCopied(let event): arrive(event.arrivals, event.destination)
        case .messagesMoved(let event):
            arrive(event.arrivals, event.destination)
            leave(event.uids, event.source)
        case .messagesExpunged(let event): leave(event.uids, event.mailbox)
        case .messagesCollected(let event): leave(event.uids, event.mailbox)
        case .flagsChanged(let event): change(event, isImport)
        default: break
        }
    }

    private mutating func arrive(_ uids: UIDSet, _ mailbox: MailboxID) {
        messages += uids.count
        boxes[mailbox, default: Box()].arrived.formUnion(uids)
    }

    private mutating func leave(_ uids: UIDSet, _ mailbox: MailboxID) {
        messages += uids.count
        boxes[mailbox, default: Box()].gone.formUnion(uids)
    }

    private mutating func change(_ event: FlagsChanged, _ isImport: Bool) {
        messages += event.uids.count
        guard messages <= MaildirLimits.windowMessagesMax else { return }
        let ids = event.addKeywords + event.removeKeywords
        let bits = ids.filter { !$0.isSpilled }.reduce(UInt64(0)) { $0 | 1 << UInt64($1.rawValue) }
        let isForwarded = forwarded.map(ids.contains) ?? false
        let letters = MaildirLetters(event.add.union(event.remove), keywords: bits, forwarded: isForwarded).bits
        for uid in event.uids {
            if isImport {
                boxes[event.mailbox]?.letters[uid.rawValue]? &= ~letters
            } else {
                boxes[event.mailbox, default: Box()].letters[uid.rawValue, default: 0] |= letters
            }
        }
    }
}

extension MaildirProjection {
    /// What the log says of an account behind what was projected.
    func window(_ account: AccountID) throws -> LogWindow {
        try engine.read { state in
            var window = LogWindow(forwarded: try state.forwardedKeyword(account))
            try state.log(after: projected) { logged in
                if logged.context.account == account {
                    let isImport = logged.origin.gateway == .maildirImport && logged.cursor > doubtful
                    window.add(logged.event, isImport: isImport)
                }
                return true
            }
            return window
        }
    }

    /// What was last put into a folder, as the state and the log tell it.
    func derivedBase(_ place: FolderPlace, _ files: [TreeFile]) throws -> (base: FolderIndex, gone: UIDSet) {
        var found: [(uid: UInt32, entry: FolderEntry)] = []
        try inPieces(place.account, place.mailbox) { state, box, rows in
            let forwarded = try state.forwardedKeyword(place.account)
            return try rows.map { uid, row in
                let file = try wanted(row, uid, box, forwarded, state, place.account, place.mailbox)
                return (uid: uid.rawValue, entry: file.entry)
            }
        } use: { piece in
            found += piece
            return true
        }
        // After the rows, so that it names every change that may be in them.
        let box = try window(place.account).box(place.mailbox)
        var tree: [UInt32: FolderEntry] = [:]
        if box.isUnknown || !box.letters.isEmpty || !box.arrived.isEmpty {
            for file in files { tree[file.uid.rawValue] = file.entry }
        }
        let base = found.compactMap { uid, entry -> (uid: UInt32, entry: FolderEntry)? in
            let there = tree[uid]
            if box.isUnknown { return there.map { (uid, $0) } }
            if there == nil, box.arrived.contains(UID(uid)) { return nil }
            guard let mask = box.letters[uid], let there else { return (uid, entry) }
            var entry = entry
            entry.letters.bits = entry.letters.bits & ~mask | there.letters.bits & mask
            return (uid, entry)
        }
        return (FolderIndex(base), box.isUnknown ? UIDSet(files.map(\.uid)) : box.gone)
    }
}
