// STATUS (RFC 9051 section 6.3.11): counters that every commit keeps, so its cost does not depend on the mailbox; but for
// RECENT and DELETED-STORAGE, which look at what is recent or deleted.
import EventStore
import IMAP
import MailCore
import MailEngine
import MailTypes

extension IMAPSession {
    func status(_ name: MailboxName, _ attributes: [StatusAttribute]) {
        guard let account, let id = mailboxID(name) else { return }
        guard let found = snapshot({ try statusItems($0, account, id, attributes) }) else { return }
        guard let items = found else { return finish(.no("There is no such mailbox", code: .nonExistent)) }
        respond { $0.status(name, items) }
        finish(.ok("Done"))
    }

    /// Nil when the mailbox is gone.
    func statusItems(
        _ state: any ShardReader, _ account: AccountID, _ id: MailboxID, _ attributes: [StatusAttribute]
    ) throws -> [IMAPWriter.StatusItem]? {
        guard let row = try state.mailbox(account, id) else { return nil }
        return try attributes.map { attribute in
            switch attribute {
            case .messages: return .number(attribute, UInt64(row.exists))
            case .uidNext: return .number(attribute, UInt64(row.uidNext))
            case .uidValidity: return .number(attribute, UInt64(row.uidValidity.rawValue))
            case .unseen: return .number(attribute, UInt64(row.unseen))
            case .deleted: return .number(attribute, UInt64(row.deleted))
            case .size: return .number(attribute, row.bytes)
            case .highestModSeq:
                // What is held back from this session is not told by the back door (engine.md section 5, rule 2).
                let told = selected?.view.mailbox == id ? selected?.view.lastFullModSeq : nil
                return .number(attribute, (told ?? row.highestModSeq).rawValue)
            case .appendLimit: return .number(attribute, UInt64(connection.gateway.options.messageOctetsMax))
            case .mailboxID: return .objectID(attribute, ObjectName.mailbox(account, id))
            case .recent:
                let floor = engine.recents.floor(account, id, stored: row.recentFloor)
                guard floor < row.uidNext else { return .number(attribute, 0) }
                return .number(attribute, UInt64(try state.count(account, id, from: UID(floor)) { _ in true }))
            case .deletedStorage:
                guard row.deleted > 0 else { return .number(attribute, 0) }
                var octets: UInt64 = 0
                try state.messages(account, id, from: UID(1)) { _, message in
                    if message.flags.contains(.deleted) { octets += UInt64(message.size) }
                    return true
                }
                return .number(attribute, octets)
            }
        }
    }
}
