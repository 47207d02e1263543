import EventStore
import MailCore
import MailEngine
import MailTypes

/// `log why`: every event that touched one message, back to how it came into the account, also through mailboxes it was
/// copied or moved from; with the sessions that caused them.
package struct LogWhy: AdministrationCommand {
    package static let words = "log why"

    package var account: String
    package var mailbox: String
    package var uid: UInt32

    package init(account: String, mailbox: String, uid: UInt32) {
        self.account = account
        self.mailbox = mailbox
        self.uid = uid
    }

    private struct Place: Hashable {
        var mailbox: MailboxID
        var uid: UID
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.logAccount(account)
        let mailbox = try session.logMailbox(account, mailbox)
        let lines = try session.engine.read { state -> [LogLine] in
            try self.lines(account, Place(mailbox: mailbox, uid: UID(uid)), state)
        }
        guard !lines.isEmpty else {
            throw AdministrationFailure("no event of the log touched UID \(uid) of \(self.mailbox)")
        }
        for line in lines { try session.item(line.text, line.value) }
        return nil
    }

    private func lines(_ account: AccountID, _ place: Place, _ state: any ShardReader) throws -> [LogLine] {
        var places: Set<Place> = [place]
        var found: [LoggedEvent] = []
        var touchedMessage = false
        // Newest first, so that a move is met before what happened to the message where it was moved from.
        try state.history(account) { logged in
            let touched = Self.touched(logged.event, places)
            guard touched else { return true }
            for place in places {
                guard let source = logged.event.source(of: place.uid, in: place.mailbox) else { continue }
                places.insert(Place(mailbox: source.mailbox, uid: source.uid))
            }
            if !logged.event.isAboutMailboxOnly { touchedMessage = true }
            found.append(logged)
            return true
        }
        guard touchedMessage else { return [] }
        found.append(contentsOf: try sessions(of: found, account, state))
        found.sort { $0.cursor < $1.cursor }
        var names = NameLookup(state)
        return try found.map { try LogLine($0, &names) }
    }

    private static func touched(_ event: Event, _ places: Set<Place>) -> Bool {
        if case .mailboxDeleted(let event) = event { return places.contains { $0.mailbox == event.mailbox } }
        return event.places.contains { place in
            places.contains { $0.mailbox == place.mailbox && (place.uids?.contains($0.uid) ?? false) }
        }
    }

    /// The openings of the sessions that caused `events`, where the log has them.
    private func sessions(
        of events: [LoggedEvent], _ account: AccountID, _ state: any ShardReader
    ) throws -> [LoggedEvent] {
        var wanted = Set(events.compactMap(\.origin.session))
        var found: [LoggedEvent] = []
        guard !wanted.isEmpty else { return [] }
        try state.history(account) { logged in
            if case .sessionOpened(let opened) = logged.event, wanted.remove(opened.session) != nil {
                found.append(logged)
            }
            return !wanted.isEmpty
        }
        return found
    }
}

extension Event {
    /// Touches messages only through their mailbox.
    fileprivate var isAboutMailboxOnly: Bool {
        if case .mailboxDeleted = self { true } else { false }
    }
}
