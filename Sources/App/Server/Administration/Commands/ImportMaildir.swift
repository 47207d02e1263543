import MailCore
import MailTypes

/// `import maildir`: a Maildir tree of Dovecot's or Courier's into an account.
package struct ImportMaildir: AdministrationCommand {
    package static let words = "import maildir"

    package var address: String
    /// An absolute path: the process that owns the store reads it.
    package var directory: String

    package init(address: String, directory: String) {
        self.address = address
        self.directory = directory
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        try run(ImportDesk(session), in: session)
    }

    package func run(_ desk: ImportDesk, in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
        let source = try MaildirSource(directory)
        let work = MaildirImport(desk, account: account.id)
        var missing = source.unnamed.count
        for name in source.unnamed {
            desk.item(
                "\(name): no name for a mailbox", ["directory": .string(name), "error": "no name for a mailbox"])
        }
        var validities: [MailboxName: UInt32] = [:]
        for folder in source.folders { validities[folder.name] = MaildirSource.uidValidity(folder)?.rawValue }
        try ImportMailbox.makeRoom(account.id, source.folders.map(\.name), validities, in: desk.engine) {
            try desk.perform(account.id, $0)
        }
        try desk.reached(.roomMade)
        for folder in source.folders {
            let report: FolderReport
            do {
                report = try work.run(folder)
            } catch {
                let failure = AdministrationFailure(error)
                throw AdministrationFailure(
                    "\(folder.name): \(failure.text) (after \(work.imported) messages; run it again to go on)",
                    failure.status)
            }
            desk.tell(report, account.address)
            missing += report.missing.count
        }
        for name in try source.subscriptions() {
            _ = try desk.perform(account.id, .setSubscription(name, true))
        }
        try desk.reached(.subscribed)
        let text = "\(work.imported) messages in \(source.folders.count) folders into \(account.address)"
        guard missing == 0 else { throw AdministrationFailure("\(text); \(missing) could not be imported") }
        return AdministrationResult(
            text,
            [
                "address": .string(account.address), "folders": .count(source.folders.count),
                "imported": .count(work.imported),
            ])
    }
}
