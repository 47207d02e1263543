// A mail store in dictionaries, written from RFC 9051 (mailboxes, UIDs, flags), 7162 (modseqs), 4315 (UID EXPUNGE,
// APPENDUID), 6851 (MOVE) and the promises in docs/ARCHITECTURE.md (quota, retention, restore). It knows nothing of
// events. The numbers that an implementation is free to choose (modseqs, identifiers, UIDVALIDITY) it learns from the
// store, after checking that they obey the RFCs.
import MailCore
import MailTypes

struct Model {
    struct Message: Equatable {
        /// `\seen` and keywords, in lower case.
        var flags: Set<String>
        var size: Int
        var body: UInt64
        var modseq: UInt64 = 0
        var email: UInt64 = 0
    }

    struct Gone {
        var message: Message
        var modseq: UInt64 = 0
        var dueDay: Int
        var moved: Bool
    }

    struct Box {
        var id: UInt32 = 0
        var validity: UInt32 = 0
        var next: UInt32 = 1
        var highest: UInt64 = 0
        /// Modseq of the last message that went.
        var lastGone: UInt64 = 0
        var messages: [UInt32: Message] = [:]
        var gone: [UInt32: Gone] = [:]
        /// Came with the message (RFC 1939 section 7), and stay until nothing of it is left.
        var uidls: [UInt32: String] = [:]
        /// Set when the mailbox was deleted.
        var dueDay: Int?
    }

    /// What a command did to a mailbox.
    struct Touched: Equatable {
        var arrived: Set<UInt32> = []
        var changed: Set<UInt32> = []
        var gone: Set<UInt32> = []
    }

    struct Outcome {
        /// Any of these is a right answer; empty when the command is done.
        var refusals: [Refusal] = []
        var touched: [UInt32: Touched] = [:]
        /// UIDs in the answer: new ones of an append or copy, changed or expunged ones.
        var answer: Set<UInt32> = []
        var source: Set<UInt32> = []
        var modified: Set<UInt32> = []
        /// Names of mailboxes that came to be, in order.
        var created: [String] = []
        var bumped: String?
    }

    struct Account {
        var isActive = true
        var boxes: [String: Box] = [:]
        var dead: [UInt32: Box] = [:]
        var formerNames: Set<String> = []
        var subscriptions: Set<String> = []
        var quotaBytes = 0
        var quotaMessages = 0
        var highestValidity: UInt32 = 0
        var position: UInt64 = 0
        /// Retryable commands: where the account stood, and the day.
        var done: [UInt64: (position: UInt64, day: Int)] = [:]

        var usedBytes: Int { boxes.values.reduce(0) { $0 + $1.messages.values.reduce(0) { $0 + $1.size } } }
        var usedMessages: Int { boxes.values.reduce(0) { $0 + $1.messages.count } }
        func name(_ id: MailboxID) -> String? { boxes.first { $0.value.id == id.rawValue }?.key }
    }

    static let undeleteDays = 2
    static let rememberedDays = 7
    var accounts: [UInt32: Account] = [:]

    mutating func apply(_ command: AccountCommand, _ account: UInt32, bodies: [BodyReference], day: Int) -> Outcome {
        guard var state = accounts[account] else { return Outcome(refusals: [.noSuchAccount]) }
        let outcome = state.apply(command, bodies, day)
        if outcome.refusals.isEmpty { accounts[account] = state }
        return outcome
    }
}

extension Model.Account {
    typealias Outcome = Model.Outcome

    mutating func apply(_ command: AccountCommand, _ bodies: [BodyReference], _ day: Int) -> Outcome {
        switch command {
        case .append(let append): return self.append(append, bodies)
        case .changeFlags(let change): return self.change(change)
        case .expunge(let expunge):
            return inBox(expunge.mailbox) { name in
                let uids = live(expunge.uids, name).filter { uid in
                    !expunge.onlyDeleted || boxes[name]?.messages[uid]?.flags.contains("\\deleted") == true
                }
                return leave(uids, name, day, moved: false)
            }
        case .copy(let copy): return transfer(copy, day, moves: false)
        case .move(let copy): return transfer(copy, day, moves: true)
        case .restore(let restore): return self.restore(restore)
        case .collect(let mailbox, let uids): return collect(mailbox, uids, day)
        case .createMailbox(let new): return create(new.name.description)
        case .deleteMailbox(let mailbox): return delete(mailbox, day)
        case .renameMailbox(let mailbox, let name): return rename(mailbox, name.description)
        case .setSubscription(let name, let on):
            if on { subscriptions.insert(name.description) } else { subscriptions.remove(name.description) }
        case .setStatus(let status): isActive = status == .active
        case .setQuota(let quota): (quotaBytes, quotaMessages) = (Int(quota.bytes), Int(quota.messages))
        case .bumpUIDValidity(let mailbox): return inBox(mailbox) { Outcome(bumped: $0) }
        case .raiseUIDNext(let mailbox, let next):
            guard let name = name(mailbox) else { return Outcome(refusals: [.noSuchMailbox]) }
            let before = boxes[name]?.next ?? 1
            boxes[name]?.next = max(before, next.rawValue)
        default: preconditionFailure("the generator makes no such command")
        }
        return Outcome()
    }

