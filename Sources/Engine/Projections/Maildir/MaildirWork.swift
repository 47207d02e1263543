// What a slice of the log asks the projection to look at. Files are a function of the state; events say only where.
import EventStore
import MailCore
import MailTypes

/// What to look at in one mailbox.
struct MailboxWork {
    /// Came into the mailbox in this slice.
    var arrived = UIDSet()
    /// Changed or went in this slice.
    var touched = UIDSet()
    /// How some of them went to other mailboxes.
    var moves: [MessagesCopied] = []
    /// Messages have ceased to be recent.
    var recent = false
    /// POP3 UIDLs that came with messages.
    var uidls: [UID: String] = [:]
    /// UIDNEXT was raised, which no line of the list tells.
    var list = false
    /// Look at every message: the UIDVALIDITY changed, or the caller asks for it.
    var everything = false
    /// And in all other mailboxes of the account.
    var isOfWholeTree = false
}

/// What to look at in one account.
struct AccountWork {
    /// Position of the account's first event in the slice.
    var first: ModSeq
    /// Mailboxes came, went or were renamed, or the account itself.
    var layout = false
    var keywords = false
    var subscriptions = false
    var everything = false
    var boxes: [MailboxID: MailboxWork] = [:]
}

/// Events after a cursor, coalesced.
struct MaildirWork {
    private(set) var accounts: [AccountID: AccountWork] = [:]
    private(set) var events = 0
    private(set) var messages = 0
    /// The last event taken, or where the log ends when there are no more.
    var end: Cursor

    private let eventsMax: Int

    init(after cursor: Cursor, eventsMax: Int) {
        end = cursor
        self.eventsMax = eventsMax
    }

    /// - Returns: whether there is room for more.
    mutating func add(_ logged: LoggedEvent) -> Bool {
        end = logged.cursor
        events += 1
        let account = logged.context.account
        if account >= .firstPersonal {
            var work = accounts[account] ?? AccountWork(first: logged.context.aseq)
            add(logged.event, to: &work)
            accounts[account] = work
        }
        return events < eventsMax && messages < MaildirLimits.sliceMessagesMax
    }

    private mutating func add(_ event: Event, to work: inout AccountWork) {
        switch event {
        case .accountCreated, .accountStatusSet, .addressAdded, .addressRemoved, .mailboxCreated, .mailboxRenamed,
            .mailboxDeleted:
            work.layout = true
        case .settingSet(let key, _):
            if key == MaildirProjection.settingKey { work.everything = true }
        case .subscriptionChanged: work.subscriptions = true
        case .uidValidityBumped(let mailbox, _): work.boxes[mailbox, default: MailboxWork()].everything = true
        case .uidNextRaised(let mailbox, _): work.boxes[mailbox, default: MailboxWork()].list = true
        case .recentClaimed(let mailbox, _): work.boxes[mailbox, default: MailboxWork()].recent = true
        case .keywordDefined: work.keywords = true
        default: addMessages(event, to: &work)
        }
    }

    private mutating func addMessages(_ event: Event, to work: inout AccountWork) {
        switch event {
        case .messageAppended(let event):
            arrive(UIDSet(event.uid), event.mailbox, &work)
            if let uidl = event.uidl { work.boxes[event.mailbox, default: MailboxWork()].uidls[event.uid] = uidl }
        case .flagsChanged(let event): touch(event.uids, event.mailbox, &work)
        case .messagesExpunged(let event): touch(event.uids, event.mailbox, &work)
        case .messagesCopied(let event): arrive(event.arrivals, event.destination, &work)
        case .messagesMoved(let event):
            touch(event.uids, event.source, &work)
            work.boxes[event.source]?.moves.append(event)
            arrive(event.arrivals, event.destination, &work)
        case .messageRestored(let event): arrive(UIDSet(event.uid), event.mailbox, &work)
        default: break
        }
    }

    private mutating func arrive(_ uids: UIDSet, _ mailbox: MailboxID, _ work: inout AccountWork) {
        work.boxes[mailbox, default: MailboxWork()].arrived.formUnion(uids)
        messages += uids.count
    }

    private mutating func touch(_ uids: UIDSet, _ mailbox: MailboxID, _ work: inout AccountWork) {
        work.boxes[mailbox, default: MailboxWork()].touched.formUnion(uids)
        messages += uids.count
    }
}

extension MessagesCopied {
    /// The UIDs at the destination.
    var arrivals: UIDSet {
        UIDSet(firstUID...UID(firstUID.rawValue + UInt32(uids.count) - 1))
    }
}
