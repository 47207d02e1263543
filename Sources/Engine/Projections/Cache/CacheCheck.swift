import EventStore
import MIME
import MailCore
import MailEngine
import MailTypes

/// What a check of the parse cache found.
package struct CacheReport: Sendable, Equatable {
    package var messages = 0
    /// Messages of which the cache has a row.
    package var rows = 0
    /// The first row that differs from the message: account, mailbox, UID.
    package var difference: String?
    package init() {}
}

extension MessageCache {
    /// Reads every message of which there is a row and compares.
    /// - Parameter progress: messages looked at so far.
    package func check(in engine: MailEngine, progress: (Int) -> Void = { _ in }) throws -> CacheReport {
        var report = CacheReport()
        var accounts: [AccountID] = []
        try engine.read { state in
            try state.accounts { account, _ in
                if account >= .firstPersonal { accounts.append(account) }
                return true
            }
        }
        for account in accounts {
            var mailboxes: [MailboxID] = []
            try engine.read { state in
                try state.mailboxes(account) { mailbox, _ in
                    mailboxes.append(mailbox)
                    return true
                }
            }
            for mailbox in mailboxes {
                try check(account, mailbox, engine, &report, progress)
                if report.difference != nil { return report }
            }
        }
        return report
    }

    private func check(
        _ account: AccountID, _ mailbox: MailboxID, _ engine: MailEngine, _ report: inout CacheReport,
        _ progress: (Int) -> Void
    ) throws {
        var next: UID? = UID(1)
        while let first = next {
            var batch: [(UID, MessageRow)] = []
            next = nil
            try engine.read { state in
                try state.messages(account, mailbox, from: first) { uid, row in
                    guard batch.count < MessageCacheLimits.rowsPerSnapshotMax else {
                        next = uid
                        return false
                    }
                    batch.append((uid, row))
                    return true
                }
            }
            for ((uid, row), known) in zip(batch, known(account, batch.map(\.1.email))) {
                report.messages += 1
                guard let known else { continue }
                report.rows += 1
                guard try PackedSummary(MessageSummary(scanning: engine.openBody(row.blob))) == known else {
                    report.difference = "account \(account.rawValue), mailbox \(mailbox.rawValue), UID \(uid.rawValue)"
                    return
                }
            }
            progress(report.messages)
        }
    }
}
