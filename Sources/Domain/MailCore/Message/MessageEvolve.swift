// Message events folded: rows, counters, change rows, references to bodies.
//
// Every mail-visible event writes exactly one change row per mailbox it touches, and gives every message it touches
// its own position as modseq.
import MailTypes

func foldAppended(
    _ event: MessageAppended, at context: EventContext, head: inout AccountHead, in state: any StateEditor
) throws(StateFault) {
    let account = context.account
    var box = try required(event.mailbox, account, state)
    guard event.uid.rawValue >= box.uidNext else {
        throw .inconsistent("UID \(event.uid.rawValue) is below UIDNEXT \(box.uidNext)")
    }
    var row = MessageRow(
        flags: event.flags, size: event.size, modSeq: context.aseq, email: event.email, blob: event.blob,
        saved: context.time, internalDate: event.internalDate)
    try setKeywords(event.keywords, on: &row, account, event.mailbox, event.uid, in: state)
    try state.setMessage(account, event.mailbox, event.uid, row, isNew: true)
    if let uidl = event.uidl { try state.setUIDL(account, event.mailbox, event.uid, uidl) }
    try state.adjustReferences(event.blob, by: 1)
    box.arrive(row, event.uid, at: context.aseq)
    try state.setMailbox(account, event.mailbox, box)
    try state.addChange(account, event.mailbox, context.aseq, ChangeRow(arrived: UIDSet(event.uid)))
    head.nextEmail = max(head.nextEmail, event.email.rawValue + 1)
    head.used.bytes += UInt64(event.size)
    head.used.messages += 1
}

func foldFlags(
    _ event: FlagsChanged, at context: EventContext, in state: any StateEditor
) throws(StateFault) {
    let account = context.account
    var box = try required(event.mailbox, account, state)
    let addBits = inlineBits(event.addKeywords)
    let removeBits = inlineBits(event.removeKeywords)
    let spill = event.addKeywords.contains(where: \.isSpilled) || event.removeKeywords.contains(where: \.isSpilled)
    for (uid, stored) in try requiredMessages(event.uids, event.mailbox, account, state) {
        var row = stored
        box.count(row, -1)
        row.flags = row.flags.subtracting(event.remove).union(event.add)
        row.keywordBits = row.keywordBits & ~removeBits | addBits
        if spill {
            var ids = Set(try state.spilledKeywords(account, event.mailbox, uid))
            ids.subtract(event.removeKeywords)
            ids.formUnion(event.addKeywords.filter(\.isSpilled))
            try setSpill(ids.sorted(), on: &row, account, event.mailbox, uid, in: state)
        }
        row.modSeq = context.aseq
        box.count(row, 1)
        try state.setMessage(account, event.mailbox, uid, row, isNew: false)
    }
    box.highestModSeq = context.aseq
    try state.setMailbox(account, event.mailbox, box)
    try state.addChange(account, event.mailbox, context.aseq, ChangeRow(changed: event.uids))
}

/// Expunge, and the leaving half of a move.
func foldGone(
    _ mailbox: MailboxID, _ uids: UIDSet, movedOut: Bool, at context: EventContext, head: inout AccountHead,
    in state: any StateEditor, recordsChange: Bool = true
) throws(StateFault) {
    let account = context.account
    var box = try required(mailbox, account, state)
    let due = dayNumber(context.time, plusDays: head.retention.undeleteDays)
    for (uid, row) in try requiredMessages(uids, mailbox, account, state) {
        guard box.exists > 0, box.bytes >= UInt64(row.size), head.used.messages > 0,
            head.used.bytes >= UInt64(row.size)
        else { throw .inconsistent("counters of mailbox \(mailbox.rawValue) are below what it holds") }
        try state.removeMessage(account, mailbox, uid)
        let gone = ExpungedRow(row: row, expunged: context.aseq, time: context.time, dueDay: due, movedOut: movedOut)
        try state.setExpunged(account, mailbox, uid, gone)
        try state.scheduleCollection(day: due, account, mailbox, uid)
        box.count(row, -1)
        box.exists -= 1
        box.bytes -= UInt64(row.size)
        head.used.bytes -= UInt64(row.size)
        head.used.messages -= 1
    }
    box.highestModSeq = context.aseq
    box.lastExpunge = context.aseq
    try state.setMailbox(account, mailbox, box)
    if recordsChange { try state.addChange(account, mailbox, context.aseq, ChangeRow(gone: uids)) }
}

