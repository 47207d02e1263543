// Account commands decided: creation, status, credentials, addresses, quota.
import MailTypes

func decideCreateAccount(
    _ new: NewAccount, _ context: DecideContext, _ state: any StateReader
) throws -> Decision {
    guard try state.owner(of: new.address) == nil else { throw Refusal.addressTaken(new.address.description) }
    guard new.displayName.utf8.count <= DomainLimits.displayNameOctetsMax else {
        throw Refusal.limit("display name over \(DomainLimits.displayNameOctetsMax) octets")
    }
    let account = try state.nextAccount()
    guard context.account == account else { throw Refusal.noSuchAccount }
    var events: [Event] = [
        .accountCreated(
            AccountCreated(
                quota: new.quota, retention: new.retention, loginName: new.address.directoryKey,
                displayName: new.displayName)),
        .addressAdded(AddressRow(id: 1, kind: .primary, address: new.address.directoryKey)),
    ]
    if let credential = new.credential { events.append(.credentialSet(try row(credential, id: 1))) }
    var builder = MailboxBuilder(head: AccountHead(), now: context.now)
    for mailbox in [NewMailbox(name: .inbox, subscribed: true)] + new.mailboxes {
        if mailbox.name.isInbox, builder.hasInbox { continue }
        events.append(contentsOf: try builder.create(mailbox, account, state: nil))
    }
    return Decision(events, .account(account))
}

func decideAccount(
    _ command: AccountCommand, _ context: DecideContext, _ head: AccountHead, _ state: any StateReader
) throws -> Decision {
    let account = context.account
    switch command {
    case .setStatus(let status):
        guard status != .removed else { return try decideRemoval(account, state) }
        return Decision(status == head.status ? [] : [.accountStatusSet(status)])
    case .removeAccount:
        return try decideRemoval(account, state)
    case .setCredential(let new):
        let existing = try state.credentials(account)
        if let id = new.converts {
            guard let old = existing.first(where: { $0.id == id }), old.label == new.label, old.scheme == .crypt else {
                throw Refusal.noSuchCredential
            }
            return Decision([.credentialSet(try row(new, id: id))])
        }
        let replaced = existing.first { $0.label == new.label }
        guard replaced != nil || existing.count < DomainLimits.credentialsPerAccountMax else {
            throw Refusal.limit("more than \(DomainLimits.credentialsPerAccountMax) credentials")
        }
        var events: [Event] = []
        if let replaced { events.append(.credentialRevoked(id: replaced.id)) }
        events.append(.credentialSet(try row(new, id: head.nextCredential)))
        return Decision(events)
    case .revokeCredential(let id):
        guard try state.credentials(account).contains(where: { $0.id == id }) else { throw Refusal.noSuchCredential }
        return Decision([.credentialRevoked(id: id)])
    case .noteCredentialUse(let id):
        guard let row = try state.credentials(account).first(where: { $0.id == id }) else {
            throw Refusal.noSuchCredential
        }
        if let last = row.lastUsed, last.days >= context.now.days { return Decision([]) }
        return Decision([.credentialUsed(id: id)])
    case .addAddress(let address, let kind):
        return try decideAddAddress(address, kind, account, head, state)
    case .removeAddress(let address):
        let keys = address.directoryKeys
        guard let row = try state.addresses(account).first(where: { keys.contains($0.directoryKey) }) else {
            throw Refusal.noSuchAddress
        }
        guard row.kind != .primary else { throw Refusal.primaryAddress }
        return Decision([.addressRemoved(id: row.id)])
    case .setQuota(let quota):
        return Decision(quota == head.quota ? [] : [.quotaSet(quota)])
    case .setRetention(let retention):
        return Decision(retention == head.retention ? [] : [.retentionPolicySet(retention)])
    case .setSetting(let key, let value):
        guard key.utf8.count + (value?.utf8.count ?? 0) <= DomainLimits.settingOctetsMax else {
            throw Refusal.limit("setting over \(DomainLimits.settingOctetsMax) octets")
        }
        return Decision(try state.setting(account, key) == value ? [] : [.settingSet(key: key, value: value)])
    case .openSession(let opened):
        return Decision([.sessionOpened(opened)])
    default:
        throw StateFault.inconsistent("not an account command")
    }
}

private func decideAddAddress(
    _ address: Address, _ kind: AddressKind, _ account: AccountID, _ head: AccountHead, _ state: any StateReader
) throws -> Decision {
    guard kind != .primary else { throw Refusal.primaryAddress }
    let keys = kind == .catchAll ? DomainLabels.forms(address.domain).map { "*@" + $0 } : address.directoryKeys
    let row = AddressRow(id: head.nextAddress, kind: kind, address: keys[0])
    guard try keys.allSatisfy({ try state.owner(ofAddress: $0) == nil }) else { throw Refusal.addressTaken(keys[0]) }
    guard try state.addresses(account).count < DomainLimits.addressesPerAccountMax else {
        throw Refusal.limit("more than \(DomainLimits.addressesPerAccountMax) addresses")
    }
    return Decision([.addressAdded(row)])
}

private func decideRemoval(_ account: AccountID, _ state: any StateReader) throws -> Decision {
    var events: [Event] = []
    for row in try state.credentials(account) { events.append(.credentialRevoked(id: row.id)) }
    for row in try state.addresses(account) { events.append(.addressRemoved(id: row.id)) }
    try state.mailboxes(account) { id, row in
        events.append(.mailboxDeleted(MailboxDeleted(mailbox: id, finalUIDNext: row.uidNext, messages: row.exists)))
        return true
    }
    events.append(.accountStatusSet(.removed))
    return Decision(events)
}

private func row(_ new: NewCredential, id: UInt32) throws -> CredentialRow {
    guard new.label.utf8.count <= DomainLimits.labelOctetsMax else {
        throw Refusal.limit("label over \(DomainLimits.labelOctetsMax) octets")
    }
    guard new.verifier.utf8.count <= DomainLimits.verifierOctetsMax else {
        throw Refusal.limit("verifier over \(DomainLimits.verifierOctetsMax) octets")
    }
    return CredentialRow(
        id: id, scheme: new.scheme, scopes: new.scopes, expires: new.expires, label: new.label, verifier: new.verifier)
}
