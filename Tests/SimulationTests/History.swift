// Rules that hold between the log and the rows, without a model; and a client that keeps up by change rows alone.
import EventStore
import MailCore
import MailTypes

private struct Place: Hashable {
    var mailbox: MailboxID
    var uid: UInt32
}

private struct Moment: Hashable, Comparable {
    var mailbox: MailboxID
    var position: ModSeq
    static func < (a: Self, b: Self) -> Bool {
        a.mailbox == b.mailbox ? a.position < b.position : a.mailbox < b.mailbox
    }
}

/// Positions without gaps (4), UIDs and UIDVALIDITYs rising (14, 15), modseqs (17) and change rows (18) of one account,
/// from its events alone.
func checkHistory(_ account: AccountID, _ reader: any ShardReader) throws {
    var events: [LoggedEvent] = []
    try reader.history(account) { logged in
        events.append(logged)
        return true
    }
    events.reverse()
    let positions = events.map(\.context.aseq.rawValue)
    try expect(
        positions == Array(1..<UInt64(events.count + 1)), "positions of account \(account.rawValue): \(positions)")
    var touched: [Place: ModSeq] = [:]
    var changes: [Moment: ChangeRow] = [:]
    var highestUID: [MailboxID: UInt32] = [:]
    var highestValidity = UIDValidity(0)
    for logged in events {
        let position = logged.context.aseq
        switch logged.event {
        case .mailboxCreated(let event):
            try expect(event.uidValidity > highestValidity, "UIDVALIDITY does not rise at \(position.rawValue)")
            highestValidity = event.uidValidity
        case .uidValidityBumped(_, let validity):
            try expect(validity > highestValidity, "UIDVALIDITY does not rise at \(position.rawValue)")
            highestValidity = validity
        case .uidNextRaised(let mailbox, let next):
            try expect(next.rawValue > highestUID[mailbox, default: 0] + 1, "UIDNEXT does not rise")
            highestUID[mailbox] = next.rawValue - 1
        default: break
        }
        for (mailbox, change) in mailChanges(logged.event) {
            changes[Moment(mailbox: mailbox, position: position)] = change
            if let first = change.arrived.first, let last = change.arrived.last {
                try expect(first.rawValue > highestUID[mailbox, default: 0], "UID \(first.rawValue) is used again")
                highestUID[mailbox] = last.rawValue
            }
            for uid in change.arrived.union(change.changed) {
                touched[Place(mailbox: mailbox, uid: uid.rawValue)] = position
            }
        }
    }
    try compareTouches(touched, changes, account, reader)
}

private func compareTouches(
    _ touched: [Place: ModSeq], _ changes: [Moment: ChangeRow], _ account: AccountID, _ reader: any ShardReader
) throws {
    for mailbox in Set(changes.keys.map(\.mailbox)) {
        var rows: [Moment: ChangeRow] = [:]
        try reader.changes(account, mailbox, after: .zero) { position, row in
            rows[Moment(mailbox: mailbox, position: position)] = row
            return true
        }
        let expected = changes.filter { $0.key.mailbox == mailbox }
        let odd = Set(rows.keys).union(expected.keys).filter { rows[$0] != expected[$0] }.sorted()
        try expect(odd.isEmpty, "change rows and events disagree at \(odd.map(\.position.rawValue))")
        var wrong: [UInt32] = []
        try reader.messages(account, mailbox, from: UID(1)) { uid, row in
            if touched[Place(mailbox: mailbox, uid: uid.rawValue)] != row.modSeq { wrong.append(uid.rawValue) }
            return true
        }
        try expect(wrong.isEmpty, "modseqs of UIDs \(wrong) are not those of the events that touched them last")
    }
}

/// What an event does to which mailbox.
private func mailChanges(_ event: Event) -> [(MailboxID, ChangeRow)] {
    switch event {
    case .messageAppended(let event): return [(event.mailbox, ChangeRow(arrived: UIDSet(event.uid)))]
    case .flagsChanged(let event): return [(event.mailbox, ChangeRow(changed: event.uids))]
    case .messagesExpunged(let event): return [(event.mailbox, ChangeRow(gone: event.uids))]
    case .messageRestored(let event): return [(event.mailbox, ChangeRow(arrived: UIDSet(event.uid)))]
    case .messagesCopied(let event): return [(event.destination, ChangeRow(arrived: arrivals(event)))]
    case .messagesMoved(let event):
        if event.source == event.destination {
            return [(event.source, ChangeRow(arrived: arrivals(event), gone: event.uids))]
        }
        return [
            (event.source, ChangeRow(gone: event.uids)), (event.destination, ChangeRow(arrived: arrivals(event))),
        ]
    default: return []
    }
}

private func arrivals(_ event: MessagesCopied) -> UIDSet {
    UIDSet(event.firstUID...UID(event.firstUID.rawValue + UInt32(event.uids.count) - 1))
}

/// A client that remembers a mailbox at a modseq and applies only what changed and vanished since, as QRESYNC does
/// (RFC 7162 section 3.2.5). It must end with exactly what the store has.
struct SyncedClient {
    let account: UInt32
    let client: Int
    private var mailbox: UInt32?
    private var validity: UInt32 = 0
    private var modseq = ModSeq.zero
    private var known: [UInt32: Set<String>] = [:]
    private var rounds = 0

    init(account: UInt32, client: Int) {
        self.account = account
        self.client = client
    }

    mutating func sync(_ model: Model, _ reader: any StateReader) throws {
        rounds += 1
        // Each client comes back after a different number of commits.
        guard rounds % (client + 1) == 0, let state = model.accounts[account] else { return }
        let names = state.boxes.keys.sorted()
        let current = mailbox.flatMap { id in state.boxes.values.first { $0.id == id } }
        guard let box = current ?? state.boxes[names[client % names.count]] else { return }
        if mailbox != box.id || validity != box.validity {
            known = [:]
            modseq = .zero
            mailbox = box.id
            validity = box.validity
        }
        var fetched: Set<UInt32> = []
        try reader.changes(AccountID(account), MailboxID(box.id), after: modseq) { _, change in
            for uid in change.gone { known[uid.rawValue] = nil }
            fetched.subtract(change.gone.map(\.rawValue))
            fetched.formUnion(change.arrived.union(change.changed).map(\.rawValue))
            return true
        }
        for uid in fetched { known[uid] = box.messages[uid]?.flags }
        let row = try unwrapped(try reader.mailbox(AccountID(account), MailboxID(box.id)))
        modseq = row.highestModSeq
        try expect(known == box.messages.mapValues(\.flags), "client \(client) of mailbox \(box.id) is out of step")
    }
}
