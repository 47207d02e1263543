// Invariants of one account's rows in one snapshot: 14 UIDs below UIDNEXT, 15 UIDVALIDITYs distinct and below the last,
// 16 counters equal a recount, 17 modseqs in order, 18 change rows in order, 19 names, 20 a UID is in one place.
import EventFormat
import LMDB
import MailCore
import MailTypes

struct StateCheck {
    let view: LocalView
    let account: AccountID
    private(set) var messages = 0
    /// References to bodies from live and restorable messages.
    private(set) var references: [BlobNumber: UInt32] = [:]

    init(_ view: LocalView, _ account: AccountID) {
        self.view = view
        self.account = account
    }

    mutating func run() throws {
        guard let head = try view.head(account) else { return }
        var boxes: [(MailboxID, MailboxRow)] = []
        try view.mailboxes(account) { id, row in
            boxes.append((id, row))
            return true
        }
        var bytes: UInt64 = 0
        var count: UInt64 = 0
        var validities: Set<UIDValidity> = []
        for (id, row) in boxes {
            try check(id, row, head, isLive: true)
            bytes += row.bytes
            count += UInt64(row.exists)
            guard validities.insert(row.uidValidity).inserted, row.uidValidity.rawValue <= head.lastUIDValidity else {
                throw violation(15, "mailbox \(id.rawValue) has UIDVALIDITY \(row.uidValidity.rawValue) again")
            }
        }
        try checkNames(boxes, head)
        try checkTombstones(head)
        guard head.used.bytes == bytes, head.used.messages == count else {
            throw violation(
                16,
                "use is \(head.used.bytes) octets in \(head.used.messages) messages, a recount gives "
                    + "\(bytes) in \(count)")
        }
    }

    private func violation(_ invariant: Int, _ text: String) -> Violation {
        Violation(.mailbox, invariant, "account \(account.rawValue): \(text)")
    }

    private mutating func check(_ id: MailboxID, _ row: MailboxRow, _ head: AccountHead, isLive: Bool) throws {
        var recount = row
        (recount.exists, recount.unseen, recount.deleted, recount.bytes) = (0, 0, 0, 0)
        var fault: Violation?
        var found: [BlobNumber] = []
        try view.messages(account, id, from: UID(0)) { uid, message in
            if uid.rawValue == 0 || uid.rawValue >= row.uidNext {
                fault = violation(14, "UID \(uid.rawValue) of mailbox \(id.rawValue) is not below UIDNEXT")
            }
            if message.modSeq > row.highestModSeq || message.modSeq == .zero {
                fault = violation(17, "UID \(uid.rawValue) of mailbox \(id.rawValue) is above HIGHESTMODSEQ")
            }
            recount.exists += 1
            recount.bytes += UInt64(message.size)
            if !message.flags.contains(.seen) { recount.unseen += 1 }
            if message.flags.contains(.deleted) { recount.deleted += 1 }
            found.append(message.blob)
            return fault == nil
        }
        if let fault { throw fault }
        messages += found.count
        for blob in found { references[blob, default: 0] += 1 }
        guard recount == row else {
            throw violation(
                16,
                "mailbox \(id.rawValue) counts \(row.exists)/\(row.unseen)/\(row.deleted)/\(row.bytes), a recount "
                    + "gives \(recount.exists)/\(recount.unseen)/\(recount.deleted)/\(recount.bytes)")
        }
        guard row.highestModSeq <= head.aseq, row.highestModSeq >= row.created else {
            throw violation(17, "mailbox \(id.rawValue) is ahead of its account")
        }
        try checkExpunged(id, row)
        try checkChanges(id, row)
    }

