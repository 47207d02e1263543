// A file that lies in the tree as one of others although its message is there already: its owner gave it another name while
// it became one, a crash came between the commit and our name, or both sides moved it. Where its owner moved it on, the
// message follows; what its letters say beyond what the state has is a change like any other. Then it gets our name, or goes
// where the projection has written the message's.
//
// A message that was deleted because its file was away is no reason to delete the file when it comes back.
import Digests
import EventStore
import MailCore
import MailEngine
import MailTypes

/// What is known of a file that may have become a message before.
enum KnownFile {
    case no
    /// It is this message of its folder.
    case here(UID)
    /// Its message is in another folder.
    case elsewhere
    /// Its message was deleted because the file was away, and so was the one that it became then, and so on.
    case tooOften
}

/// What the history says of a message since an event made it of a file.
private struct Course {
    var mailbox: MailboxID
    var uid: UID
    /// The state has moved it.
    var isMoved = false
    /// Letters that the state has changed.
    var letters: UInt32 = 0
    /// The account's position after the event that deleted it because the tree had no file of it.
    var missed: ModSeq?
}

extension MaildirProjection {
    /// - Parameter id: the command that would make it a message; another one, where that message was deleted because the
    ///   file was away.
    func known(_ file: ForeignFile, _ place: FolderPlace, _ id: inout CommandID) throws -> KnownFile {
        for _ in 0..<MaildirLimits.returnsMax {
            let command = id
            guard let position = try engine.read({ try $0.outcome(of: command, place.account) }) else { return .no }
            let course = try course(place.account, from: position) { logged in
                guard logged.command == command else { return nil }
                return switch logged.event {
                case .messageAppended(let event): (event.mailbox, event.uid)
                case .messagesCopied(let event), .messagesMoved(let event): (event.destination, event.firstUID)
                default: nil
                }
            }
            if let course, course.missed == nil {
                try follow(file, place, course)
                return course.mailbox == place.mailbox ? .here(course.uid) : .elsewhere
            }
            // What is too long ago to tell counts as deleted: a second message is better than none.
            let missed = course?.missed ?? position
            var hasher = SHA256Hasher()
            hasher.update(Array("\(id.high) \(id.low) \(missed.rawValue)".utf8))
            let words = ContentHash(hasher.finalize()).words
            id = CommandID(high: words.0, low: words.1)
        }
        return .tooOften
    }

    /// Follows a message whose file's name tells the mailbox that it was moved from.
    func followMove(_ file: ForeignFile, _ place: FolderPlace, _ name: MaildirName) throws {
        guard let source = try engine.read({ try $0.mailbox(place.account, with: name.validity) }) else { return }
        let course = try course(place.account) { logged in
            guard case .messagesMoved(let move) = logged.event, move.source == source else { return nil }
            return move.arrival(of: name.uid).map { (move.destination, $0) }
        }
        // Where both sides moved it, the state's place counts.
        if var course {
            course.isMoved = true
            try follow(file, place, course)
        }
    }

    /// - Parameters:
    ///   - oldest: the account's position after the event that is looked for, if it is known.
    ///   - begin: the message that an event made of the file; nil of every other event.
    private func course(
        _ account: AccountID, from oldest: ModSeq = .zero,
        _ begin: (LoggedEvent) -> (mailbox: MailboxID, uid: UID)?
    ) throws -> Course? {
        var found: (mailbox: MailboxID, uid: UID)?
        var later: [LoggedEvent] = []
        var window = LogWindow(forwarded: nil)
        try engine.read { state in
            window = LogWindow(forwarded: try state.forwardedKeyword(account))
            var events = 0
            try state.history(account) { logged in
                events += 1
                found = begin(logged)
                guard found == nil, logged.context.aseq > oldest, events < MaildirLimits.followedEventsMax else {
                    return false
                }
                window.add(logged.event, isImport: false)
                switch logged.event {
                case .messagesMoved, .messagesExpunged: later.append(logged)
                default: break
                }
                return true
            }
        }
        guard let found else { return nil }
        var course = Course(mailbox: found.mailbox, uid: found.uid)
        func note() {
            let box = window.box(course.mailbox)
            // Too much has happened to know which side changed what.
            course.letters |= box.isUnknown ? .max : box.letters[course.uid.rawValue] ?? 0
        }
        note()
        for logged in later.reversed() {
            switch logged.event {
            case .messagesMoved(let move) where move.source == course.mailbox:
                guard let next = move.arrival(of: course.uid) else { continue }
                (course.mailbox, course.uid, course.isMoved) = (move.destination, next, true)
                note()
            case .messagesExpunged(let event) where event.mailbox == course.mailbox && event.uids.contains(course.uid):
                course.missed = logged.origin.gateway == .maildirImport ? logged.context.aseq : nil
            default: break
            }
        }
        return course
    }

    private func follow(_ file: ForeignFile, _ place: FolderPlace, _ course: Course) throws {
        // A letter that the state has changed since counts as the state has it.
        try give(
            file.letters, of: file.path, base: { $0 & ~course.letters | file.letters.bits & course.letters }, place,
            to: course.uid, in: course.mailbox)
        guard course.mailbox != place.mailbox, !course.isMoved else { return }
        let move = CopyMessages(source: course.mailbox, destination: place.mailbox, uids: UIDSet(course.uid))
        if let refusal = try perform(place.account, .move(move)) {
            report("\(place.path)/\(file.path): its message stays where it was: \(refusal)")
        } else {
            importCounts.moves += 1
        }
        try disk.passed(.importCommitted)
    }
}
