import MailCore
import MailTypes

package struct AccountList: AdministrationCommand {
    package static let words = "account list"

    package init() {}

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        var next = AccountID.firstPersonal
        // One snapshot for each page, so that a slow reader of the answer holds none.
        while let (page, following) = try page(from: next, session) {
            for account in page { try session.item(account.line, account.value) }
            guard let following, !session.isCancelled else { return nil }
            next = following
        }
        return nil
    }

    private func page(
        from first: AccountID, _ session: AdministrationSession
    ) throws -> (page: [AccountSummary], next: AccountID?)? {
        try session.engine.read { state in
            var heads: [(AccountID, AccountHead)] = []
            var next: AccountID?
            try state.accounts { id, head in
                guard id >= first, head.status != .removed else { return true }
                if heads.count == ServerLimits.accountsPerRequestMax {
                    next = id
                    return false
                }
                heads.append((id, head))
                return true
            }
            return (try heads.map { try AccountSummary($0.0, $0.1, state) }, next)
        }
    }
}

/// What `list` and `show` say of an account.
struct AccountSummary {
    var id: AccountID
    var head: AccountHead
    var address: String
    var aliases: [String]

    init(_ id: AccountID, _ head: AccountHead, _ state: any StateReader) throws {
        self.id = id
        self.head = head
        let rows = try state.addresses(id)
        address = rows.first { $0.kind == .primary }?.address ?? "(none)"
        aliases = rows.filter { $0.kind != .primary }.map(\.address)
    }

    var status: String {
        switch head.status {
        case .active: "active"
        case .disabled: "disabled"
        case .removed: "removed"
        }
    }

    var line: String {
        let mail = "\(head.used.messages) messages, \(head.used.bytes) octets"
        return "\(address)  \(mail)" + (head.status == .active ? "" : "  \(status)")
            + (aliases.isEmpty ? "" : "  also \(aliases.joined(separator: ", "))")
    }

    var value: JSONValue {
        [
            "account": .count(id.rawValue), "address": .string(address), "status": .string(status),
            "aliases": .array(aliases.map(JSONValue.string)), "messages": .count(head.used.messages),
            "octets": .count(head.used.bytes), "quota_octets": .count(head.quota.bytes),
            "quota_messages": .count(head.quota.messages), "undelete_days": .count(head.retention.undeleteDays),
            "modseq": .count(head.aseq.rawValue),
        ]
    }
}
