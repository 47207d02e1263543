// Who receives for an address: the account, its INBOX, and whether it takes mail now. Reads of some microseconds, made on
// the event loop.
//
// An address is looked up as it is; then without its detail (`user+detail`, RFC 5233); then as the catch-all of its
// domain. Postmaster of a domain of ours is always somebody (RFC 5321 section 4.5.1): the postmaster of the default
// domain where the domain has none of its own.
import MailEngine
import MailTypes
import SMTP

/// Where a recipient's copy goes.
struct DeliveryTarget: Hashable, Sendable {
    let account: AccountID
    let inbox: MailboxID
    /// As the client wrote it.
    let address: String
}

struct RecipientDirectory: Sendable {
    /// Begins the detail of a local part.
    private static let detailSeparator: Character = "+"
    private static let postmaster = "postmaster"

    let engine: MailEngine
    let defaultDomain: String
    let isLocalDomain: @Sendable (String) -> Bool

    enum Answer {
        case target(DeliveryTarget)
        case refused(RecipientVerdict)
    }

    /// Whose an address is, whether or not it takes mail.
    func owner(of address: Address) throws -> AccountID? {
        try engine.read { state in
            for key in keys(of: address) {
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
            for key in keys(of: address) where owner == nil { owner = try state.owner(ofAddress: key) }
            if owner == nil {
                let isOurs =
                    try isLocalDomain(address.domain) || address.domain == defaultDomain
                    || state.owner(ofAddress: "\(Self.postmaster)@\(address.domain)") != nil
                guard isOurs else { return .refused(.relayDenied) }
                if address.localPart.lowercased() == Self.postmaster {
                    owner = try state.owner(ofAddress: "\(Self.postmaster)@\(defaultDomain)")
                }
            }
            guard let owner, let head = try state.head(owner), head.status != .removed,
                let inbox = try state.mailboxID(owner, named: .inbox)
            else { return .refused(.unknownUser) }
            guard head.status == .active else { return .refused(.disabled) }
            let (used, quota) = (head.used, head.quota)
            if quota.bytes > 0, used.bytes >= quota.bytes || used.bytes + UInt64(octets) > quota.bytes {
                return .refused(.overQuota)
            }
            if quota.messages > 0, used.messages >= quota.messages { return .refused(.overQuota) }
            return .target(
                DeliveryTarget(account: owner, inbox: inbox, address: recipient.address.description))
        }
    }

    private func keys(of address: Address) -> [String] {
        var keys = [address.directoryKey]
        if let plus = address.localPart.firstIndex(of: Self.detailSeparator), plus != address.localPart.startIndex {
            keys.append(address.localPart[..<plus].lowercased() + "@" + address.domain)
        }
        keys.append("*@" + address.domain)
        return keys
    }
}
