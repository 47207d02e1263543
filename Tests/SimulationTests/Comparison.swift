// The store against the model: answers, rows, counters, change rows; and the rules that need no model.
// The numbers in comments are those of the invariants in docs/formats/event-log.md.
import EventStore
import MailCore
import MailTypes

// MARK: Answers

func compare(_ result: CommandResult, _ outcome: Model.Outcome, _ account: Model.Account) throws {
    switch result {
    case .appended(_, let uids): try same(uids, outcome.answer, "appended")
    case .flags(let changed, let modified):
        try same(changed, outcome.answer, "changed")
        try same(modified, outcome.modified, "modified")
    case .expunged(let uids): try same(uids, outcome.answer, "expunged")
    case .copied(let validity, let source, let destination):
        try same(source, outcome.source, "copied from")
        try same(destination, outcome.answer, "copied to")
        let isKnown = account.boxes.values.contains { $0.validity == validity.rawValue }
        try expect(isKnown, "COPYUID names UIDVALIDITY \(validity.rawValue), which no mailbox has")
    case .done, .account, .mailbox, .queued: break
    }
}

private func same(_ set: UIDSet, _ expected: Set<UInt32>, _ what: String) throws {
    let found = Set(set.map(\.rawValue))
    try expect(found == expected, "\(what): \(set), expected \(UIDSet(expected.map { UID($0) }))")
}

// MARK: Learning what the store may choose

/// Takes over identifiers, UIDVALIDITYs and modseqs of what a command touched, once they obey the rules.
func learn(_ state: inout Model.Account, _ outcome: Model.Outcome, _ account: AccountID, _ reader: any StateReader)
    throws
{
    let head = try unwrapped(try reader.head(account))
    state.position = head.aseq.rawValue
    for name in outcome.created {
        let full = try unwrapped(MailboxName(name))
        let id = try unwrapped(try reader.mailboxID(account, named: full))
        let row = try unwrapped(try reader.mailbox(account, id))
        // 15, and RFC 7162 section 3.1.2.1: a new mailbox has a modseq.
        try expect(row.uidValidity.rawValue > state.highestValidity, "UIDVALIDITY of \(name) does not rise")
        try expect(row.highestModSeq > .zero, "\(name) has no HIGHESTMODSEQ")
        state.highestValidity = row.uidValidity.rawValue
        let isNew = !state.boxes.values.contains { $0.id == id.rawValue } && state.dead[id.rawValue] == nil
        try expect(isNew, "identifier \(id.rawValue) is used again")
        state.boxes[name]?.id = id.rawValue
        state.boxes[name]?.validity = row.uidValidity.rawValue
        state.boxes[name]?.highest = row.highestModSeq.rawValue
    }
    if let name = outcome.bumped, let id = state.boxes[name]?.id {
        let row = try unwrapped(try reader.mailbox(account, MailboxID(id)))
        try expect(row.uidValidity.rawValue > state.highestValidity, "UIDVALIDITY of \(name) does not rise")
        state.highestValidity = row.uidValidity.rawValue
        state.boxes[name]?.validity = row.uidValidity.rawValue
    }
    for (id, touched) in outcome.touched {
        let name = try unwrapped(state.name(MailboxID(id)))
        var box = try unwrapped(state.boxes[name])
        try learn(&box, touched, head.aseq, account, reader)
        state.boxes[name] = box
    }
}

private func learn(
    _ box: inout Model.Box, _ touched: Model.Touched, _ position: ModSeq, _ account: AccountID,
    _ reader: any StateReader
) throws {
    let mailbox = MailboxID(box.id)
    let row = try unwrapped(try reader.mailbox(account, mailbox))
    let highest = row.highestModSeq.rawValue
    // 17, and RFC 7162 section 3.1: a change raises HIGHESTMODSEQ.
    try expect(highest > box.highest && highest <= position.rawValue, "HIGHESTMODSEQ \(highest) after \(box.highest)")
    for uid in touched.arrived.union(touched.changed).sorted() {
        let found = try unwrapped(try reader.message(account, mailbox, UID(uid)))
        let modseq = found.modSeq.rawValue
        try expect(modseq > box.highest && modseq <= highest, "modseq \(modseq) of UID \(uid), before \(box.highest)")
        box.messages[uid]?.modseq = modseq
        guard touched.arrived.contains(uid) else { continue }
        // 21: a copy keeps the email's identifier, so a known one must be the same.
        if let email = box.messages[uid]?.email, email != 0 {
            try expect(email == found.email.rawValue, "EMAILID of UID \(uid) changed")
        }
        box.messages[uid]?.email = found.email.rawValue
    }
    for uid in touched.gone { box.gone[uid]?.modseq = highest }
    if !touched.gone.isEmpty { box.lastGone = highest }
    box.highest = highest
}