func foldCopied(
    _ event: MessagesCopied, at context: EventContext, head: inout AccountHead, in state: any StateEditor
) throws(StateFault) {
    let rows = try requiredMessages(event.uids, event.source, context.account, state)
    for (_, row) in rows { try state.adjustReferences(row.blob, by: 1) }
    let arrived = try foldArrivals(rows, event, at: context, head: &head, in: state)
    try state.addChange(context.account, event.destination, context.aseq, ChangeRow(arrived: arrived))
}

func foldMoved(
    _ event: MessagesCopied, at context: EventContext, head: inout AccountHead, in state: any StateEditor
) throws(StateFault) {
    let rows = try requiredMessages(event.uids, event.source, context.account, state)
    // The arrivals go first: they read the spilled keywords of the source.
    let arrived = try foldArrivals(rows, event, at: context, head: &head, in: state)
    try foldGone(
        event.source, event.uids, movedOut: true, at: context, head: &head, in: state, recordsChange: false)
    if event.source == event.destination {
        let change = ChangeRow(arrived: arrived, gone: event.uids)
        try state.addChange(context.account, event.source, context.aseq, change)
    } else {
        try state.addChange(context.account, event.source, context.aseq, ChangeRow(gone: event.uids))
        try state.addChange(context.account, event.destination, context.aseq, ChangeRow(arrived: arrived))
    }
}

/// Puts rows of a copy or move under ascending new UIDs.
private func foldArrivals(
    _ rows: [(UID, MessageRow)], _ event: MessagesCopied, at context: EventContext, head: inout AccountHead,
    in state: any StateEditor
) throws(StateFault) -> UIDSet {
    let account = context.account
    var box = try required(event.destination, account, state)
    guard event.firstUID.rawValue >= box.uidNext, !rows.isEmpty,
        UInt64(event.firstUID.rawValue) + UInt64(rows.count) <= UInt64(UInt32.max)
    else { throw .inconsistent("\(rows.count) UIDs from \(event.firstUID.rawValue), UIDNEXT is \(box.uidNext)") }
    var uid = event.firstUID
    for (sourceUID, sourceRow) in rows {
        var row = sourceRow
        row.modSeq = context.aseq
        row.saved = context.time
        if row.keywordBits & MessageRow.spillBit != 0 {
            let ids = try state.spilledKeywords(account, event.source, sourceUID)
            try state.setSpilledKeywords(account, event.destination, uid, ids)
        }
        try state.setMessage(account, event.destination, uid, row, isNew: true)
        box.arrive(row, uid, at: context.aseq)
        head.used.bytes += UInt64(row.size)
        head.used.messages += 1
        uid = UID(uid.rawValue + 1)
    }
    try state.setMailbox(account, event.destination, box)
    return UIDSet(event.firstUID...UID(uid.rawValue - 1))
}

func foldRestored(
    _ event: MessageRestored, at context: EventContext, head: inout AccountHead, in state: any StateEditor
) throws(StateFault) {
    let account = context.account
    guard var row = try restorable(account, event.fromMailbox, event.fromUID, state) else {
        throw .inconsistent("restore of UID \(event.fromUID.rawValue), which is not restorable")
    }
    var box = try required(event.mailbox, account, state)
    guard event.uid.rawValue >= box.uidNext else {
        throw .inconsistent("UID \(event.uid.rawValue) is below UIDNEXT \(box.uidNext)")
    }
    row.modSeq = context.aseq
    row.saved = context.time
    row.flags.remove(.deleted)
    if row.keywordBits & MessageRow.spillBit != 0 {
        let ids = try state.spilledKeywords(account, event.fromMailbox, event.fromUID)
        try state.setSpilledKeywords(account, event.mailbox, event.uid, ids)
        try state.setSpilledKeywords(account, event.fromMailbox, event.fromUID, [])
    }
    if let gone = try state.expunged(account, event.fromMailbox, event.fromUID) {
        try state.setExpunged(account, event.fromMailbox, event.fromUID, nil)
        try state.cancelCollection(day: gone.dueDay, account, event.fromMailbox, event.fromUID)
    } else {
        try state.removeMessage(account, event.fromMailbox, event.fromUID)
    }
    try state.setUIDL(account, event.fromMailbox, event.fromUID, nil)
    try state.setMessage(account, event.mailbox, event.uid, row, isNew: true)
    box.arrive(row, event.uid, at: context.aseq)
    try state.setMailbox(account, event.mailbox, box)
    try state.addChange(account, event.mailbox, context.aseq, ChangeRow(arrived: UIDSet(event.uid)))
    head.used.bytes += UInt64(row.size)
    head.used.messages += 1
}

