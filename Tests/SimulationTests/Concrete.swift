// A step's numbers turned into a command on what is there now.
import MailCore
import MailTypes

/// The command, and the sizes of the bodies it brings; nil when there is nothing it could mean.
func concrete(_ step: Step, _ account: Model.Account) -> (AccountCommand, [Int])? {
    func named(_ index: Int) -> MailboxName { MailboxName(Pools.names[index]) ?? .inbox }
    let box = { (index: Int) in pick(index, account) }
    switch step {
    case .append(let index, let count, let flags, let keywords, let size):
        let messages = (0..<count).map { number in
            NewMessage(
                body: number, flags: SystemFlags(rawValue: UInt8(flags)), keywords: keywordList(keywords),
                uidl: number % 2 == size % 3 ? "u\(size)-\(number)" : nil)
        }
        let append = AppendMessages(mailbox: box(index).0, messages: messages, origin: .append)
        return (.append(append), (0..<count).map { size + $0 })
    case .flags(let index, let uids, let operation, let flags, let keywords, let since):
        let (mailbox, row) = box(index)
        let operations: [FlagOperation] = [.add, .remove, .replace]
        var change = ChangeFlags(
            mailbox: mailbox, uids: set(uids, row), operation: operations[operation],
            flags: SystemFlags(rawValue: UInt8(flags)), keywords: keywordList(keywords))
        if let since {
            let modseqs = [0] + (row?.messages.values.map(\.modseq).sorted() ?? [])
            change.unchangedSince = ModSeq(modseqs[since % modseqs.count])
        }
        return (.changeFlags(change), [])
    case .expunge(let index, let uids, let onlyDeleted):
        let (mailbox, row) = box(index)
        let expunge = Expunge(
            mailbox: mailbox, uids: set(uids, row), onlyDeleted: onlyDeleted, reason: onlyDeleted ? .expunge : .pop3)
        return (.expunge(expunge), [])
    case .copy(let from, let to, let uids):
        let (source, row) = box(from)
        return (.copy(CopyMessages(source: source, destination: box(to).0, uids: set(uids, row))), [])
    case .move(let from, let to, let uids):
        let (source, row) = box(from)
        return (.move(CopyMessages(source: source, destination: box(to).0, uids: set(uids, row))), [])
    case .restore(let from, let to, let uids):
        return (.restore(restore(from, to, uids, account)), [])
    case .create(let name): return (.createMailbox(NewMailbox(name: named(name))), [])
    case .delete(let index): return (.deleteMailbox(box(index).0), [])
    case .rename(let index, let name): return (.renameMailbox(box(index).0, to: named(name)), [])
    case .subscribe(let name, let on): return (.setSubscription(named(name), on), [])
    case .bump(let index): return (.bumpUIDValidity(box(index).0), [])
    case .raise(let index, let more):
        let (mailbox, row) = box(index)
        return (.raiseUIDNext(mailbox, to: UID((row?.next ?? 1) + UInt32(more))), [])
    case .disable(let isDisabled): return (.setStatus(isDisabled ? .disabled : .active), [])
    case .quota(let bytes, let messages):
        return (.setQuota(Quota(bytes: UInt64(bytes), messages: UInt64(messages))), [])
    case .deliver, .collect, .again, .clock, .commit, .reopen: return nil
    }
}

/// One of the live mailboxes; sometimes one that is not there.
private func pick(_ index: Int, _ account: Model.Account) -> (MailboxID, Model.Box?) {
    let names = account.boxes.keys.sorted()
    if index == 23 { return (MailboxID(900), nil) }
    // INBOX is picked more often than others, so that messages meet.
    let box = account.boxes[index < 6 ? "INBOX" : names[index % names.count]]
    return (MailboxID(box?.id ?? 0), box)
}

/// What is restored is mostly restorable: picked from what is gone, in a live mailbox or a deleted one.
private func restore(_ from: Int, _ to: Int, _ uids: PickedUIDs, _ account: Model.Account) -> RestoreMessages {
    let boxes = (Array(account.boxes.values) + Array(account.dead.values)).sorted { $0.id < $1.id }
    let filled = boxes.filter { !restorable($0).isEmpty }
    let row = filled.isEmpty ? nil : filled[from % filled.count]
    let met = row.map { restorable($0).intersection(set(uids, $0)) } ?? UIDSet()
    let some = met.isEmpty ? UIDSet(UID(1)...UID(2)) : met
    return RestoreMessages(fromMailbox: MailboxID(row?.id ?? 1), uids: some, mailbox: pick(to, account).0)
}

private func restorable(_ box: Model.Box) -> UIDSet {
    var uids = UIDSet(box.gone.filter { !$0.value.moved }.keys.map { UID($0) })
    if box.dueDay != nil { uids.formUnion(UIDSet(box.messages.keys.map { UID($0) })) }
    return uids
}

private func set(_ uids: PickedUIDs, _ box: Model.Box?) -> UIDSet {
    let next = Int(box?.next ?? 1)
    // One UID past the last is named now and then.
    let uid = { (number: Int) in UID(UInt32(1 + number % (next + 1))) }
    switch uids {
    case .all: return UIDSet(UID(1)...UID(.max))
    case .one(let number): return UIDSet(uid(number))
    case .range(let a, let b): return UIDSet(min(uid(a), uid(b))...max(uid(a), uid(b)))
    case .some(let bits): return UIDSet((0..<next).filter { bits >> UInt64($0 % 64) & 1 == 1 }.map { uid($0) })
    }
}

/// Flags by their names, in lower case since they have no case (RFC 9051 section 2.3.2).
func names(_ flags: SystemFlags, _ keywords: [Keyword]) -> Set<String> {
    var names = Set(keywords.map { $0.name.lowercased() })
    let system: [(SystemFlags, String)] = [
        (.seen, "\\seen"), (.answered, "\\answered"), (.flagged, "\\flagged"), (.deleted, "\\deleted"),
        (.draft, "\\draft"),
    ]
    for (flag, name) in system where flags.contains(flag) { names.insert(name) }
    return names
}

private func keywordList(_ mask: Int) -> [Keyword] {
    Pools.keywords.enumerated().filter { mask >> $0.offset & 1 == 1 }.compactMap { Keyword($0.element) }
}
