// Mailbox events folded: the name tree, UIDVALIDITY, subscriptions, keywords.
import MailTypes

func foldMailbox(
    _ event: Event, at context: EventContext, head: inout AccountHead, in state: any StateEditor
) throws(StateFault) {
    let account = context.account
    switch event {
    case .mailboxCreated(let event):
        let row = MailboxRow(
            parent: event.parent, leaf: event.leaf, specialUse: event.specialUse, uidValidity: event.uidValidity,
            created: context.aseq)
        try state.setMailbox(account, event.mailbox, row)
        try state.setMailboxID(account, parent: event.parent, leaf: event.leaf, event.mailbox)
        head.nextMailbox = max(head.nextMailbox, event.mailbox.rawValue + 1)
        head.lastUIDValidity = max(head.lastUIDValidity, event.uidValidity.rawValue)
    case .mailboxRenamed(let event):
        var row = try required(event.mailbox, account, state)
        try state.setMailboxID(account, parent: row.parent, leaf: row.leaf, nil)
        row.parent = event.newParent
        row.leaf = event.newLeaf
        try state.setMailbox(account, event.mailbox, row)
        try state.setMailboxID(account, parent: row.parent, leaf: row.leaf, event.mailbox)
    case .mailboxDeleted(let event):
        try foldMailboxDeleted(event, at: context, head: &head, in: state)
    case .subscriptionChanged(let name, let on):
        try state.setSubscription(account, name, on)
    case .specialUseSet(let mailbox, let use):
        var row = try required(mailbox, account, state)
        row.specialUse = use
        try state.setMailbox(account, mailbox, row)
    case .uidValidityBumped(let mailbox, let validity):
        var row = try required(mailbox, account, state)
        row.uidValidity = validity
        try state.setMailbox(account, mailbox, row)
        head.lastUIDValidity = max(head.lastUIDValidity, validity.rawValue)
    case .uidNextRaised(let mailbox, let next):
        var row = try required(mailbox, account, state)
        guard next.rawValue > row.uidNext else {
            throw .inconsistent("UIDNEXT \(row.uidNext) raised to \(next.rawValue)")
        }
        row.uidNext = next.rawValue
        try state.setMailbox(account, mailbox, row)
    case .recentClaimed(let mailbox, let uid):
        var row = try required(mailbox, account, state)
        row.recentFloor = max(row.recentFloor, uid.rawValue &+ 1)
        try state.setMailbox(account, mailbox, row)
    case .keywordDefined(let id, let keyword):
        try state.setKeyword(account, id, keyword)
        head.nextKeyword = max(head.nextKeyword, id.rawValue + 1)
    default:
        throw .inconsistent("not a mailbox event")
    }
}

/// However large the mailbox: its messages stay where they are, under a tombstone, until they are collected.
private func foldMailboxDeleted(
    _ event: MailboxDeleted, at context: EventContext, head: inout AccountHead, in state: any StateEditor
) throws(StateFault) {
    let account = context.account
    let row = try required(event.mailbox, account, state)
    try state.setMailboxID(account, parent: row.parent, leaf: row.leaf, nil)
    try state.setMailbox(account, event.mailbox, nil)
    let due = dayNumber(context.time, plusDays: head.retention.undeleteDays)
    let tombstone = MailboxTombstone(row: row, deleted: context.aseq, time: context.time, dueDay: due)
    try state.setTombstone(account, event.mailbox, tombstone)
    try state.scheduleCollection(day: due, account, event.mailbox, UID(0))
    guard head.used.bytes >= row.bytes, head.used.messages >= UInt64(row.exists) else {
        throw .inconsistent("use of account \(account.rawValue) is less than that of mailbox \(event.mailbox.rawValue)")
    }
    head.used.bytes -= row.bytes
    head.used.messages -= UInt64(row.exists)
}

/// The mailbox an event names, which decide has seen.
func required(
    _ mailbox: MailboxID, _ account: AccountID, _ state: any StateReader
) throws(StateFault) -> MailboxRow {
    guard let row = try state.mailbox(account, mailbox) else {
        throw .inconsistent("event for mailbox \(mailbox.rawValue) of account \(account.rawValue), which is not there")
    }
    return row
}
