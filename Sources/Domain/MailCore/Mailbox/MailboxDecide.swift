// Mailbox commands decided. Parents are created explicitly, each by its own event; a UIDVALIDITY is never given twice
// in an account and always rises (RFC 9051 section 2.3.1.1), so a name that comes back cannot be mistaken.
import MailTypes

/// Hands out identifiers and UIDVALIDITYs over several creations of one command.
struct MailboxBuilder {
    private var nextMailbox: UInt32
    private var lastValidity: UInt32
    private let now: Timestamp
    private var created: [MailboxName: MailboxID] = [:]
    private var uses: Set<SpecialUse> = []
    var hasInbox: Bool { created[.inbox] != nil }

    init(head: AccountHead, now: Timestamp) {
        nextMailbox = head.nextMailbox
        lastValidity = head.lastUIDValidity
        self.now = now
    }

    /// The events for a mailbox and those of its parents that are missing. `state` is nil for a new account.
    mutating func create(
        _ new: NewMailbox, _ account: AccountID, state: (any StateReader)?
    ) throws -> [Event] {
        var events: [Event] = []
        var parent = MailboxID.root
        for depth in 1...new.name.components.count {
            guard let prefix = MailboxName(components: Array(new.name.components[..<depth])) else {
                throw Refusal.invalidName("a component is empty, too long or holds a control character")
            }
            let isLast = depth == new.name.components.count
            if let id = try existing(prefix, parent, account, state) {
                if isLast { throw Refusal.mailboxExists }
                parent = id
                continue
            }
            let id = MailboxID(nextMailbox)
            let validity = try nextValidity(wanted: isLast ? new.uidValidity : nil)
            if isLast, let use = new.specialUse { try claim(use, account, state) }
            events.append(
                .mailboxCreated(
                    MailboxCreated(
                        mailbox: id, parent: parent, uidValidity: validity, specialUse: isLast ? new.specialUse : nil,
                        leaf: prefix.leaf)))
            created[prefix] = id
            nextMailbox += 1
            parent = id
        }
        if new.subscribed { events.append(.subscriptionChanged(name: new.name.description, on: true)) }
        return events
    }

    private func existing(
        _ name: MailboxName, _ parent: MailboxID, _ account: AccountID, _ state: (any StateReader)?
    ) throws -> MailboxID? {
        if let id = created[name] { return id }
        return try state?.mailboxID(account, parent: parent, leaf: name.leaf)
    }

    private mutating func nextValidity(wanted: UIDValidity?) throws -> UIDValidity {
        if let wanted {
            guard wanted.rawValue > lastValidity else { throw Refusal.uidValidityNotAscending }
            lastValidity = wanted.rawValue
            return wanted
        }
        guard lastValidity < .max else { throw Refusal.uidValidityNotAscending }
        lastValidity = max(UInt32(clamping: now.seconds), lastValidity + 1)
        return UIDValidity(lastValidity)
    }

    private mutating func claim(_ use: SpecialUse, _ account: AccountID, _ state: (any StateReader)?) throws {
        var taken = uses.contains(use)
        try state?.mailboxes(account) { _, row in
            taken = taken || row.specialUse == use
            return !taken
        }
        guard !taken else { throw Refusal.specialUseTaken }
        uses.insert(use)
    }
}

func decideMailbox(
    _ command: AccountCommand, _ context: DecideContext, _ head: AccountHead, _ state: any StateReader
) throws -> Decision {
    let account = context.account
    switch command {
    case .createMailbox(let new):
        var builder = MailboxBuilder(head: head, now: context.now)
        let events = try builder.create(new, account, state: state)
        try checkMailboxCount(adding: events.count, account, state)
        guard
            case .mailboxCreated(let last)? = events.last(where: {
                if case .mailboxCreated = $0 { true } else { false }
            })
        else { throw Refusal.mailboxExists }
        return Decision(events, .mailbox(last.mailbox, last.uidValidity))
    case .deleteMailbox(let mailbox):
        let row = try live(mailbox, account, state)
        guard !(row.parent == .root && row.leaf == "INBOX") else { throw Refusal.inbox }
        var hasChildren = false
        try state.mailboxes(account) { _, other in
            hasChildren = other.parent == mailbox
            return !hasChildren
        }
        guard !hasChildren else { throw Refusal.hasChildren }
        let event = MailboxDeleted(mailbox: mailbox, finalUIDNext: row.uidNext, messages: row.exists)
        return Decision([.mailboxDeleted(event)])
    case .renameMailbox(let mailbox, let name):
        return try decideRename(mailbox, name, context, head, state)
    case .setSubscription(let name, let on):
        let names = try state.subscriptions(account)
        guard names.contains(name.description) != on else { return Decision([]) }
        guard !on || names.count < DomainLimits.subscriptionsPerAccountMax else {
            throw Refusal.limit("more than \(DomainLimits.subscriptionsPerAccountMax) subscriptions")
        }
        return Decision([.subscriptionChanged(name: name.description, on: on)])
    case .setSpecialUse(let mailbox, let use):
        let row = try live(mailbox, account, state)
        guard row.specialUse != use else { return Decision([]) }
        var taken = false
        try state.mailboxes(account) { id, other in
            taken = use != nil && id != mailbox && other.specialUse == use
            return !taken
        }
        guard !taken else { throw Refusal.specialUseTaken }
        return Decision([.specialUseSet(mailbox, use)])
    case .bumpUIDValidity(let mailbox):
        _ = try live(mailbox, account, state)
        guard head.lastUIDValidity < .max else { throw Refusal.uidValidityNotAscending }
        let validity = UIDValidity(max(UInt32(clamping: context.now.seconds), head.lastUIDValidity + 1))
        return Decision([.uidValidityBumped(mailbox, validity)], .mailbox(mailbox, validity))
    case .adoptUIDValidity(let mailbox, let validity):
        return try decideAdoption(mailbox, validity, account, head, state)
    case .raiseUIDNext(let mailbox, let next):
        let row = try live(mailbox, account, state)
        guard next.rawValue > row.uidNext else { return Decision([]) }
        guard UInt32.max - next.rawValue >= DomainLimits.uidsLeftMin else { throw Refusal.uidsExhausted }
        return Decision([.uidNextRaised(mailbox, to: next)])
    case .claimRecent(let mailbox, let uid):
        let row = try live(mailbox, account, state)
        guard uid.rawValue >= row.recentFloor, uid.rawValue < row.uidNext else { return Decision([]) }
        return Decision([.recentClaimed(mailbox, upTo: uid)])
    default:
        throw StateFault.inconsistent("not a mailbox command")
    }
}

