import MailCore
import MailTypes

package struct MailboxList: AdministrationCommand {
    package static let words = "mailbox list"

    package var address: String

    package init(address: String) { self.address = address }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address).id
        for mailbox in try session.engine.read({ try MailboxSummary.all(account, $0) }) {
            try session.item(mailbox.line, mailbox.value)
        }
        return nil
    }
}

/// What `list` and `status` say of a mailbox.
struct MailboxSummary {
    var id: MailboxID
    var name: String
    var row: MailboxRow

    /// In the order of their names, INBOX first.
    static func all(_ account: AccountID, _ state: any StateReader) throws -> [MailboxSummary] {
        var rows: [(MailboxID, MailboxRow)] = []
        try state.mailboxes(account) { id, row in
            rows.append((id, row))
            return true
        }
        var found: [MailboxSummary] = []
        for (id, row) in rows {
            found.append(
                MailboxSummary(id: id, name: try state.name(account, of: id)?.description ?? row.leaf, row: row))
        }
        return found.sorted { ($0.name == "INBOX" ? "" : $0.name) < ($1.name == "INBOX" ? "" : $1.name) }
    }

    var line: String {
        "\(name)  \(row.exists) messages, \(row.unseen) unseen, \(row.bytes) octets"
            + (row.specialUse.map { "  \($0.attribute)" } ?? "")
    }

    var value: JSONValue {
        [
            "mailbox": .string(name), "id": .count(id.rawValue), "special_use": .text(row.specialUse?.attribute),
            "messages": .count(row.exists), "unseen": .count(row.unseen), "deleted": .count(row.deleted),
            "octets": .count(row.bytes), "uidvalidity": .count(row.uidValidity.rawValue),
            "uidnext": .count(row.uidNext), "highestmodseq": .count(row.highestModSeq.rawValue),
        ]
    }
}
