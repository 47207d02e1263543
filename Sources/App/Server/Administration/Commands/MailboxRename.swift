import MailCore

package struct MailboxRename: AdministrationCommand {
    package static let words = "mailbox rename"

    package var address: String
    package var mailbox: String
    package var newName: String

    package init(address: String, mailbox: String, newName: String) {
        self.address = address
        self.mailbox = mailbox
        self.newName = newName
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
        let old = try session.mailboxName(mailbox)
        let new = try session.mailboxName(newName)
        _ = try session.perform(account.id, .renameMailbox(try session.mailbox(account.id, mailbox), to: new))
        return AdministrationResult(
            "\(old) of \(account.address) is now \(new)",
            ["address": .string(account.address), "mailbox": .string(new.description)])
    }
}