/// A mailbox that has not given a UID has told nobody anything by its UIDVALIDITY, so it may take another, also a lower
/// one; but none that a mailbox of the account has or had (C19: a name and a UIDVALIDITY never come back together).
private func decideAdoption(
    _ mailbox: MailboxID, _ validity: UIDValidity, _ account: AccountID, _ head: AccountHead, _ state: any StateReader
) throws -> Decision {
    let row = try live(mailbox, account, state)
    if row.uidValidity == validity { return Decision([], .mailbox(mailbox, validity)) }
    guard row.uidNext == 1, validity.rawValue > 0 else { throw Refusal.uidValidityNotAscending }
    for number in 1..<head.nextMailbox {
        let other = MailboxID(number)
        let there = try state.mailbox(account, other) ?? state.tombstone(account, other)?.row
        guard there?.uidValidity != validity else { throw Refusal.uidValidityNotAscending }
    }
    return Decision([.uidValidityBumped(mailbox, validity)], .mailbox(mailbox, validity))
}

private func decideRename(
    _ mailbox: MailboxID, _ name: MailboxName, _ context: DecideContext, _ head: AccountHead,
    _ state: any StateReader
) throws -> Decision {
    let account = context.account
    let row = try live(mailbox, account, state)
    // Renaming INBOX moves its messages instead (RFC 9051 section 6.3.6); the engine composes that from other commands.
    guard !(row.parent == .root && row.leaf == "INBOX"), !name.isInbox else { throw Refusal.inbox }
    guard try state.mailboxID(account, named: name) == nil else { throw Refusal.mailboxExists }
    var events: [Event] = []
    var parent = MailboxID.root
    if let above = name.parent {
        if let id = try state.mailboxID(account, named: above) {
            parent = id
        } else {
            var builder = MailboxBuilder(head: head, now: context.now)
            events = try builder.create(NewMailbox(name: above), account, state: state)
            try checkMailboxCount(adding: events.count, account, state)
            guard case .mailboxCreated(let last)? = events.last else { throw Refusal.noSuchMailbox }
            parent = last.mailbox
        }
        // The lowest name above the new one that is there already: what is created now has no mailbox below it.
        var ancestor = parent
        if case .mailboxCreated(let first)? = events.first { ancestor = first.parent }
        while ancestor != .root {
            guard ancestor != mailbox else { throw Refusal.invalidName("a mailbox cannot go below itself") }
            ancestor = try state.mailbox(account, ancestor)?.parent ?? .root
        }
    }
    guard name.components.count + (try height(mailbox, account, state)) <= MailboxName.depthMax else {
        throw Refusal.invalidName("a name below it would have more than \(MailboxName.depthMax) components")
    }
    events.append(.mailboxRenamed(MailboxRenamed(mailbox: mailbox, newParent: parent, newLeaf: name.leaf)))
    return Decision(events, .mailbox(mailbox, row.uidValidity))
}

/// Levels of names below a mailbox; 0 without children.
private func height(_ mailbox: MailboxID, _ account: AccountID, _ state: any StateReader) throws -> Int {
    var children: [MailboxID: [MailboxID]] = [:]
    try state.mailboxes(account) { id, row in
        children[row.parent, default: []].append(id)
        return true
    }
    var height = 0
    var level = children[mailbox] ?? []
    while !level.isEmpty {
        height += 1
        level = level.flatMap { children[$0] ?? [] }
    }
    return height
}

private func checkMailboxCount(adding count: Int, _ account: AccountID, _ state: any StateReader) throws {
    var existing = 0
    try state.mailboxes(account) { _, _ in
        existing += 1
        return existing <= DomainLimits.mailboxesPerAccountMax
    }
    guard existing + count <= DomainLimits.mailboxesPerAccountMax else {
        throw Refusal.limit("more than \(DomainLimits.mailboxesPerAccountMax) mailboxes")
    }
}

/// The mailbox a command names.
func live(_ mailbox: MailboxID, _ account: AccountID, _ state: any StateReader) throws -> MailboxRow {
    guard let row = try state.mailbox(account, mailbox) else { throw Refusal.noSuchMailbox }
    return row
}
