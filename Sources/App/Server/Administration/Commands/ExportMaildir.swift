import Foundation
import MailCore
import MailTypes
import Projections

/// `export maildir`: an account as a Maildir tree with Dovecot's lists, as the projection writes it, into a directory of its
/// own. Run again, it brings the tree up to date. One folder alone goes into a directory that is not there yet.
package struct ExportMaildir: AdministrationCommand {
    package static let words = "export maildir"

    package var address: String
    /// An absolute path: the process that owns the store writes there.
    package var directory: String
    /// Only this one, as a Maildir without folders; nil is all.
    package var mailbox: String?

    package init(address: String, directory: String, mailbox: String? = nil) {
        self.address = address
        self.directory = directory
        self.mailbox = mailbox
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
        if let mailbox {
            let id = try session.mailbox(account.id, mailbox)
            let count = try MaildirExport(session, account.id, id).write(directory)
            let name = try session.mailboxName(mailbox)
            return AdministrationResult(
                "\(count) messages of \(name) of \(account.address) under \(directory)",
                [
                    "address": .string(account.address), "directory": .string(directory),
                    "mailbox": .string(name.description), "messages": .count(count),
                ])
        }
        try? FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let projection = MaildirProjection(
            engine: session.engine, options: MaildirOptions(root: directory))
        do {
            try projection.rebuild(account.id)
            let report = try projection.check(account.id, contents: true)
            if let first = report.differences.first {
                throw AdministrationFailure("the tree differs from the account, first \(first)")
            }
            return AdministrationResult(
                "\(report.files) messages in \(report.folders) folders of \(account.address) under \(directory)",
                [
                    "address": .string(account.address), "directory": .string(directory),
                    "folders": .count(report.folders), "messages": .count(report.files),
                ])
        } catch {
            throw AdministrationFailure(error)
        }
    }
}