// MARK: Rows

func compareTouched(
    _ state: Model.Account, _ outcome: Model.Outcome, _ account: AccountID, _ reader: any StateReader
) throws {
    for id in outcome.touched.keys {
        let name = try unwrapped(state.name(MailboxID(id)))
        try compareBox(try unwrapped(state.boxes[name]), name, account, reader)
    }
    try compareHead(state, account, reader)
}

func compareAll(_ state: Model.Account, _ account: AccountID, _ reader: any StateReader) throws {
    try compareHead(state, account, reader)
    var ids: [UInt32] = []
    try reader.mailboxes(account) { id, _ in
        ids.append(id.rawValue)
        return true
    }
    // 19: names and live mailboxes belong to each other.
    try expect(ids == state.boxes.values.map(\.id).sorted(), "mailboxes \(ids), expected \(state.boxes.keys)")
    for (name, box) in state.boxes {
        let full = try unwrapped(MailboxName(name))
        try expect(try reader.mailboxID(account, named: full)?.rawValue == box.id, "\(name) is not found")
        try expect(try reader.name(account, of: MailboxID(box.id)) == full, "\(name) has another name")
        try compareBox(box, name, account, reader)
        try compareGone(box, account, reader)
        try compareUIDLs(box, account, reader)
        try compareChanges(box, after: box.highest / 2, account, reader)
        try compareChanges(box, after: 0, account, reader)
    }
    for name in state.formerNames {
        let full = try unwrapped(MailboxName(name))
        try expect(try reader.mailboxID(account, named: full) == nil, "\(name) is still found")
    }
    for (id, box) in state.dead {
        let isCollected = box.dueDay == .max
        let tombstone = try reader.tombstone(account, MailboxID(id))
        try expect((tombstone == nil) == isCollected, "tombstone of mailbox \(id)")
        try compareMessages(box, "deleted \(id)", account, reader)
        try compareGone(box, account, reader)
        try compareUIDLs(box, account, reader)
    }
    try expect(try Set(reader.subscriptions(account)) == state.subscriptions, "subscriptions")
}

private func compareHead(_ state: Model.Account, _ account: AccountID, _ reader: any StateReader) throws {
    let head = try unwrapped(try reader.head(account))
    try expect(head.aseq.rawValue == state.position, "account at \(head.aseq.rawValue), expected \(state.position)")
    try expect((head.status == .active) == state.isActive, "status")
    // 16
    let used = Quota(bytes: UInt64(state.usedBytes), messages: UInt64(state.usedMessages))
    try expect(head.used == used, "use of quota: \(head.used), expected \(used)")
    try expect(head.quota == Quota(bytes: UInt64(state.quotaBytes), messages: UInt64(state.quotaMessages)), "quota")
}

private func compareBox(_ box: Model.Box, _ name: String, _ account: AccountID, _ reader: any StateReader) throws {
    let row = try unwrapped(try reader.mailbox(account, MailboxID(box.id)))
    let messages = box.messages.values
    try expect(row.uidValidity.rawValue == box.validity, "UIDVALIDITY of \(name)")
    try expect(row.uidNext == box.next, "UIDNEXT of \(name): \(row.uidNext), expected \(box.next)")
    try expect(row.highestModSeq.rawValue == box.highest, "HIGHESTMODSEQ of \(name)")
    try expect(row.lastExpunge.rawValue == box.lastGone, "position of the last expunge of \(name)")
    // 16
    let unseen = messages.count { !$0.flags.contains("\\seen") }
    let deleted = messages.count { $0.flags.contains("\\deleted") }
    let bytes = messages.reduce(0) { $0 + $1.size }
    let found = [Int(row.exists), Int(row.unseen), Int(row.deleted), Int(row.bytes)]
    let expected = [messages.count, unseen, deleted, bytes]
    try expect(found == expected, "exists, unseen, deleted, bytes of \(name): \(found), expected \(expected)")
    try compareMessages(box, name, account, reader)
}

private func compareMessages(
    _ box: Model.Box, _ name: String, _ account: AccountID, _ reader: any StateReader
) throws {
    let mailbox = MailboxID(box.id)
    var rows: [(UID, MessageRow)] = []
    try reader.messages(account, mailbox, from: UID(1)) { uid, row in
        rows.append((uid, row))
        return true
    }
    // 14
    try expect(rows.map(\.0.rawValue) == box.messages.keys.sorted(), "UIDs of \(name): \(rows.map(\.0.rawValue))")
    for (uid, row) in rows {
        guard let message = box.messages[uid.rawValue] else { continue }
        let flags = try flagNames(account, mailbox, uid, row, reader)
        try expect(
            flags == message.flags, "flags of UID \(uid.rawValue) of \(name): \(flags), expected \(message.flags)")
        let found = [UInt64(row.size), row.blob.rawValue, row.modSeq.rawValue, row.email.rawValue]
        let expected = [UInt64(message.size), message.body, message.modseq, message.email]
        try expect(
            found == expected, "size, body, modseq, email of UID \(uid.rawValue) of \(name): \(found), \(expected)")
    }
}