    private func inBox(_ mailbox: MailboxID, _ body: (String) -> Outcome) -> Outcome {
        name(mailbox).map(body) ?? Outcome(refusals: [.noSuchMailbox])
    }

    private func live(_ uids: UIDSet, _ name: String) -> [UInt32] {
        (boxes[name]?.messages.keys.filter { uids.contains(UID($0)) } ?? []).sorted()
    }

    private func overQuota(_ messages: [Model.Message]) -> [Refusal] {
        let bytes = messages.reduce(usedBytes) { $0 + $1.size }
        let isOver =
            quotaBytes > 0 && bytes > quotaBytes
            || quotaMessages > 0 && usedMessages + messages.count > quotaMessages
        return isOver ? [.overQuota] : []
    }

    /// RFC 9051 section 2.3.1.1: each new message gets the next UID.
    private mutating func arrive(_ messages: [Model.Message], _ name: String) -> Set<UInt32> {
        var uids: Set<UInt32> = []
        for message in messages {
            guard let uid = boxes[name]?.next else { continue }
            boxes[name]?.messages[uid] = message
            boxes[name]?.next += 1
            uids.insert(uid)
        }
        return uids
    }

    private mutating func leave(_ uids: [UInt32], _ name: String, _ day: Int, moved: Bool) -> Outcome {
        guard let id = boxes[name]?.id, !uids.isEmpty else { return Outcome() }
        for uid in uids {
            guard let message = boxes[name]?.messages.removeValue(forKey: uid) else { continue }
            boxes[name]?.gone[uid] = Model.Gone(message: message, dueDay: day + Model.undeleteDays, moved: moved)
        }
        return Outcome(touched: [id: Model.Touched(gone: Set(uids))], answer: Set(uids))
    }

    private mutating func append(_ append: AppendMessages, _ bodies: [BodyReference]) -> Outcome {
        var refusals: [Refusal] = isActive ? [] : [.accountDisabled]
        let messages = append.messages.map { new in
            let body = bodies[new.body]
            return Model.Message(
                flags: names(new.flags, new.keywords), size: Int(body.size), body: body.blob.rawValue)
        }
        refusals += overQuota(messages)
        guard let name = name(append.mailbox) else { return Outcome(refusals: refusals + [.noSuchMailbox]) }
        guard refusals.isEmpty else { return Outcome(refusals: refusals) }
        let uids = arrive(messages, name)
        for (uid, new) in zip(uids.sorted(), append.messages) { boxes[name]?.uidls[uid] = new.uidl }
        return Outcome(touched: [append.mailbox.rawValue: Model.Touched(arrived: uids)], answer: uids)
    }

    /// RFC 9051 section 6.4.6 and RFC 7162 section 3.1.3.
    private mutating func change(_ change: ChangeFlags) -> Outcome {
        guard let name = name(change.mailbox) else { return Outcome(refusals: [.noSuchMailbox]) }
        let named = names(change.flags, change.keywords)
        var outcome = Outcome()
        for uid in live(change.uids, name) {
            guard let message = boxes[name]?.messages[uid] else { continue }
            if let limit = change.unchangedSince, message.modseq > limit.rawValue {
                outcome.modified.insert(uid)
                continue
            }
            let flags =
                switch change.operation {
                case .add: message.flags.union(named)
                case .remove: message.flags.subtracting(named)
                case .replace: named
                }
            if flags == message.flags { continue }
            boxes[name]?.messages[uid]?.flags = flags
            outcome.answer.insert(uid)
        }
        if !outcome.answer.isEmpty {
            outcome.touched[change.mailbox.rawValue] = Model.Touched(changed: outcome.answer)
        }
        return outcome
    }

    /// RFC 9051 sections 6.4.7 and 6.4.8: flags go along, UIDs ascend in the order of the source.
    private mutating func transfer(_ copy: CopyMessages, _ day: Int, moves: Bool) -> Outcome {
        guard let source = name(copy.source), let target = name(copy.destination) else {
            return Outcome(refusals: [.noSuchMailbox])
        }
        let uids = live(copy.uids, source)
        let messages = uids.compactMap { boxes[source]?.messages[$0] }
        let refusals = moves ? [] : overQuota(messages)
        guard refusals.isEmpty, !uids.isEmpty else { return Outcome(refusals: refusals) }
        var outcome = Outcome()
        if moves { outcome = leave(uids, source, day, moved: true) }
        let arrived = arrive(messages, target)
        outcome.touched[copy.destination.rawValue, default: Model.Touched()].arrived = arrived
        outcome.answer = arrived
        outcome.source = Set(uids)
        return outcome
    }

