import MailCore
import MailTypes

/// `import mbox`: the messages of one mbox file into one mailbox, with their flags, keywords and dates.
package struct ImportMbox: AdministrationCommand {
    package static let words = "import mbox"

    package var address: String
    /// An absolute path: the process that owns the store reads it.
    package var file: String
    package var mailbox: String

    package init(address: String, file: String, mailbox: String) {
        self.address = address
        self.file = file
        self.mailbox = mailbox
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
        let name = try session.mailboxName(mailbox)
        let work = MboxImport(session, account: account.id, mailbox: name)
        do {
            try work.read(file)
        } catch {
            let failure = AdministrationFailure(error)
            throw AdministrationFailure("\(failure.text) (after \(work.imported) messages)", failure.status)
        }
        var text = "\(work.imported) messages into \(name) of \(account.address)"
        if work.failed > 0 { text += ", \(work.failed) could not be imported" }
        guard work.failed == 0 else { throw AdministrationFailure(text) }
        return AdministrationResult(
            text,
            [
                "address": .string(account.address), "mailbox": .string(name.description),
                "imported": .count(work.imported), "octets": .count(work.octets), "failed": .count(work.failed),
            ])
    }
}
