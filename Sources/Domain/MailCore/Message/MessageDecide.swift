// Message commands decided: append, flags, expunge, copy, move, restore, collect.
import MailTypes

func decideMessages(
    _ command: AccountCommand, _ context: DecideContext, _ head: AccountHead, _ state: any StateReader
) throws -> Decision {
    switch command {
    case .append(let append): try decideAppend(append, context, head, state)
    case .changeFlags(let change): try decideFlags(change, context.account, head, state)
    case .expunge(let expunge): try decideExpunge(expunge, context.account, state)
    case .copy(let copy): try decideCopy(copy, moves: false, context.account, head, state)
    case .move(let copy): try decideCopy(copy, moves: true, context.account, head, state)
    case .restore(let restore): try decideRestore(restore, context.account, head, state)
    default: throw StateFault.inconsistent("not a message command")
    }
}

private func decideAppend(
    _ append: AppendMessages, _ context: DecideContext, _ head: AccountHead, _ state: any StateReader
) throws -> Decision {
    guard head.status == .active else { throw Refusal.accountDisabled }
    guard append.messages.count <= DomainLimits.appendMessagesMax else {
        throw Refusal.limit("more than \(DomainLimits.appendMessagesMax) messages in one command")
    }
    let box = try live(append.mailbox, context.account, state)
    var keywords = KeywordDefiner(context.account, head, state)
    var appended: [Event] = []
    var uids = UIDSet()
    var nextUID = box.uidNext
    var bytes: UInt64 = 0
    for (index, message) in append.messages.enumerated() {
        let body = try context.body(message.body)
        bytes += UInt64(body.size)
        if let uid = message.uid?.rawValue {
            guard uid >= nextUID else { throw Refusal.uidNotAscending }
            nextUID = uid
        }
        guard nextUID < .max else { throw Refusal.uidsExhausted }
        guard message.keywords.count <= DomainLimits.keywordsPerMessageMax else { throw Refusal.tooManyKeywords }
        guard (message.uidl?.utf8.count ?? 0) <= DomainLimits.uidlOctetsMax else {
            throw Refusal.limit("UIDL over \(DomainLimits.uidlOctetsMax) octets")
        }
        let event = MessageAppended(
            mailbox: append.mailbox, uid: UID(nextUID), email: EmailID(head.nextEmail + UInt64(index)),
            blob: body.blob, size: body.size, hash: body.hash,
            internalDate: message.internalDate ?? InternalDate(time: context.now), flags: message.flags,
            keywords: try keywords.identify(message.keywords), origin: append.origin, uidl: message.uidl,
            envelopeFrom: append.envelopeFrom, envelopeTo: append.envelopeTo)
        appended.append(.messageAppended(event))
        uids.insertAtEnd(UID(nextUID))
        nextUID += 1
    }
    var head = head
    let replacement = try append.replaced.map { try decideReplaced($0, context.account, &head, state) } ?? []
    try checkQuota(head, addingBytes: bytes, messages: UInt64(append.messages.count))
    return Decision(keywords.events + appended + replacement, .appended(box.uidValidity, uids))
}

/// REPLACE (RFC 8508 section 3): the old messages go with the coming of the new, or nothing happens. Their room counts as
/// free already.
private func decideReplaced(
    _ replaced: ReplacedMessages, _ account: AccountID, _ head: inout AccountHead, _ state: any StateReader
) throws -> [Event] {
    _ = try live(replaced.mailbox, account, state)
    guard replaced.uids.count <= DomainLimits.messagesPerEventMax else {
        throw Refusal.limit("more than \(DomainLimits.messagesPerEventMax) messages replaced at once")
    }
    for uid in replaced.uids {
        guard let row = try state.message(account, replaced.mailbox, uid) else { throw Refusal.noSuchMessage }
        head.used.bytes -= min(head.used.bytes, UInt64(row.size))
        head.used.messages -= min(head.used.messages, 1)
    }
    guard !replaced.uids.isEmpty else { return [] }
    return [.messagesExpunged(MessagesExpunged(mailbox: replaced.mailbox, uids: replaced.uids, reason: .expunge))]
}

