import MailCore
import MailTypes

/// Which events of the log are wanted.
struct LogFilter {
    var account: AccountID?
    var mailbox: MailboxID?
    var uid: UID?

    func accepts(_ event: Event, of account: AccountID) -> Bool {
        if let wanted = self.account, wanted != account { return false }
        guard let mailbox else { return true }
        let places = event.places
        guard let uid else { return places.contains { $0.mailbox == mailbox } }
        return places.contains { $0.mailbox == mailbox && ($0.uids?.contains(uid) ?? false) }
    }
}

/// A mailbox an event touched, and which of its messages; nil means the mailbox itself.
struct TouchedPlace {
    var mailbox: MailboxID
    var uids: UIDSet?
}

extension Event {
    var places: [TouchedPlace] {
        switch self {
        case .mailboxCreated(let event): [TouchedPlace(mailbox: event.mailbox)]
        case .mailboxRenamed(let event): [TouchedPlace(mailbox: event.mailbox)]
        case .mailboxDeleted(let event): [TouchedPlace(mailbox: event.mailbox)]
        case .specialUseSet(let mailbox, _), .uidValidityBumped(let mailbox, _), .uidNextRaised(let mailbox, _),
            .recentClaimed(let mailbox, _):
            [TouchedPlace(mailbox: mailbox)]
        case .messageAppended(let event): [TouchedPlace(mailbox: event.mailbox, uids: UIDSet(event.uid))]
        case .flagsChanged(let event): [TouchedPlace(mailbox: event.mailbox, uids: event.uids)]
        case .messagesExpunged(let event): [TouchedPlace(mailbox: event.mailbox, uids: event.uids)]
        case .messagesCollected(let event): [TouchedPlace(mailbox: event.mailbox, uids: event.uids)]
        case .messagesCopied(let event), .messagesMoved(let event):
            [
                TouchedPlace(mailbox: event.source, uids: event.uids),
                TouchedPlace(mailbox: event.destination, uids: event.arrivals),
            ]
        case .messageRestored(let event):
            [
                TouchedPlace(mailbox: event.fromMailbox, uids: UIDSet(event.fromUID)),
                TouchedPlace(mailbox: event.mailbox, uids: UIDSet(event.uid)),
            ]
        default: []
        }
    }

    /// Where the message that came to `uid` of `mailbox` by this event was before.
    func source(of uid: UID, in mailbox: MailboxID) -> (mailbox: MailboxID, uid: UID)? {
        switch self {
        case .messagesCopied(let event), .messagesMoved(let event):
            guard event.destination == mailbox, event.arrivals.contains(uid) else { return nil }
            let rank = Int(uid.rawValue - event.firstUID.rawValue)
            return event.uids.element(at: rank).map { (event.source, $0) }
        case .messageRestored(let event):
            guard event.mailbox == mailbox, event.uid == uid else { return nil }
            return (event.fromMailbox, event.fromUID)
        default: return nil
        }
    }
}

extension MessagesCopied {
    /// The UIDs at the destination.
    var arrivals: UIDSet {
        guard !uids.isEmpty else { return UIDSet() }
        return UIDSet(firstUID...firstUID.advanced(by: uids.count - 1))
    }
}

extension UIDSet {
    /// The UID of that rank, counted from 0.
    func element(at rank: Int) -> UID? {
        var rest = rank
        for run in runs {
            let count = Int(run.upperBound - run.lowerBound) + 1
            if rest < count { return UID(run.lowerBound + UInt32(rest)) }
            rest -= count
        }
        return nil
    }
}
