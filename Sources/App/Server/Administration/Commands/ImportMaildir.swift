import MailCore
import MailTypes
import Octets

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
        let account = try session.account(address)
        let source = try MaildirSource(directory)
        let work = MaildirImport(session, account: account.id)
        var missing = source.unnamed.count
        for name in source.unnamed {
            try session.item(
                "\(name): no name for a mailbox", ["directory": .string(name), "error": "no name for a mailbox"])
        }
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
            try tell(report, session)
            missing += report.missing.count
        }
        for name in try source.subscriptions() {
            _ = try session.perform(account.id, .setSubscription(name, true))
        }
        let text = "\(work.imported) messages in \(source.folders.count) folders into \(account.address)"
        guard missing == 0 else { throw AdministrationFailure("\(text); \(missing) could not be imported") }
        return AdministrationResult(
            text,
            [
                "address": .string(account.address), "folders": .count(source.folders.count),
                "imported": .count(work.imported),
            ])
    }

    private func tell(_ report: FolderReport, _ session: AdministrationSession) throws {
        let hash = report.hash.finalize().withBytes { Hex.encode(Array($0)) }
        for (path, reason) in report.missing.prefix(ServerLimits.importErrorsListedMax) {
            try session.item("\(path): \(reason)", ["file": .string(path), "error": .string(reason)])
        }
        try session.item(
            "\(report.name)  \(report.found) files, \(report.imported) imported, \(report.present) there before, "
                + "\(report.missing.count) missing, \(report.octets) octets, UIDs \(report.keepsUIDs ? "kept" : "new")"
                + ", sha256 \(hash)",
            [
                "mailbox": .string(report.name.description), "found": .count(report.found),
                "imported": .count(report.imported), "present": .count(report.present),
                "missing": .count(report.missing.count), "octets": .count(report.octets),
                "keeps_uids": .bool(report.keepsUIDs), "sha256": .string(hash),
            ])
    }
}
