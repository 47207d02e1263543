// `export mbox`: mailboxes as files in the form mboxrd, with what mbox programs and Dovecot keep in headers: X-IMAPbase,
// X-UID, Status, X-Status, X-Keywords. `import mbox` reads all of it back.
import EventStore
import Foundation
import Glibc
import MailCore
import MailTypes

package struct ExportMbox: AdministrationCommand {
    package static let words = "export mbox"

    package var address: String
    /// An absolute path of a directory: each mailbox becomes a file NAME.mbox in it, a child one in NAME/.
    package var directory: String
    /// Only this one; nil is all.
    package var mailbox: String?

    package init(address: String, directory: String, mailbox: String? = nil) {
        self.address = address
        self.directory = directory
        self.mailbox = mailbox
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
        var mailboxes: [(MailboxID, MailboxName)] = []
        if let mailbox {
            mailboxes = [(try session.mailbox(account.id, mailbox), try session.mailboxName(mailbox))]
        } else {
            mailboxes = try session.engine.read { state in
                var ids: [MailboxID] = []
                try state.mailboxes(account.id) { id, _ in
                    ids.append(id)
                    return true
                }
                return try ids.compactMap { id in try state.name(account.id, of: id).map { (id, $0) } }
            }
        }
        var total = 0
        for (id, name) in mailboxes {
            let components = name.components.map { $0 == "." || $0 == ".." ? "_" + $0 : $0 }
            let folder = ([directory] + components.dropLast()).joined(separator: "/")
            try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let path = folder + "/" + (components.last ?? "") + ".mbox"
            let count = try MboxExport(session, account.id, id).write(path)
            total += count
            try session.item(
                "\(name)  \(count) messages in \(path)",
                ["mailbox": .string(name.description), "messages": .count(count), "file": .string(path)])
        }
        return AdministrationResult(
            "\(total) messages of \(account.address)",
            ["address": .string(account.address), "mailboxes": .count(mailboxes.count), "messages": .count(total)])
    }
}