    private mutating func restore(_ restore: RestoreMessages) -> Outcome {
        guard let target = name(restore.mailbox) else { return Outcome(refusals: [.noSuchMailbox]) }
        let from = name(restore.fromMailbox).flatMap { boxes[$0] } ?? dead[restore.fromMailbox.rawValue]
        var messages: [Model.Message] = []
        var missing = UIDSet()
        for uid in restore.uids {
            if let gone = from?.gone[uid.rawValue] {
                if gone.moved { missing.insertAtEnd(uid) } else { messages.append(gone.message) }
            } else if from?.dueDay != nil, let message = from?.messages[uid.rawValue] {
                messages.append(message)
            } else {
                missing.insertAtEnd(uid)
            }
        }
        guard missing.isEmpty else { return Outcome(refusals: [.notRestorable(missing)] + overQuota(messages)) }
        let refusals = overQuota(messages)
        guard refusals.isEmpty, !messages.isEmpty else { return Outcome(refusals: refusals) }
        change(restore.fromMailbox) { box in
            for uid in restore.uids {
                box.gone[uid.rawValue] = nil
                box.uidls[uid.rawValue] = nil
                if box.dueDay != nil { box.messages[uid.rawValue] = nil }
            }
        }
        for index in messages.indices { messages[index].flags.remove("\\deleted") }
        let arrived = arrive(messages, target)
        return Outcome(touched: [restore.mailbox.rawValue: Model.Touched(arrived: arrived)], answer: arrived)
    }

    private mutating func collect(_ mailbox: MailboxID, _ uids: UIDSet, _ day: Int) -> Outcome {
        var collected: Set<UInt32> = []
        if uids.isEmpty {
            guard let box = dead[mailbox.rawValue], let due = box.dueDay, due <= day else { return Outcome() }
            collected = Set(box.messages.keys)
            dead[mailbox.rawValue]?.messages = [:]
            for uid in collected { dead[mailbox.rawValue]?.uidls[uid] = nil }
            dead[mailbox.rawValue]?.dueDay = .max
        } else {
            change(mailbox) { box in
                collected = Set(box.gone.filter { uids.contains(UID($0.key)) && $0.value.dueDay <= day }.keys)
                for uid in collected {
                    box.gone[uid] = nil
                    box.uidls[uid] = nil
                }
            }
        }
        return Outcome(answer: collected)
    }

    private mutating func change(_ mailbox: MailboxID, _ body: (inout Model.Box) -> Void) {
        if let name = name(mailbox), var box = boxes[name] {
            body(&box)
            boxes[name] = box
        } else if var box = dead[mailbox.rawValue] {
            body(&box)
            dead[mailbox.rawValue] = box
        }
    }

    /// RFC 9051 section 6.3.4: names above are created too.
    private mutating func create(_ name: String) -> Outcome {
        if boxes[name] != nil { return Outcome(refusals: [.mailboxExists]) }
        var outcome = Outcome()
        for prefix in prefixes(name) where boxes[prefix] == nil {
            boxes[prefix] = Model.Box()
            formerNames.remove(prefix)
            outcome.created.append(prefix)
        }
        return outcome
    }

    private mutating func delete(_ mailbox: MailboxID, _ day: Int) -> Outcome {
        guard let name = name(mailbox), var box = boxes[name] else { return Outcome(refusals: [.noSuchMailbox]) }
        var refusals: [Refusal] = name == "INBOX" ? [.inbox] : []
        if boxes.keys.contains(where: { $0.hasPrefix(name + "/") }) { refusals.append(.hasChildren) }
        guard refusals.isEmpty else { return Outcome(refusals: refusals) }
        box.dueDay = day + Model.undeleteDays
        boxes[name] = nil
        dead[box.id] = box
        formerNames.insert(name)
        return Outcome()
    }

    /// RFC 9051 section 6.3.6: what lies below moves along, and UIDs and UIDVALIDITY stay.
    private mutating func rename(_ mailbox: MailboxID, _ new: String) -> Outcome {
        guard let old = name(mailbox) else { return Outcome(refusals: [.noSuchMailbox]) }
        var refusals: [Refusal] = old == "INBOX" || new == "INBOX" ? [.inbox] : []
        if boxes[new] != nil { refusals.append(.mailboxExists) }
        if new.hasPrefix(old + "/") { refusals.append(.invalidName("")) }
        guard refusals.isEmpty else { return Outcome(refusals: refusals) }
        var outcome = Outcome()
        let above = prefixes(new).dropLast().last
        if let above, boxes[above] == nil { outcome = create(above) }
        for (name, box) in boxes where name == old || name.hasPrefix(old + "/") {
            boxes[name] = nil
            formerNames.insert(name)
            boxes[new + name.dropFirst(old.count)] = box
        }
        formerNames.subtract(boxes.keys)
        return outcome
    }

    private func prefixes(_ name: String) -> [String] {
        let parts = name.split(separator: "/")
        return parts.indices.map { parts[...$0].joined(separator: "/") }
    }
}
