// Who receives for an address: the account, its INBOX, and whether it takes mail now. Reads of some microseconds, made on
// the event loop.
//
// An address is looked up as it is; then without its detail (`user+detail`, RFC 5233), unless the site wants none; then as
// the catch-all of its domain. A detail can name a mailbox of the account, where the site allows it. Postmaster of a domain of ours is always somebody (RFC 5321 section 4.5.1): the postmaster of the default
// domain where the domain has none of its own.
import EventStore
import MailCore
import MailEngine
import MailTypes
import SMTP

/// Where a recipient's copy goes.
struct DeliveryTarget: Hashable, Sendable {
    let account: AccountID
    /// INBOX, or the one that the detail names.
    let mailbox: MailboxID
    /// As the client wrote it.
    let address: String
}

/// What this node makes of an address.
package enum ResolvedRecipient: Sendable {
    case mailbox(AccountID, MailboxID)
    /// The domain is ours, and the address takes no mail, now or for good.
    case refused(SMTPReply)
    case elsewhere
}

struct RecipientDirectory: Sendable {
    /// Begins the detail of a local part.
    private static let detailSeparator: Character = "+"
    private static let postmaster = "postmaster"

    let engine: MailEngine
    let defaultDomain: String
    let isLocalDomain: @Sendable (String) -> Bool
    let detail: DetailDelivery

    enum Answer {
        case target(DeliveryTarget)
        case refused(RecipientVerdict)
    }

    /// Whose an address is, whether or not it takes mail.
    func owner(of address: Address) throws -> AccountID? {
        try engine.read { state in
            for (key, _) in candidates(address) {
                if let owner = try state.owner(ofAddress: key) { return owner }
            }
            return nil
        }
    }

    /// - Parameter octets: what the client says the message will measure, or 0.
    func look(up recipient: SMTPRecipient, octets: Int) throws -> Answer {
        let address =
            recipient.isBarePostmaster
            ? Address(localPart: Self.postmaster, domain: defaultDomain) ?? recipient.address : recipient.address
        return try engine.read { state in
            var owner: AccountID?
            var detail: String?
            for candidate in candidates(address) where owner == nil {
                owner = try state.owner(ofAddress: candidate.key)
                detail = candidate.detail
            }
            if owner == nil {
                let isOurs =
                    try isLocalDomain(address.domain) || address.domain == defaultDomain
                    || postmaster(of: address.domain, state) != nil
                guard isOurs else { return .refused(.relayDenied) }
                if address.localPart.lowercased() == Self.postmaster {
                    owner = try postmaster(of: defaultDomain, state)
                }
            }
            guard let owner, let head = try state.head(owner), head.status != .removed,
                let mailbox = try mailbox(owner, detail, state)
            else { return .refused(.unknownUser) }
            guard head.status == .active else { return .refused(.disabled) }
            let (used, quota) = (head.used, head.quota)
            if quota.bytes > 0, used.bytes >= quota.bytes || used.bytes + UInt64(octets) > quota.bytes {
                return .refused(.overQuota)
            }
            if quota.messages > 0, used.messages >= quota.messages { return .refused(.overQuota) }
            return .target(
                DeliveryTarget(account: owner, mailbox: mailbox, address: recipient.address.description))
        }
    }

    func resolve(_ text: String) throws -> ResolvedRecipient {
        guard let address = Address(text) else { return .elsewhere }
        switch try look(up: SMTPRecipient(address), octets: 0) {
        case .target(let target): return .mailbox(target.account, target.mailbox)
        case .refused(.relayDenied): return .elsewhere
        case .refused(let verdict): return .refused(verdict.reply)
        }
    }

    private func postmaster(of domain: String, _ state: any ShardReader) throws -> AccountID? {
        try Address(localPart: Self.postmaster, domain: domain).flatMap { try state.owner(of: $0) }
    }

    private func candidates(_ address: Address) -> [(key: String, detail: String?)] {
        var people: [(name: String, detail: String?)] = [(address.localPart.lowercased(), nil)]
        if detail != .off, let plus = address.localPart.firstIndex(of: Self.detailSeparator),
            plus != address.localPart.startIndex
        {
            let detail = String(address.localPart[address.localPart.index(after: plus)...])
            people.append((address.localPart[..<plus].lowercased(), detail))
        }
        people.append(("*", nil))
        let domains = DomainLabels.forms(address.domain)
        return people.flatMap { person in domains.map { ("\(person.name)@\($0)", person.detail) } }
    }

    /// Senders choose a detail, so it never makes a mailbox.
    private func mailbox(_ account: AccountID, _ detail: String?, _ state: any ShardReader) throws -> MailboxID? {
        if self.detail == .folder, let detail, let name = MailboxName(detail),
            let mailbox = try state.mailboxID(account, named: name)
        {
            return mailbox
        }
        return try state.mailboxID(account, named: .inbox)
    }
}