func foldCollected(
    _ event: MessagesCollected, at context: EventContext, in state: any StateEditor
) throws(StateFault) {
    let account = context.account
    for uid in event.uids {
        if let gone = try state.expunged(account, event.mailbox, uid) {
            try state.setExpunged(account, event.mailbox, uid, nil)
            try state.cancelCollection(day: gone.dueDay, account, event.mailbox, uid)
            if !gone.movedOut { try state.adjustReferences(gone.row.blob, by: -1) }
        } else {
            guard try state.tombstone(account, event.mailbox) != nil else {
                throw .inconsistent("collection of UID \(uid.rawValue), which was not expunged")
            }
            let row = try requiredMessage(uid, event.mailbox, account, state)
            try state.removeMessage(account, event.mailbox, uid)
            try state.adjustReferences(row.blob, by: -1)
        }
        try state.setSpilledKeywords(account, event.mailbox, uid, [])
        try state.setUIDL(account, event.mailbox, uid, nil)
    }
    if event.lastOfMailbox, let tombstone = try state.tombstone(account, event.mailbox) {
        try state.cancelCollection(day: tombstone.dueDay, account, event.mailbox, UID(0))
        try state.setTombstone(account, event.mailbox, nil)
    }
}

extension MailboxRow {
    /// Adds or takes away a message's share of the flag counters.
    mutating func count(_ row: MessageRow, _ sign: Int) {
        if !row.flags.contains(.seen) { unseen = UInt32(Int(unseen) + sign) }
        if row.flags.contains(.deleted) { deleted = UInt32(Int(deleted) + sign) }
    }

    mutating func arrive(_ row: MessageRow, _ uid: UID, at position: ModSeq) {
        count(row, 1)
        exists += 1
        bytes += UInt64(row.size)
        uidNext = uid.rawValue + 1
        highestModSeq = position
    }
}

extension KeywordID {
    /// It has no bit in the message row.
    package var isSpilled: Bool { rawValue >= MessageRow.inlineKeywordsMax }
}

func inlineBits(_ ids: [KeywordID]) -> UInt64 {
    ids.reduce(0) { $1.isSpilled ? $0 : $0 | 1 << UInt64($1.rawValue) }
}

private func setKeywords(
    _ ids: [KeywordID], on row: inout MessageRow, _ account: AccountID, _ mailbox: MailboxID, _ uid: UID,
    in state: any StateEditor
) throws(StateFault) {
    row.keywordBits = inlineBits(ids)
    let spilled = ids.filter(\.isSpilled).sorted()
    if !spilled.isEmpty { try setSpill(spilled, on: &row, account, mailbox, uid, in: state) }
}

private func setSpill(
    _ ids: [KeywordID], on row: inout MessageRow, _ account: AccountID, _ mailbox: MailboxID, _ uid: UID,
    in state: any StateEditor
) throws(StateFault) {
    if ids.isEmpty { row.keywordBits &= ~MessageRow.spillBit } else { row.keywordBits |= MessageRow.spillBit }
    try state.setSpilledKeywords(account, mailbox, uid, ids)
}

/// All of them, ascending, read before any of them changes: one walk costs a fraction of as many look-ups.
private func requiredMessages(
    _ uids: UIDSet, _ mailbox: MailboxID, _ account: AccountID, _ state: any StateReader
) throws(StateFault) -> [(UID, MessageRow)] {
    guard let first = uids.first else { return [] }
    guard uids.count > 1 else { return [(first, try requiredMessage(first, mailbox, account, state))] }
    var rows: [(UID, MessageRow)] = []
    rows.reserveCapacity(uids.count)
    try state.messages(account, mailbox, in: uids, from: first) { uid, row in
        rows.append((uid, row))
        return true
    }
    guard rows.count == uids.count else {
        throw .inconsistent(
            "event for \(uids.count - rows.count) messages of mailbox \(mailbox.rawValue) that are not there")
    }
    return rows
}

private func requiredMessage(
    _ uid: UID, _ mailbox: MailboxID, _ account: AccountID, _ state: any StateReader
) throws(StateFault) -> MessageRow {
    guard let row = try state.message(account, mailbox, uid) else {
        throw .inconsistent("event for UID \(uid.rawValue) of mailbox \(mailbox.rawValue), which is not there")
    }
    return row
}
