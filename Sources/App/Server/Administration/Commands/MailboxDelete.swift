import MailCore

package struct MailboxDelete: AdministrationCommand {
    package static let words = "mailbox delete"

    package var address: String
    package var mailbox: String

    package init(address: String, mailbox: String) {
        self.address = address
        self.mailbox = mailbox
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
        let name = try session.mailboxName(mailbox)
        _ = try session.perform(account.id, .deleteMailbox(try session.mailbox(account.id, mailbox)))
        return AdministrationResult(
            "deleted \(name) of \(account.address)",
            ["address": .string(account.address), "mailbox": .string(name.description)])
    }
}
