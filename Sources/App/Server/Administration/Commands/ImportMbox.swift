import MIME
import MailCore
import MailTypes

/// `import mbox`: the messages of one mbox file into one mailbox, with their flags, keywords and dates.
package struct ImportMbox: AdministrationCommand {
    package static let words = "import mbox"

    package var address: String
    /// An absolute path: the process that owns the store reads it.
    package var file: String
    package var mailbox: String
    /// How lines that begin with `From ` are protected in the file; nil is mboxrd, which reads mboxo as well, but for
    /// messages whose Content-Length leads to the next one: those have nothing to protect.
    package var quoting: MboxForm?

    package init(address: String, file: String, mailbox: String, quoting: MboxForm? = nil) {
        self.address = address
        self.file = file
        self.mailbox = mailbox
        self.quoting = quoting
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        try run(ImportDesk(session), in: session)
    }

    package func run(_ desk: ImportDesk, in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
        let name = try session.mailboxName(mailbox)
        let work = MboxImport(desk, account: account.id, mailbox: name, quoting: quoting?.quoting ?? .automatic)
        do {
            try work.read(file)
        } catch {
            let failure = AdministrationFailure(error)
            throw AdministrationFailure("\(failure.text) (after \(work.imported) messages)", failure.status)
        }
        let report = work.report
        desk.tell(report, account.address)
        let text = "\(report.imported) messages into \(name) of \(account.address)"
        guard report.missing.isEmpty else {
            throw AdministrationFailure("\(text), \(report.missing.count) could not be imported")
        }
        return AdministrationResult(
            text,
            [
                "address": .string(account.address), "mailbox": .string(name.description),
                "imported": .count(report.imported), "octets": .count(report.octets), "failed": .count(0),
            ])
    }
}

/// The forms of mbox that differ in what stands before a line of a message that begins with `From `.
package enum MboxForm: String, Codable, Sendable, CaseIterable {
    case mboxrd, mboxo, none

    var quoting: MboxQuoting {
        switch self {
        case .mboxrd: .mboxrd
        case .mboxo: .mboxo
        case .none: .none
        }
    }
}
