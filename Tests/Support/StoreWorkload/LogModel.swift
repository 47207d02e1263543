// What mail looks like after a log, worked out from the events alone with dictionaries: small enough to be right by
// reading it, and written without evolve, which it checks.
import EventStore
import MailCore
import MailTypes

struct LogModel {
    struct Message: Equatable {
        var flags: SystemFlags
        var hash: ContentHash
        var size: UInt32
        var email: EmailID
        var position: ModSeq
    }

    struct Mailbox: Equatable {
        var name: String
        var messages: [UID: Message] = [:]
        /// Above every UID ever given.
        var uidNext: UInt32 = 1
    }

    private(set) var mailboxes: [AccountID: [MailboxID: Mailbox]] = [:]
    private(set) var positions: [AccountID: ModSeq] = [:]
    /// Events by their place, and places by the command that made them.
    private(set) var events: [AccountID: [ModSeq: LoggedEvent]] = [:]
    private(set) var places: [CommandID: [(AccountID, ModSeq)]] = [:]
    private(set) var count = 0

    /// - Returns: what is wrong with the event, nil when nothing is.
    mutating func take(_ logged: LoggedEvent) -> String? {
        let account = logged.context.account
        let position = logged.context.aseq
        guard position == (positions[account] ?? .zero).next else {
            return "position \(position.rawValue) comes out of turn"
        }
        positions[account] = position
        events[account, default: [:]][position] = logged
        if let command = logged.command { places[command, default: []].append((account, position)) }
        count += 1
        return fold(logged.event, account, position)
    }

    private mutating func fold(_ event: Event, _ account: AccountID, _ position: ModSeq) -> String? {
        switch event {
        case .mailboxCreated(let created):
            mailboxes[account, default: [:]][created.mailbox] = Mailbox(name: created.leaf)
        case .mailboxRenamed(let renamed):
            mailboxes[account]?[renamed.mailbox]?.name = renamed.newLeaf
        case .mailboxDeleted(let deleted):
            mailboxes[account]?[deleted.mailbox] = nil
        case .messageAppended(let new):
            let message = Message(
                flags: new.flags, hash: new.hash, size: new.size, email: new.email, position: position)
            return arrive(message, new.uid, account, new.mailbox)
        case .flagsChanged(let change):
            for uid in change.uids {
                guard var message = mailboxes[account]?[change.mailbox]?.messages[uid] else {
                    return "flags of no message"
                }
                message.flags = message.flags.union(change.add).subtracting(change.remove)
                message.position = position
                mailboxes[account]?[change.mailbox]?.messages[uid] = message
            }
        case .messagesExpunged(let gone):
            for uid in gone.uids where remove(uid, account, gone.mailbox) == nil { return "expunge of no message" }
        case .messagesCopied(let copied): return copy(copied, account, position, moves: false)
        case .messagesMoved(let moved): return copy(moved, account, position, moves: true)
        default: break
        }
        return nil
    }

    private mutating func copy(
        _ event: MessagesCopied, _ account: AccountID, _ position: ModSeq, moves: Bool
    ) -> String? {
        var next = event.firstUID
        for uid in event.uids {
            let found =
                moves
                ? remove(uid, account, event.source) : mailboxes[account]?[event.source]?.messages[uid]
            guard var message = found else { return "copy of no message" }
            message.position = position
            if let fault = arrive(message, next, account, event.destination) { return fault }
            next = UID(next.rawValue + 1)
        }
        return nil
    }

    private mutating func arrive(
        _ message: Message, _ uid: UID, _ account: AccountID, _ mailbox: MailboxID
    ) -> String? {
        guard let box = mailboxes[account]?[mailbox] else { return "message in no mailbox" }
        guard uid.rawValue >= box.uidNext else { return "UID \(uid.rawValue) is given again" }
        mailboxes[account]?[mailbox]?.uidNext = uid.rawValue + 1
        mailboxes[account]?[mailbox]?.messages[uid] = message
        return nil
    }

    private mutating func remove(_ uid: UID, _ account: AccountID, _ mailbox: MailboxID) -> Message? {
        mailboxes[account]?[mailbox]?.messages.removeValue(forKey: uid)
    }

    /// Holds the live rows against the model.
    /// - Returns: the first difference.
    func difference(from state: any ShardReader) throws -> String? {
        for (account, boxes) in mailboxes {
            var live: [MailboxID: MailboxRow] = [:]
            try state.mailboxes(account) { id, row in
                live[id] = row
                return true
            }
            guard Set(live.keys) == Set(boxes.keys) else { return "account \(account.rawValue) has other mailboxes" }
            guard try state.head(account)?.aseq == positions[account] else {
                return "account \(account.rawValue) stands elsewhere"
            }
            for (id, box) in boxes {
                guard let row = live[id], row.leaf == box.name, row.uidNext == box.uidNext else {
                    return "mailbox \(id.rawValue) of account \(account.rawValue) has another name or UIDNEXT"
                }
                var found: [UID: Message] = [:]
                try state.messages(account, id, from: UID(0)) { uid, row in
                    // Without its body a message would be there in name only.
                    let hash = (try? state.body(row.blob))?.hash ?? .zero
                    found[uid] = Message(
                        flags: row.flags, hash: hash, size: row.size, email: row.email, position: row.modSeq)
                    return true
                }
                guard found == box.messages else {
                    return "mailbox \(id.rawValue) of account \(account.rawValue) holds other messages"
                }
            }
        }
        return nil
    }
}
