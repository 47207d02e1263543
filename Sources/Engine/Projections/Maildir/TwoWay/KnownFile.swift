// A file that lies in the tree as one of others although its message is there already: its owner gave it another name while
// it became one, a crash came between the commit and our name, or both sides moved it. Where its owner moved it on, the
// message follows; what its letters say beyond what the state has is a change like any other. Then the file goes, and the
// projection writes the message's.
import EventStore
import MailCore
import MailEngine
import MailTypes

extension MaildirProjection {
    /// - Parameters:
    ///   - oldest: the account's position after the event that is looked for, if it is known.
    ///   - begin: the message that an event made of the file; nil of every other event.
    /// - Returns: whether there is such an event among the last ones.
    private func follow(
        _ file: ForeignFile, _ place: FolderPlace, from oldest: ModSeq = .zero,
        _ begin: (LoggedEvent) -> (mailbox: MailboxID, uid: UID)?
    ) throws -> Bool {
        var found: (mailbox: MailboxID, uid: UID)?
        var moves: [MessagesCopied] = []
        var window = LogWindow(forwarded: nil)
        try engine.read { state in
            window = LogWindow(forwarded: try state.forwardedKeyword(place.account))
            var events = 0
            try state.history(place.account) { logged in
                events += 1
                found = begin(logged)
                guard found == nil, logged.context.aseq > oldest, events < MaildirLimits.followedEventsMax else {
                    return false
                }
                if case .messagesMoved(let move) = logged.event { moves.append(move) }
                window.add(logged.event, isImport: false)
                return true
            }
        }
        guard let found else { return false }
        var (mailbox, uid) = found
        var isMoved = false
        var changed: UInt32 = 0
        for move in [nil] + moves.reversed().map(Optional.some) {
            if let move {
                guard move.source == mailbox, let next = move.arrival(of: uid) else { continue }
                (mailbox, uid, isMoved) = (move.destination, next, true)
            }
            let box = window.box(mailbox)
            // Too much has happened to know which side changed what.
            changed |= box.isUnknown ? .max : box.letters[uid.rawValue] ?? 0
        }
        // A letter that the state has changed since counts as the state has it.
        try give(
            file.letters, of: file.path, base: { $0 & ~changed | file.letters.bits & changed }, place, to: uid,
            in: mailbox)
        // Where both sides moved it, the state's place counts.
        if mailbox != place.mailbox, !isMoved {
            let move = CopyMessages(source: mailbox, destination: place.mailbox, uids: UIDSet(uid))
            if let refusal = try perform(place.account, .move(move)) {
                report("\(place.path)/\(file.path) stays where it was: \(refusal)")
            } else {
                importCounts.moves += 1
            }
            try disk.passed(.importCommitted)
        }
        return true
    }

    /// What became of a file by an adoption before.
    func followAdoption(_ file: ForeignFile, _ place: FolderPlace, _ command: CommandID?, at position: ModSeq) throws {
        let isKnown = try follow(file, place, from: position) { logged in
            guard let command, logged.command == command else { return nil }
            return switch logged.event {
            case .messageAppended(let event): (event.mailbox, event.uid)
            case .messagesCopied(let event), .messagesMoved(let event): (event.destination, event.firstUID)
            default: nil
            }
        }
        if !isKnown, file.letters.bits != 0 {
            report("\(place.path)/\(file.path): its letters were lost: too much has happened since it became a message")
        }
    }

    /// What became of the message of whose file the name tells, where it was moved from the mailbox in the name.
    func followMove(_ file: ForeignFile, _ place: FolderPlace, _ name: MaildirName) throws {
        let source = try engine.read { state -> MailboxID? in
            var source: MailboxID?
            try state.mailboxes(place.account) { id, row in
                if row.uidValidity == name.validity { source = id }
                return source == nil
            }
            return source
        }
        guard let source else { return }
        _ = try follow(file, place) { logged in
            guard case .messagesMoved(let move) = logged.event, move.source == source else { return nil }
            return move.arrival(of: name.uid).map { (move.destination, $0) }
        }
    }
}