private func compareUIDLs(_ box: Model.Box, _ account: AccountID, _ reader: any StateReader) throws {
    var found: [UInt32: String] = [:]
    try reader.uidls(account, MailboxID(box.id)) { uid, uidl in
        found[uid.rawValue] = uidl
        return true
    }
    try expect(found == box.uidls, "UIDLs of mailbox \(box.id): \(found), expected \(box.uidls)")
}

private func flagNames(
    _ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: MessageRow, _ reader: any StateReader
) throws -> Set<String> {
    if row.keywordBits == 0 { return names(row.flags, []) }
    let keywords = try reader.keywords(account, mailbox, uid, row).map {
        try unwrapped(try reader.keyword(account, $0))
    }
    return names(row.flags, keywords)
}

/// 20: a UID below UIDNEXT is live, expunged, or collected and then in no row.
private func compareGone(_ box: Model.Box, _ account: AccountID, _ reader: any StateReader) throws {
    for uid in 1..<max(box.next, 2) {
        let found = try reader.expunged(account, MailboxID(box.id), UID(uid))
        let expected = box.gone[uid]
        try expect((found == nil) == (expected == nil), "expunged UID \(uid): \(String(describing: found))")
        guard let found, let expected else { continue }
        let isSame =
            found.movedOut == expected.moved && found.expunged.rawValue == expected.modseq
            && Int(found.dueDay) == expected.dueDay && found.row.blob.rawValue == expected.message.body
        try expect(isSame, "expunged UID \(uid): \(found), expected \(expected)")
    }
}

/// RFC 7162 sections 3.1.4.1 and 3.2.5: what changed and what vanished since a modseq.
private func compareChanges(
    _ box: Model.Box, after position: UInt64, _ account: AccountID, _ reader: any StateReader
) throws {
    var present = UIDSet()
    var gone = UIDSet()
    try reader.changes(account, MailboxID(box.id), after: ModSeq(position)) { _, change in
        present.formUnion(change.arrived)
        present.formUnion(change.changed)
        gone.formUnion(change.gone)
        return true
    }
    let changed = box.messages.filter { $0.value.modseq > position }.keys
    try same(present.subtracting(gone), Set(changed), "changed since \(position)")
    let vanished = Set(gone.map(\.rawValue))
    let expected = Set(box.gone.filter { $0.value.modseq > position }.keys)
    // Collected and restored messages are gone from the model, but stay in the history.
    try expect(vanished.isSuperset(of: expected), "vanished since \(position): \(gone)")
    try expect(vanished.isDisjoint(with: box.messages.keys), "a live UID vanished: \(gone)")
}

/// All that waits for collection, of both accounts.
func compareSchedule(_ model: Model, _ reader: any StateReader) throws {
    var found: Set<[Int]> = []
    var lastDay = 0
    var isOrdered = true
    try reader.collectable(through: .max) { day, account, mailbox, uid in
        found.insert([Int(day), Int(account.rawValue), Int(mailbox.rawValue), Int(uid.rawValue)])
        isOrdered = isOrdered && Int(day) >= lastDay
        lastDay = Int(day)
        return true
    }
    var expected: Set<[Int]> = []
    for (account, state) in model.accounts {
        for box in Array(state.boxes.values) + Array(state.dead.values) {
            for (uid, gone) in box.gone { expected.insert([gone.dueDay, Int(account), Int(box.id), Int(uid)]) }
            if let due = box.dueDay, due != .max { expected.insert([due, Int(account), Int(box.id), 0]) }
        }
    }
    try expect(found == expected, "collection: \(found.symmetricDifference(expected)) in one only")
    try expect(isOrdered, "the days of collection do not ascend")
}

/// 22: a body is referred to by live messages and by those kept after an expunge, unless they were moved.
func expectedReferences(_ model: Model) -> [UInt64: UInt32] {
    var counts: [UInt64: UInt32] = [:]
    for state in model.accounts.values {
        for box in Array(state.boxes.values) + Array(state.dead.values) {
            for message in box.messages.values { counts[message.body, default: 0] += 1 }
            for gone in box.gone.values where !gone.moved { counts[gone.message.body, default: 0] += 1 }
        }
    }
    return counts
}
