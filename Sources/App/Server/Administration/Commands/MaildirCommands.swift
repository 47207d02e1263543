// `maildir status`, `confirm` and `restore`: a two-way account's Maildir, and what was deleted in it by so many at once that
// somebody is asked.
import MailTypes
import Projections

package struct MaildirShowStatus: AdministrationCommand {
    package static let words = "maildir status"

    package var address: String

    package init(address: String) { self.address = address }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
        let status = try MaildirWork.importStatus(account.id, session)
        var lines = ["\(account.address): \(status.mode.rawValue)" + (status.isQuiet ? "" : ", not settled")]
        for held in status.quarantine {
            lines.append(
                held.isFolder
                    ? "waits: the folder of \(held.mailbox) is gone, with \(held.messages) messages"
                    : "waits: \(held.messages) files of \(held.mailbox) are gone")
        }
        if !status.quarantine.isEmpty {
            lines.append("`maildir confirm` deletes these messages, `maildir restore` writes their files again")
        }
        for (path, reason) in status.refused { lines.append("not taken: \(path): \(reason)") }
        if status.ignored > 0 { lines.append("\(status.ignored) files that are no messages are left alone") }
        if let failure = status.failure { lines.append("failed: \(failure)") }
        return AdministrationResult(
            lines.joined(separator: "\n"),
            [
                "address": .string(account.address), "maildir": .string(status.mode.rawValue),
                "settled": .bool(status.isQuiet), "failure": .text(status.failure),
                "ignored": .count(status.ignored),
                "waiting": .array(
                    status.quarantine.map {
                        [
                            "mailbox": .string($0.mailbox), "messages": .count($0.messages),
                            "folder": .bool($0.isFolder),
                        ]
                    }),
                "refused": .array(
                    status.refused.map { ["path": .string($0.path), "reason": .string($0.reason)] }),
            ], isAnswer: true)
    }
}

package struct MaildirConfirm: AdministrationCommand {
    package static let words = "maildir confirm"

    package var address: String

    package init(address: String) { self.address = address }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
        let count = try MaildirWork.confirm(account.id, session)
        return AdministrationResult(
            "\(account.address): \(count) messages deleted",
            ["address": .string(account.address), "deleted": .count(count)])
    }
}

package struct MaildirRestore: AdministrationCommand {
    package static let words = "maildir restore"

    package var address: String

    package init(address: String) { self.address = address }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
        try MaildirWork.restore(account.id, session)
        return AdministrationResult(
            "\(account.address): the Maildir is as the store has it", ["address": .string(account.address)])
    }
}
