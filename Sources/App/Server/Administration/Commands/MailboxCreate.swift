import MailCore
import MailTypes

package struct MailboxCreate: AdministrationCommand {
    package static let words = "mailbox create"

    package var address: String
    package var mailbox: String
    /// `drafts`, `sent`...; nil for none.
    package var specialUse: String?

    package init(address: String, mailbox: String, specialUse: String? = nil) {
        self.address = address
        self.mailbox = mailbox
        self.specialUse = specialUse
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        let account = try session.account(address)
        let name = try session.mailboxName(mailbox)
        let use = try specialUse.map { text in
            guard let use = SpecialUse(word: text) else {
                throw AdministrationFailure("\(text) is no special use; there are \(SpecialUse.words)", .usage)
            }
            return use
        }
        let new = NewMailbox(name: name, specialUse: use, subscribed: true)
        guard case .mailbox(_, let validity) = try session.perform(account.id, .createMailbox(new)) else { return nil }
        return AdministrationResult(
            "created \(name) of \(account.address)",
            [
                "address": .string(account.address), "mailbox": .string(name.description),
                "uidvalidity": .count(validity.rawValue),
            ])
    }
}

extension SpecialUse {
    /// From `sent`, `Sent` or `\Sent`.
    package init?(word: String) {
        let wanted = word.lowercased().drop { $0 == "\\" }
        guard let found = Self.allCases.first(where: { "\($0)" == wanted }) else { return nil }
        self = found
    }

    package static var words: String { allCases.map { "\($0)" }.joined(separator: ", ") }
}
