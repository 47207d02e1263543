import EventStore
import MailCore
import MailEngine
import MailTypes

/// A mailbox that mail is brought into.
struct ImportMailbox {
    var id: MailboxID
    var uidValidity: UIDValidity
    /// UIDs from here on are free.
    var uidNext: UInt32
    /// The UIDVALIDITY is the source's, so its UIDs can be kept.
    var keepsUIDs: Bool

    /// Makes the mailboxes of an import, then gives each other one that has given no UID another UIDVALIDITY where the
    /// source's needs it: both came from a clock, and an account is often made in the seconds in which it is filled.
    static func makeRoom(
        _ account: AccountID, _ names: [MailboxName], _ validities: [MailboxName: UInt32], in engine: MailEngine,
        perform: (AccountCommand) throws -> CommandResult
    ) throws {
        for name in names where try engine.read({ try $0.mailboxID(account, named: name) }) == nil {
            _ = try perform(.createMailbox(NewMailbox(name: name)))
        }
        let needed = Set(validities.values)
        while true {
            let clash = try engine.read { state -> MailboxID? in
                var unused: [MailboxID] = []
                try state.mailboxes(account) { id, row in
                    if row.uidNext == 1, needed.contains(row.uidValidity.rawValue) { unused.append(id) }
                    return true
                }
                return try unused.first { id in
                    guard let name = try state.name(account, of: id), let row = try state.mailbox(account, id) else {
                        return false
                    }
                    return validities[name] != row.uidValidity.rawValue
                }
            }
            guard let clash else { break }
            _ = try perform(.bumpUIDValidity(clash))
        }
        // Courier gives folders that it makes in one second the same: it is INBOX whose numbers matter most.
        for name in names.filter(\.isInbox) + names.filter({ !$0.isInbox }) {
            let validity = validities[name].map { UIDValidity($0) }
            _ = try prepare(account, name, validity, in: engine, perform: perform)
        }
    }

    /// The mailbox, made when it is missing, under the source's UIDVALIDITY where it has given no UID of its own.
    static func prepare(
        _ account: AccountID, _ name: MailboxName, _ validity: UIDValidity?, in engine: MailEngine,
        perform: (AccountCommand) throws -> CommandResult
    ) throws -> ImportMailbox {
        func find() throws -> (MailboxID, MailboxRow)? {
            try engine.read { state in
                guard let id = try state.mailboxID(account, named: name), let row = try state.mailbox(account, id)
                else { return nil }
                return (id, row)
            }
        }
        if try find() == nil {
            do {
                _ = try perform(.createMailbox(NewMailbox(name: name)))
            } catch Refusal.mailboxExists {
                // Another folder of the import has made it as its parent.
            }
        }
        guard let (id, row) = try find() else { throw Refusal.noSuchMailbox }
        var mailbox = ImportMailbox(
            id: id, uidValidity: row.uidValidity, uidNext: row.uidNext, keepsUIDs: row.uidValidity == validity)
        guard let validity, !mailbox.keepsUIDs, row.uidNext == 1 else { return mailbox }
        do {
            _ = try perform(.adoptUIDValidity(id, validity))
            mailbox.uidValidity = validity
            mailbox.keepsUIDs = true
        } catch Refusal.uidValidityNotAscending {}
        return mailbox
    }

    /// The source's UIDNEXT too, once its messages are here: it may have given higher UIDs than they have, which some client
    /// knows. It is asked for before each run of messages that get other numbers, and at the end; that it cannot be kept is
    /// told once.
    func keepNextUID(_ next: UInt32?, _ account: AccountID, _ desk: ImportDesk, _ report: inout FolderReport) throws {
        guard keepsUIDs, let next, next > 0 else { return }
        do {
            _ = try desk.perform(account, .raiseUIDNext(id, to: UID(next)))
        } catch Refusal.uidsExhausted {
            let complaint = (path: "\(report.name)", reason: "its next UID, \(next), leaves too few to be kept")
            if !report.missing.contains(where: { $0 == complaint }) { report.missing.append(complaint) }
        }
        try desk.reached(.nextUIDKept)
    }
}

extension ShardReader {
    /// Calls `body` with the messages of a mailbox in the order of their UIDs.
    func importedRows(
        _ account: AccountID, _ mailbox: MailboxID, _ body: (UID, MessageRow) throws -> Void
    ) throws {
        var rows: [(UID, MessageRow)] = []
        try messages(account, mailbox, from: UID(1)) { uid, row in
            rows.append((uid, row))
            return true
        }
        for (uid, row) in rows { try body(uid, row) }
    }

    /// How often each message is in a mailbox.
    func importedHashes(_ account: AccountID, _ mailbox: MailboxID) throws -> [ContentHash: Int] {
        var counts: [ContentHash: Int] = [:]
        try importedRows(account, mailbox) { _, row in
            if let body = try body(row.blob) { counts[body.hash, default: 0] += 1 }
        }
        return counts
    }

    func importedKeywords(
        _ account: AccountID, _ mailbox: MailboxID, _ uid: UID, _ row: MessageRow
    ) throws -> Set<Keyword> {
        guard row.keywordBits != 0 else { return [] }
        return Set(try keywords(account, mailbox, uid, row).compactMap { try keyword(account, $0) })
    }
}