private func decideFlags(
    _ change: ChangeFlags, _ account: AccountID, _ head: AccountHead, _ state: any StateReader
) throws -> Decision {
    _ = try live(change.mailbox, account, state)
    guard change.keywords.count <= DomainLimits.keywordsPerMessageMax else { throw Refusal.tooManyKeywords }
    var definer = KeywordDefiner(account, head, state)
    let named =
        change.operation == .remove
        ? try definer.known(change.keywords) : try definer.identify(change.keywords)
    let wanted = Set(named)
    var changed = UIDSet()
    var modified = UIDSet()
    var removed: SystemFlags = []
    var removedKeywords: Set<KeywordID> = []
    try eachLive(change.uids, account, change.mailbox, state) { uid, row in
        if let limit = change.unchangedSince, row.modSeq > limit {
            modified.insertAtEnd(uid)
            return
        }
        let present = Set(try state.keywords(account, change.mailbox, uid, row))
        switch change.operation {
        case .add:
            if row.flags.isSuperset(of: change.flags), present.isSuperset(of: wanted) { return }
            guard present.union(wanted).count <= DomainLimits.keywordsPerMessageMax else {
                throw Refusal.tooManyKeywords
            }
        case .remove:
            if row.flags.isDisjoint(with: change.flags), present.isDisjoint(with: wanted) { return }
        case .replace:
            if row.flags == change.flags, present == wanted { return }
            removed.formUnion(row.flags.subtracting(change.flags))
            removedKeywords.formUnion(present.subtracting(wanted))
        }
        changed.insertAtEnd(uid)
    }
    let isRemoval = change.operation == .remove
    var events: [Event] = []
    for chunk in changed.chunks(of: DomainLimits.messagesPerEventMax) {
        events.append(
            .flagsChanged(
                FlagsChanged(
                    mailbox: change.mailbox, uids: chunk, add: isRemoval ? [] : change.flags,
                    remove: isRemoval ? change.flags : removed, addKeywords: isRemoval ? [] : named.sorted(),
                    removeKeywords: isRemoval ? named.sorted() : removedKeywords.sorted())))
    }
    // A keyword that no message takes is not defined either.
    return Decision(events.isEmpty ? [] : definer.events + events, .flags(changed: changed, modified: modified))
}

private func decideExpunge(
    _ expunge: Expunge, _ account: AccountID, _ state: any StateReader
) throws -> Decision {
    let box = try live(expunge.mailbox, account, state)
    if expunge.onlyDeleted, box.deleted == 0 { return Decision([], .expunged(UIDSet())) }
    var gone = UIDSet()
    try eachLive(expunge.uids, account, expunge.mailbox, state) { uid, row in
        if !expunge.onlyDeleted || row.flags.contains(.deleted) { gone.insertAtEnd(uid) }
    }
    let events = gone.chunks(of: DomainLimits.messagesPerEventMax).map { chunk in
        Event.messagesExpunged(MessagesExpunged(mailbox: expunge.mailbox, uids: chunk, reason: expunge.reason))
    }
    return Decision(events, .expunged(gone))
}

/// Messages that vanished meanwhile are left out and the rest is done (engine.md section 5, rule 14).
private func decideCopy(
    _ copy: CopyMessages, moves: Bool, _ account: AccountID, _ head: AccountHead, _ state: any StateReader
) throws -> Decision {
    _ = try live(copy.source, account, state)
    let destination = try live(copy.destination, account, state)
    var present = UIDSet()
    var bytes: UInt64 = 0
    var count = 0
    try eachLive(copy.uids, account, copy.source, state) { uid, row in
        count += 1
        guard moves || count <= DomainLimits.copyMessagesMax else {
            throw Refusal.limit("more than \(DomainLimits.copyMessagesMax) messages in one copy")
        }
        present.insertAtEnd(uid)
        bytes += UInt64(row.size)
    }
    if !moves { try checkQuota(head, addingBytes: bytes, messages: UInt64(count)) }
    guard UInt64(destination.uidNext) + UInt64(count) < UInt64(UInt32.max) else {
        throw Refusal.uidsExhausted
    }
    var events: [Event] = []
    var next = destination.uidNext
    for chunk in present.chunks(of: DomainLimits.messagesPerEventMax) {
        let event = MessagesCopied(
            source: copy.source, destination: copy.destination, uids: chunk, firstUID: UID(next))
        events.append(moves ? .messagesMoved(event) : .messagesCopied(event))
        next += UInt32(chunk.count)
    }
    let arrived = present.isEmpty ? UIDSet() : UIDSet(UID(destination.uidNext)...UID(next - 1))
    return Decision(events, .copied(destination.uidValidity, source: present, destination: arrived))
}

private func decideRestore(
    _ restore: RestoreMessages, _ account: AccountID, _ head: AccountHead, _ state: any StateReader
) throws -> Decision {
    let box = try live(restore.mailbox, account, state)
    let count = restore.uids.count
    guard count <= DomainLimits.messagesPerEventMax else {
        throw Refusal.limit("more than \(DomainLimits.messagesPerEventMax) messages in one restore")
    }
    guard UInt64(box.uidNext) + UInt64(count) < UInt64(UInt32.max) else { throw Refusal.uidsExhausted }
    var missing = UIDSet()
    var events: [Event] = []
    var uids = UIDSet()
    var bytes: UInt64 = 0
    var next = box.uidNext
    for uid in restore.uids {
        guard let row = try restorable(account, restore.fromMailbox, uid, state) else {
            missing.insertAtEnd(uid)
            continue
        }
        bytes += UInt64(row.size)
        events.append(
            .messageRestored(
                MessageRestored(
                    mailbox: restore.mailbox, uid: UID(next), fromMailbox: restore.fromMailbox, fromUID: uid)))
        uids.insertAtEnd(UID(next))
        next += 1
    }
    guard missing.isEmpty else { throw Refusal.notRestorable(missing) }
    try checkQuota(head, addingBytes: bytes, messages: UInt64(events.count))
    return Decision(events, .appended(box.uidValidity, uids))
}

