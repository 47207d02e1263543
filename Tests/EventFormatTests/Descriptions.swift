// Records in words, for the expected side of fixtures. Written out by hand, because fixtures outlive names in the code.
import EventFormat
import MailCore
import MailTypes
import Octets

func describe(
    _ event: Event, _ context: EventContext, lsn: UInt64, previousLSN: UInt64, _ origin: Origin, _ command: CommandID?,
    retryable: Bool, erased: Bool, hash: String
) -> String {
    var lines = [
        "lsn: \(lsn)", "previous lsn: \(previousLSN)", "account: \(context.account.rawValue)",
        "position: \(context.aseq.rawValue)", "time: \(context.time.rawValue)", "retryable: \(retryable)",
        "erased: \(erased)", "record hash: \(hash)",
    ]
    if let command {
        lines.append("command: " + Hex.encode(command.high, width: 16) + Hex.encode(command.low, width: 16))
    }
    if let actor = origin.actor { lines.append("actor: \(actor.rawValue)") }
    if let session = origin.session { lines.append("session: \(session.rawValue)") }
    lines.append("gateway: \(origin.gateway.rawValue)")
    return (lines + describe(event)).joined(separator: "\n") + "\n"
}

func describe(_ event: Event) -> [String] {
    switch event {
    case .accountCreated(let e):
        ["accountCreated"] + describe(e.quota) + describe(e.retention)
            + ["login name: \(quoted(e.loginName))", "display name: \(quoted(e.displayName))"]
    case .accountStatusSet(let status): ["accountStatusSet", "status: \(status.rawValue)"]
    case .credentialSet(let row):
        [
            "credentialSet", "id: \(row.id)", "scheme: \(row.scheme.rawValue)", "scopes: \(row.scopes.rawValue)",
            "expires: \(orNone(row.expires?.rawValue))", "label: \(quoted(row.label))",
            "verifier: \(quoted(row.verifier))",
        ]
    case .credentialRevoked(let id): ["credentialRevoked", "id: \(id)"]
    case .credentialUsed(let id): ["credentialUsed", "id: \(id)"]
    case .addressAdded(let row):
        ["addressAdded", "id: \(row.id)", "kind: \(row.kind.rawValue)", "address: \(quoted(row.address))"]
    case .addressRemoved(let id): ["addressRemoved", "id: \(id)"]
    case .quotaSet(let quota): ["quotaSet"] + describe(quota)
    case .sessionOpened(let e):
        [
            "sessionOpened", "session: \(e.session.rawValue)", "gateway: \(e.gateway.rawValue)", "tls: \(e.tls)",
            "client address: \(quoted(e.clientAddress))", "client: \(quoted(e.client))",
        ]
    case .settingSet(let key, let value):
        ["settingSet", "key: \(quoted(key))", "value: \(value.map(quoted) ?? "none")"]
    case .retentionPolicySet(let retention): ["retentionPolicySet"] + describe(retention)
    case .mailboxCreated, .mailboxRenamed, .mailboxDeleted, .subscriptionChanged, .specialUseSet, .uidValidityBumped,
        .uidNextRaised, .recentClaimed, .keywordDefined:
        describeMailbox(event)
    case .messageAppended(let e): describeAppended(e)
    case .flagsChanged, .messagesExpunged, .messagesCopied, .messagesMoved, .messageRestored, .messagesCollected:
        describeMessage(event)
    case .queueAccepted(let e):
        [
            "queueAccepted", "id: \(e.id.rawValue)", "body: \(e.blob.rawValue)", "size: \(e.size)",
            "hash: \(e.hash.digest)", "from: \(quoted(e.mailFrom))",
        ] + e.recipients.map { "recipient: \(quoted($0))" } + describe(e.wishes)
            + (e.notify.isEmpty ? [] : ["notify: \(e.notify.map(\.rawValue))"])
            + e.originals.map { "original: \(quoted($0))" }
    case .queueAttempted(let result): ["queueAttempted"] + describe(result)
    case .queueDelivered(let result): ["queueDelivered"] + describe(result)
    case .queueDeferred(let result): ["queueDeferred"] + describe(result)
    case .queueBounced(let result): ["queueBounced"] + describe(result)
    case .queueRemoved(let id, let reason): ["queueRemoved", "id: \(id.rawValue)", "reason: \(reason.rawValue)"]
    case .queueRescheduled(let e):
        ["queueRescheduled", "id: \(e.id.rawValue)", "next attempt: \(e.nextAttempt.rawValue)", "held: \(e.isHeld)"]
    case .shardOpened(let e): ["shardOpened", "shard: \(e.shard)", "store: \(e.storeUUID)"]
    case .clockStepped(let milliseconds): ["clockStepped", "back: \(milliseconds)"]
    }
}

