import MailCore
import MailTypes
import Projections

package struct AccountShow: AdministrationCommand {
    package static let words = "account show"

    package var address: String

    package init(address: String) { self.address = address }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address).id
        let found = try session.engine.read { state -> (AccountSummary, [CredentialRow], Int, MaildirMode) in
            guard let head = try state.head(account) else { throw Refusal.noSuchAccount }
            var mailboxes = 0
            try state.mailboxes(account) { _, _ in
                mailboxes += 1
                return true
            }
            let mode = MaildirMode(setting: try state.setting(account, MaildirProjection.settingKey))
            return (try AccountSummary(account, head, state), try state.credentials(account), mailboxes, mode)
        }
        let (summary, credentials, mailboxes, mode) = found
        let now = session.engine.clock()
        guard case .object(var value) = summary.value else { return nil }
        value["mailboxes"] = .count(mailboxes)
        value["maildir"] = .string(mode.rawValue)
        value["credentials"] = .array(credentials.map { $0.value(at: now) })
        let quota = summary.head.quota
        let lines = [
            "address      \(summary.address)",
            "status       \(summary.status)",
            "aliases      \(summary.aliases.isEmpty ? "none" : summary.aliases.joined(separator: ", "))",
            "mailboxes    \(mailboxes)",
            "mail         \(summary.head.used.messages) messages, \(summary.head.used.bytes) octets",
            "quota        \(Self.limit(quota.messages, "messages")), \(Self.limit(quota.bytes, "octets"))",
            "undelete     \(summary.head.retention.undeleteDays) days",
            "maildir      \(mode.rawValue)",
            "modseq       \(summary.head.aseq.rawValue)",
            "credentials  \(credentials.isEmpty ? "none" : credentials.map { $0.line(at: now) }.joined(separator: "; "))",
        ]
        return AdministrationResult(lines.joined(separator: "\n"), .object(value), isAnswer: true)
    }

    private static func limit(_ value: UInt64, _ unit: String) -> String {
        value == 0 ? "no limit of \(unit)" : "\(value) \(unit)"
    }
}