/// The message as it was when it was expunged, or when its mailbox was deleted; nil when it is live, has been moved to
/// another mailbox or is gone.
func restorable(
    _ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ state: any StateReader
) throws(StateFault) -> MessageRow? {
    if let gone = try state.expunged(account, mailbox, uid) { return gone.movedOut ? nil : gone.row }
    guard try state.tombstone(account, mailbox) != nil else { return nil }
    return try state.message(account, mailbox, uid)
}

/// `uids` empty: the next part of a deleted mailbox.
func decideCollect(
    _ mailbox: MailboxID, _ uids: UIDSet, _ context: DecideContext, _ state: any StateReader
) throws -> Decision {
    let account = context.account
    let today = dayNumber(context.now)
    if uids.isEmpty {
        guard let tombstone = try state.tombstone(account, mailbox), tombstone.dueDay <= today else {
            return Decision([])
        }
        var chunk = UIDSet()
        var more = false
        try state.messages(account, mailbox, from: UID(1)) { uid, _ in
            more = chunk.count == DomainLimits.messagesPerEventMax
            if !more { chunk.insertAtEnd(uid) }
            return !more
        }
        let event = MessagesCollected(mailbox: mailbox, uids: chunk, lastOfMailbox: !more)
        return Decision([.messagesCollected(event)], .expunged(chunk))
    }
    guard uids.count <= DomainLimits.collectMessagesMax else {
        throw Refusal.limit("more than \(DomainLimits.collectMessagesMax) messages in one collection")
    }
    var due = UIDSet()
    for uid in uids {
        guard let gone = try state.expunged(account, mailbox, uid), gone.dueDay <= today else { continue }
        due.insertAtEnd(uid)
    }
    let events = due.chunks(of: DomainLimits.messagesPerEventMax).map {
        Event.messagesCollected(MessagesCollected(mailbox: mailbox, uids: $0))
    }
    return Decision(events, .expunged(due))
}

/// The live messages of a set, ascending. Its cost is what is there, however wide the set (`1:*`).
private func eachLive(
    _ uids: UIDSet, _ account: AccountID, _ mailbox: MailboxID, _ state: any StateReader,
    _ body: (UID, MessageRow) throws -> Void
) throws {
    for run in uids.runs {
        if run.lowerBound == run.upperBound {
            let uid = UID(run.lowerBound)
            if let row = try state.message(account, mailbox, uid) { try body(uid, row) }
            continue
        }
        var failure: (any Error)?
        try state.messages(account, mailbox, from: UID(run.lowerBound)) { uid, row in
            guard uid.rawValue <= run.upperBound else { return false }
            do { try body(uid, row) } catch {
                failure = error
                return false
            }
            return true
        }
        if let failure { throw failure }
    }
}

private func checkQuota(_ head: AccountHead, addingBytes bytes: UInt64, messages: UInt64) throws {
    if head.quota.bytes > 0, head.used.bytes + bytes > head.quota.bytes { throw Refusal.overQuota }
    if head.quota.messages > 0, head.used.messages + messages > head.quota.messages { throw Refusal.overQuota }
}

/// Numbers keywords, defining those the account has not used before.
struct KeywordDefiner {
    private let account: AccountID
    private let state: any StateReader
    private var next: UInt16
    private var fresh: [Keyword: KeywordID] = [:]
    private(set) var events: [Event] = []

    init(_ account: AccountID, _ head: AccountHead, _ state: any StateReader) {
        self.account = account
        self.state = state
        next = head.nextKeyword
    }

    mutating func identify(_ keywords: [Keyword]) throws -> [KeywordID] {
        var ids: [KeywordID] = []
        for keyword in keywords {
            let id: KeywordID
            if let known = try fresh[keyword] ?? state.keywordID(account, keyword) {
                id = known
            } else {
                guard Int(next) < DomainLimits.keywordsPerAccountMax else { throw Refusal.tooManyKeywords }
                id = KeywordID(next)
                next += 1
                fresh[keyword] = id
                events.append(.keywordDefined(id, keyword))
            }
            if !ids.contains(id) { ids.append(id) }
        }
        return ids.sorted()
    }

    func known(_ keywords: [Keyword]) throws -> [KeywordID] {
        var ids: Set<KeywordID> = []
        for keyword in keywords { if let id = try state.keywordID(account, keyword) { ids.insert(id) } }
        return ids.sorted()
    }
}