private func describeMailbox(_ event: Event) -> [String] {
    switch event {
    case .mailboxCreated(let e):
        [
            "mailboxCreated", "mailbox: \(e.mailbox.rawValue)", "parent: \(e.parent.rawValue)",
            "uidvalidity: \(e.uidValidity.rawValue)", "special use: \(orNone(e.specialUse?.rawValue))",
            "leaf: \(quoted(e.leaf))",
        ]
    case .mailboxRenamed(let e):
        [
            "mailboxRenamed", "mailbox: \(e.mailbox.rawValue)", "new parent: \(e.newParent.rawValue)",
            "new leaf: \(quoted(e.newLeaf))",
        ]
    case .mailboxDeleted(let e):
        ["mailboxDeleted", "mailbox: \(e.mailbox.rawValue)", "uidnext: \(e.finalUIDNext)", "messages: \(e.messages)"]
    case .subscriptionChanged(let name, let on): ["subscriptionChanged", "name: \(quoted(name))", "on: \(on)"]
    case .specialUseSet(let mailbox, let use):
        ["specialUseSet", "mailbox: \(mailbox.rawValue)", "special use: \(orNone(use?.rawValue))"]
    case .uidValidityBumped(let mailbox, let validity):
        ["uidValidityBumped", "mailbox: \(mailbox.rawValue)", "uidvalidity: \(validity.rawValue)"]
    case .uidNextRaised(let mailbox, let next):
        ["uidNextRaised", "mailbox: \(mailbox.rawValue)", "uidnext: \(next.rawValue)"]
    case .recentClaimed(let mailbox, let uid):
        ["recentClaimed", "mailbox: \(mailbox.rawValue)", "up to: \(uid.rawValue)"]
    case .keywordDefined(let id, let keyword):
        ["keywordDefined", "id: \(id.rawValue)", "name: \(quoted(keyword.name))"]
    default: []
    }
}

private func describeAppended(_ e: MessageAppended) -> [String] {
    [
        "messageAppended", "mailbox: \(e.mailbox.rawValue)", "uid: \(e.uid.rawValue)", "email: \(e.email.rawValue)",
        "body: \(e.blob.rawValue)", "size: \(e.size)", "hash: \(e.hash.digest)",
        "internal date: \(e.internalDate.time.rawValue) \(e.internalDate.zoneMinutes)", "flags: \(e.flags.rawValue)",
        "keywords: \(e.keywords.map(\.rawValue))", "origin: \(e.origin.rawValue)",
        "uidl: \(e.uidl.map(quoted) ?? "none")", "envelope from: \(e.envelopeFrom.map(quoted) ?? "none")",
        "envelope to: \(e.envelopeTo.map(quoted) ?? "none")",
    ]
}

private func describeMessage(_ event: Event) -> [String] {
    switch event {
    case .flagsChanged(let e):
        [
            "flagsChanged", "mailbox: \(e.mailbox.rawValue)", "uids: \(e.uids)", "add: \(e.add.rawValue)",
            "remove: \(e.remove.rawValue)", "add keywords: \(e.addKeywords.map(\.rawValue))",
            "remove keywords: \(e.removeKeywords.map(\.rawValue))",
        ]
    case .messagesExpunged(let e):
        ["messagesExpunged", "mailbox: \(e.mailbox.rawValue)", "uids: \(e.uids)", "reason: \(e.reason.rawValue)"]
    case .messagesCopied(let e): ["messagesCopied"] + describe(e)
    case .messagesMoved(let e): ["messagesMoved"] + describe(e)
    case .messageRestored(let e):
        [
            "messageRestored", "mailbox: \(e.mailbox.rawValue)", "uid: \(e.uid.rawValue)",
            "from mailbox: \(e.fromMailbox.rawValue)", "from uid: \(e.fromUID.rawValue)",
        ]
    case .messagesCollected(let e):
        ["messagesCollected", "mailbox: \(e.mailbox.rawValue)", "uids: \(e.uids)", "last: \(e.lastOfMailbox)"]
    default: []
    }
}

private func describe(_ e: MessagesCopied) -> [String] {
    [
        "source: \(e.source.rawValue)", "destination: \(e.destination.rawValue)", "uids: \(e.uids)",
        "first uid: \(e.firstUID.rawValue)",
    ]
}

private func describe(_ e: QueueResult) -> [String] {
    [
        "id: \(e.id.rawValue)", "recipients: \(e.recipients)", "code: \(e.code)",
        "next attempt: \(orNone(e.nextAttempt?.rawValue))", "remote host: \(quoted(e.remoteHost))",
        "text: \(quoted(e.text))",
    ]
}

/// Nothing for what the first version could not say.
private func describe(_ wishes: QueueWishes) -> [String] {
    guard wishes != QueueWishes() else { return [] }
    return [
        "flags: \(wishes.flags.rawValue)", "hold until: \(orNone(wishes.holdUntil?.rawValue))",
        "deliver by: \(orNone(wishes.deliverBy?.rawValue))", "envelope id: \(quoted(wishes.envelopeID))",
    ]
}

private func describe(_ quota: Quota) -> [String] {
    ["quota octets: \(quota.bytes)", "quota messages: \(quota.messages)"]
}

private func describe(_ retention: Retention) -> [String] {
    ["undelete days: \(retention.undeleteDays)", "history days: \(retention.historyDays)"]
}

private func orNone(_ value: (some BinaryInteger)?) -> String { value.map { "\($0)" } ?? "none" }

/// In quotation marks, with line ends and quotation marks escaped.
private func quoted(_ text: String) -> String {
    var out = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\\": out += "\\\\"
        case "\"": out += "\\\""
        case "\r": out += "\\r"
        case "\n": out += "\\n"
        default: out.unicodeScalars.append(scalar)
        }
    }
    return out + "\""
}
