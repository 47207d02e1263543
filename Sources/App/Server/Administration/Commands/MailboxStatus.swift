import MailCore

package struct MailboxStatus: AdministrationCommand {
    package static let words = "mailbox status"

    package var address: String
    package var mailbox: String

    package init(address: String, mailbox: String) {
        self.address = address
        self.mailbox = mailbox
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address).id
        let id = try session.mailbox(account, mailbox)
        guard let row = try session.engine.read({ try $0.mailbox(account, id) }) else { throw Refusal.noSuchMailbox }
        let summary = MailboxSummary(id: id, name: try session.mailboxName(mailbox).description, row: row)
        let lines = [
            "mailbox        \(summary.name)",
            "special use    \(row.specialUse?.attribute ?? "none")",
            "messages       \(row.exists)",
            "unseen         \(row.unseen)",
            "deleted        \(row.deleted)",
            "octets         \(row.bytes)",
            "uidvalidity    \(row.uidValidity.rawValue)",
            "uidnext        \(row.uidNext)",
            "highestmodseq  \(row.highestModSeq.rawValue)",
        ]
        return AdministrationResult(lines.joined(separator: "\n"), summary.value, isAnswer: true)
    }
}
