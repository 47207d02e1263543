// The open fields of every event, as they are written (docs/formats/event-log.md, "Events").
import MailCore
import MailTypes
import Octets

extension ByteWriter {
    mutating func openPart(of event: Event) throws(FormatError) {
        switch event {
        case .accountCreated(let event):
            quota(event.quota)
            retention(event.retention, from: 3)
        case .accountStatusSet(let status): field(1, status.rawValue)
        case .credentialSet(let row):
            guard row.scopes.isSubset(of: .all) else { throw .invalid("credential scopes") }
            field(1, row.id)
            field(2, row.scheme.rawValue)
            field(3, row.scopes.rawValue)
            optionalField(4, try checked(row.expires))
        case .credentialRevoked(let id), .credentialUsed(let id), .addressRemoved(let id): field(1, id)
        case .addressAdded(let row):
            field(1, row.id)
            field(2, row.kind.rawValue)
        case .quotaSet(let value): quota(value)
        case .sessionOpened(let event):
            field(1, event.session.rawValue)
            field(2, event.gateway.rawValue)
            field(3, event.tls)
        case .settingSet(let key, _): field(1, key)
        case .retentionPolicySet(let value): retention(value, from: 1)
        case .mailboxCreated, .mailboxRenamed, .mailboxDeleted, .subscriptionChanged, .specialUseSet,
            .uidValidityBumped, .uidNextRaised, .recentClaimed, .keywordDefined:
            try mailboxPart(of: event)
        case .messageAppended(let event): try appendedPart(of: event)
        case .flagsChanged, .messagesExpunged, .messagesCopied, .messagesMoved, .messageRestored, .messagesCollected:
            try messagePart(of: event)
        case .queueAccepted(let event):
            field(1, event.id.rawValue)
            field(2, event.blob.rawValue)
            field(3, event.size)
            field(4, event.hash)
            field(5, UInt64(event.recipients.count))
            try wishesPart(of: event)
        case .queueAttempted(let result), .queueDelivered(let result), .queueDeferred(let result),
            .queueBounced(let result):
            field(1, result.id.rawValue)
            field(2, list: result.recipients)
            field(3, result.code)
            optionalField(4, try checked(result.nextAttempt))
        case .queueRemoved(let id, let reason):
            field(1, id.rawValue)
            field(2, reason.rawValue)
        case .queueRescheduled(let event):
            field(1, event.id.rawValue)
            optionalField(2, try checked(event.nextAttempt))
            field(3, event.isHeld)
        case .shardOpened(let event):
            guard let uuid = Hex.decode(event.storeUUID), uuid.count == 16, Hex.encode(uuid) == event.storeUUID else {
                throw .invalid("store UUID")
            }
            field(1, event.shard)
            field(2, bytes: uuid)
        case .clockStepped(let milliseconds): field(1, milliseconds)
        }
    }

    private mutating func wishesPart(of event: QueueAccepted) throws(FormatError) {
        guard event.wishes.flags.isSubset(of: .all), event.notify.allSatisfy({ $0.isSubset(of: .all) }),
            [0, event.recipients.count].contains(event.notify.count),
            [0, event.recipients.count].contains(event.originals.count)
        else { throw .invalid("wishes of a queued message") }
        field(6, event.wishes.flags.rawValue)
        optionalField(7, try checked(event.wishes.holdUntil))
        optionalField(8, try checked(event.wishes.deliverBy))
        field(9, list: event.notify.lazy.map { UInt16($0.rawValue) })
    }

    private mutating func mailboxPart(of event: Event) throws(FormatError) {
        switch event {
        case .mailboxCreated(let event):
            _ = try checkedLeaf(event.leaf)
            field(1, event.mailbox.rawValue)
            field(2, event.parent.rawValue)
            field(3, event.uidValidity.rawValue)
            field(4, event.specialUse?.rawValue ?? 0)
        case .mailboxRenamed(let event):
            _ = try checkedLeaf(event.newLeaf)
            field(1, event.mailbox.rawValue)
            field(2, event.newParent.rawValue)
        case .mailboxDeleted(let event):
            field(1, event.mailbox.rawValue)
            field(2, event.finalUIDNext)
            field(3, event.messages)
        case .subscriptionChanged(_, let on): field(1, on)
        case .specialUseSet(let mailbox, let use):
            field(1, mailbox.rawValue)
            field(2, use?.rawValue ?? 0)
        case .uidValidityBumped(let mailbox, let validity):
            field(1, mailbox.rawValue)
            field(2, validity.rawValue)
        case .uidNextRaised(let mailbox, let next):
            field(1, mailbox.rawValue)
            field(2, next.rawValue)
        case .recentClaimed(let mailbox, let uid):
            field(1, mailbox.rawValue)
            field(2, uid.rawValue)
        case .keywordDefined(let id, _): field(1, id.rawValue)
        default: break
        }
    }

    private mutating func appendedPart(of event: MessageAppended) throws(FormatError) {
        guard event.flags.isSubset(of: .all) else { throw .invalid("system flags") }
        field(1, event.mailbox.rawValue)
        field(2, event.uid.rawValue)
        field(3, event.email.rawValue)
        field(4, event.blob.rawValue)
        field(5, event.size)
        field(6, event.hash)
        signedField(7, try checkedTime(event.internalDate.time.rawValue).rawValue)
        signedField(8, Int64(event.internalDate.zoneMinutes))
        field(9, event.flags.rawValue)
        field(10, list: event.keywords.lazy.map(\.rawValue))
        field(11, event.origin.rawValue)
        optionalField(12, event.uidl)
    }

    private mutating func messagePart(of event: Event) throws(FormatError) {
        switch event {
        case .flagsChanged(let event):
            guard event.add.union(event.remove).isSubset(of: .all) else { throw .invalid("system flags") }
            field(1, event.mailbox.rawValue)
            field(2, event.uids)
            field(3, event.add.rawValue)
            field(4, event.remove.rawValue)
            field(5, list: event.addKeywords.lazy.map(\.rawValue))
            field(6, list: event.removeKeywords.lazy.map(\.rawValue))
        case .messagesExpunged(let event):
            field(1, event.mailbox.rawValue)
            field(2, event.uids)
            field(3, event.reason.rawValue)
        case .messagesCopied(let event), .messagesMoved(let event):
            field(1, event.source.rawValue)
            field(2, event.destination.rawValue)
            field(3, event.uids)
            field(4, event.firstUID.rawValue)
        case .messageRestored(let event):
            field(1, event.mailbox.rawValue)
            field(2, event.uid.rawValue)
            field(3, event.fromMailbox.rawValue)
            field(4, event.fromUID.rawValue)
        case .messagesCollected(let event):
            field(1, event.mailbox.rawValue)
            field(2, event.uids)
            field(3, event.lastOfMailbox)
        default: break
        }
    }

    private mutating func quota(_ quota: Quota) {
        field(1, quota.bytes)
        field(2, quota.messages)
    }

    private mutating func retention(_ retention: Retention, from number: UInt8) {
        field(number, retention.undeleteDays)
        field(number + 1, retention.historyDays)
    }

    private func checked(_ time: Timestamp?) throws(FormatError) -> Timestamp? {
        guard let time else { return nil }
        return try checkedTime(time.rawValue)
    }
}
