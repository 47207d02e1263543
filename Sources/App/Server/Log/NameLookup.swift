import EventStore
import MailCore
import MailTypes

/// The names that stand for identifiers in one snapshot, remembered while it lasts.
struct NameLookup {
    private let state: any StateReader
    /// Whose mailboxes and keywords are meant.
    var account = AccountID.system
    private var addresses: [AccountID: String] = [:]
    private var mailboxes: [AccountID: [MailboxID: String]] = [:]

    init(_ state: any StateReader) { self.state = state }

    /// The account's own address; `system`, `queue`, or its number when it has been removed.
    mutating func address(_ account: AccountID) throws -> String {
        if account == .system { return "system" }
        if account == .queue { return "queue" }
        if let known = addresses[account] { return known }
        let address = try state.primaryAddress(account) ?? "#\(account.rawValue)"
        addresses[account] = address
        return address
    }

    /// The mailbox's name; its last one in quotes of its number when it has been deleted.
    mutating func name(_ mailbox: MailboxID) throws -> String {
        if let known = mailboxes[account]?[mailbox] { return known }
        var name = "#\(mailbox.rawValue)"
        if let live = try state.name(account, of: mailbox) {
            name = live.description
        } else if let tombstone = try state.tombstone(account, mailbox) {
            name = "#\(mailbox.rawValue):\(tombstone.row.leaf)"
        }
        mailboxes[account, default: [:]][mailbox] = name
        return name
    }

    func keywords(_ ids: [KeywordID]) throws -> [String] {
        try ids.map { try state.keyword(account, $0)?.name ?? "#\($0.rawValue)" }
    }
}
