import EventStore
import MailEngine
import MailTypes

/// `verify`: every invariant of the store, or the first counter-example to one.
package struct StoreVerify: AdministrationCommand {
    package static let words = "verify"

    package var account: String?
    /// Only records behind this position of the log, which must be that of a seal.
    package var since: UInt64?
    /// How many of the bodies are read and hashed, 0...100 percent.
    package var blobsPercent: Int
    package var maildir: Bool

    package init(account: String? = nil, since: UInt64? = nil, blobsPercent: Int = 100, maildir: Bool = false) {
        self.account = account
        self.since = since
        self.blobsPercent = blobsPercent
        self.maildir = maildir
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try account.map { try session.logAccount($0) }
        let scope = VerifyScope(
            account: account, since: since.map { Cursor($0) } ?? .start, bodiesPercent: min(100, max(0, blobsPercent)))
        let total = try session.engine.read { Int(clamping: $0.head.rawValue) }
        let report: VerifyReport
        do {
            report = try session.backend.store.verify(scope) { report in
                // Whoever asked may have gone; the rest is then done for nothing, which is harmless.
                try? session.progress(report.records + report.seals, of: total)
            }
        } catch let violation as Violation {
            throw AdministrationFailure("\(violation)")
        }
        try session.item(
            "every invariant holds: \(report.records) events in \(report.seals) batches, \(report.accounts) accounts, "
                + "\(report.messages) messages, \(report.bodies) bodies of which \(report.bodiesRead) were read",
            [
                "records": .count(report.records), "seals": .count(report.seals), "accounts": .count(report.accounts),
                "messages": .count(report.messages), "bodies": .count(report.bodies),
                "bodies_read": .count(report.bodiesRead),
            ])
        if maildir { try MaildirWork.check(account, contents: true, session) }
        return nil
    }
}