    private mutating func checkExpunged(_ id: MailboxID, _ row: MailboxRow) throws {
        var fault: Violation?
        var found: [BlobNumber] = []
        try view.expungedMessages(account, id) { uid, gone in
            do {
                if try view.message(account, id, uid) != nil {
                    fault = violation(20, "UID \(uid.rawValue) of mailbox \(id.rawValue) is live and expunged")
                }
            } catch { fault = violation(20, "UID \(uid.rawValue): \(error)") }
            if uid.rawValue >= row.uidNext {
                fault = violation(14, "expunged UID \(uid.rawValue) of mailbox \(id.rawValue) is not below UIDNEXT")
            }
            if !gone.movedOut { found.append(gone.row.blob) }
            return fault == nil
        }
        if let fault { throw fault }
        for blob in found { references[blob, default: 0] += 1 }
    }

    private func checkChanges(_ id: MailboxID, _ row: MailboxRow) throws {
        var last = ModSeq.zero
        try view.changes(account, id, after: .zero) { position, _ in
            last = max(last, position)
            return true
        }
        // The newest change row is the event that set HIGHESTMODSEQ, unless nothing has happened since the creation.
        guard last == row.highestModSeq || (last == .zero && row.highestModSeq == row.created) else {
            throw violation(
                18,
                "mailbox \(id.rawValue): last change row \(last.rawValue), HIGHESTMODSEQ \(row.highestModSeq.rawValue)")
        }
    }

    private func checkNames(_ boxes: [(MailboxID, MailboxRow)], _ head: AccountHead) throws {
        let ids = Set(boxes.map(\.0))
        for (id, row) in boxes {
            guard row.parent == .root || ids.contains(row.parent) else {
                throw violation(19, "mailbox \(id.rawValue) has no parent")
            }
            guard try view.mailboxID(account, parent: row.parent, leaf: row.leaf) == id else {
                throw violation(19, "the name of mailbox \(id.rawValue) leads elsewhere")
            }
        }
        let names = try view.nameCount(account)
        guard names == boxes.count else { throw violation(19, "\(names) names for \(boxes.count) mailboxes") }
        let isPersonal = account >= .firstPersonal && head.status != .removed
        if isPersonal, try view.mailboxID(account, named: .inbox) == nil { throw violation(19, "there is no INBOX") }
    }

    private mutating func checkTombstones(_ head: AccountHead) throws {
        var found: [(MailboxID, MailboxTombstone)] = []
        try view.tombstones(account) { id, tombstone in
            found.append((id, tombstone))
            return true
        }
        for (id, tombstone) in found {
            // A collection under way has taken some of its messages already.
            var blobs: [BlobNumber] = []
            try view.messages(account, id, from: UID(0)) { _, row in
                blobs.append(row.blob)
                return true
            }
            try view.expungedMessages(account, id) { _, gone in
                if !gone.movedOut { blobs.append(gone.row.blob) }
                return true
            }
            guard blobs.count <= Int(tombstone.row.uidNext) else {
                throw violation(14, "deleted mailbox \(id.rawValue) holds more messages than it gave UIDs")
            }
            for blob in blobs { references[blob, default: 0] += 1 }
        }
    }
}

extension LocalView {
    func expungedMessages(
        _ account: AccountID, _ mailbox: MailboxID, _ body: (UID, ExpungedRow) -> Bool
    ) throws(StateFault) {
        try rows(StateKey.expungedMessages(account, mailbox), "expunged messages") { key, value in
            body(try StateKey.parseUID(key), try StateValue.decodeExpunged(value))
        }
    }

    func tombstones(_ account: AccountID, _ body: (MailboxID, MailboxTombstone) -> Bool) throws(StateFault) {
        try rows(StateKey.tombstones(account), "tombstones") { key, value in
            body(try StateKey.parseMailbox(key), try StateValue.decodeTombstone(value))
        }
    }

    func nameCount(_ account: AccountID) throws(StateFault) -> Int {
        var count = 0
        try rows(StateKey.account(account) + [StateKey.nameType], "names") { _, _ in
            count += 1
            return true
        }
        return count
    }
}
