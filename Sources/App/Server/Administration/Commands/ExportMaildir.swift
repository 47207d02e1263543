import Foundation
import MailCore
import MailTypes
import Projections

/// `export maildir`: an account as a Maildir tree with Dovecot's lists, as the projection writes it, into a directory of its
/// own. Run again, it brings the tree up to date.
package struct ExportMaildir: AdministrationCommand {
    package static let words = "export maildir"

    package var address: String
    /// An absolute path: the process that owns the store writes there.
    package var directory: String

    package init(address: String, directory: String) {
        self.address = address
        self.directory = directory
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
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
