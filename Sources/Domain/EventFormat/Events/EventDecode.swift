// Events read back from the parts of a record. Arguments are evaluated in order, which is the order of field numbers.
import MailCore
import MailTypes
import Octets

/// The two parts of a record's event, and where it stands.
struct EventReader {
    let account: AccountID
    let position: ModSeq
    var open: FieldReader
    var personal: PersonalFields

    mutating func event(_ type: EventType) throws(FormatError) -> Event {
        let event: Event
        switch type {
        case .accountCreated, .accountStatusSet, .credentialSet, .credentialRevoked, .credentialUsed,
            .addressAdded, .addressRemoved,
            .quotaSet, .sessionOpened, .settingSet, .retentionPolicySet:
            event = try accountEvent(type)
        case .mailboxCreated, .mailboxRenamed, .mailboxDeleted, .subscriptionChanged, .specialUseSet,
            .uidValidityBumped, .uidNextRaised, .recentClaimed, .keywordDefined:
            event = try mailboxEvent(type)
        case .messageAppended: event = .messageAppended(try appended())
        case .flagsChanged, .messagesExpunged, .messagesCopied, .messagesMoved, .messageRestored, .messagesCollected:
            event = try messageEvent(type)
        case .queueAccepted: event = .queueAccepted(try accepted())
        case .queueAttempted: event = .queueAttempted(try queueResult())
        case .queueDelivered: event = .queueDelivered(try queueResult())
        case .queueDeferred: event = .queueDeferred(try queueResult())
        case .queueBounced: event = .queueBounced(try queueResult())
        case .queueRemoved: event = .queueRemoved(QueueID(try open.number(1)), try open.choice(2))
        case .queueRescheduled: event = .queueRescheduled(try rescheduled())
        case .shardOpened:
            let shard: UInt32 = try open.number(1)
            event = .shardOpened(ShardOpened(shard: shard, storeUUID: Hex.encode(try open.bytes(2, count: 16))))
        case .clockStepped: event = .clockStepped(backMilliseconds: try open.number(1))
        }
        try open.finish()
        try personal.finish()
        return event
    }

    // MARK: Account

    private mutating func accountEvent(_ type: EventType) throws(FormatError) -> Event {
        switch type {
        case .accountCreated:
            return .accountCreated(
                AccountCreated(
                    quota: try quota(), retention: try retention(from: 3),
                    loginName: try personal.text(1, erased: Placeholder.login(account)),
                    displayName: try personal.text(2)))
        case .accountStatusSet: return .accountStatusSet(try open.choice(1))
        case .credentialSet: return .credentialSet(try credential())
        case .credentialRevoked: return .credentialRevoked(id: try open.number(1))
        case .credentialUsed: return .credentialUsed(id: try open.number(1))
        case .addressAdded:
            let id: UInt32 = try open.number(1)
            let kind: AddressKind = try open.choice(2)
            let text = try personal.text(1, erased: Placeholder.address(account, id, kind))
            return .addressAdded(AddressRow(id: id, kind: kind, address: text))
        case .addressRemoved: return .addressRemoved(id: try open.number(1))
        case .quotaSet: return .quotaSet(try quota())
        case .sessionOpened:
            return .sessionOpened(
                SessionOpened(
                    session: SessionID(try open.number(1)), gateway: try open.choice(2), tls: try open.flag(3),
                    clientAddress: try personal.text(1), client: try personal.text(2)))
        case .settingSet: return .settingSet(key: try open.text(1), value: try personal.optionalText(1))
        default: return .retentionPolicySet(try retention(from: 1))
        }
    }

    private mutating func credential() throws(FormatError) -> CredentialRow {
        let id: UInt32 = try open.number(1)
        return CredentialRow(
            id: id, scheme: try open.choice(2), scopes: try scopes(3), expires: try open.optionalTime(4),
            label: try personal.text(1, erased: Placeholder.label(id)), verifier: try personal.text(2))
    }

    private mutating func scopes(_ field: UInt8) throws(FormatError) -> CredentialScopes {
        let scopes = CredentialScopes(rawValue: try open.number(field))
        guard scopes.isSubset(of: .all) else { throw .invalid("credential scopes") }
        return scopes
    }

    private mutating func quota() throws(FormatError) -> Quota {
        Quota(bytes: try open.number(1), messages: try open.number(2))
    }

    private mutating func retention(from field: UInt8) throws(FormatError) -> Retention {
        Retention(undeleteDays: try open.number(field), historyDays: try open.number(field + 1))
    }

    // MARK: Mailbox

    private mutating func mailboxEvent(_ type: EventType) throws(FormatError) -> Event {
        switch type {
        case .mailboxCreated:
            let mailbox = try mailbox(1)
            return .mailboxCreated(
                MailboxCreated(
                    mailbox: mailbox, parent: try self.mailbox(2), uidValidity: UIDValidity(try open.number(3)),
                    specialUse: try specialUse(4), leaf: try leaf(mailbox)))
        case .mailboxRenamed:
            let mailbox = try mailbox(1)
            return .mailboxRenamed(
                MailboxRenamed(mailbox: mailbox, newParent: try self.mailbox(2), newLeaf: try leaf(mailbox)))
        case .mailboxDeleted:
            return .mailboxDeleted(
                MailboxDeleted(mailbox: try mailbox(1), finalUIDNext: try open.number(2), messages: try open.number(3)))
        case .subscriptionChanged:
            // The erased name matches no other event's, so the event must not leave a subscription behind.
            let on = try open.flag(1) && !personal.isErased
            let name = try personal.text(1, erased: Placeholder.subscription(account, position))
            return .subscriptionChanged(name: name, on: on)
        case .specialUseSet: return .specialUseSet(try mailbox(1), try specialUse(2))
        case .uidValidityBumped: return .uidValidityBumped(try mailbox(1), UIDValidity(try open.number(2)))
        case .uidNextRaised: return .uidNextRaised(try mailbox(1), to: try uid(2))
        case .recentClaimed: return .recentClaimed(try mailbox(1), upTo: try uid(2))
        default:
            let id = KeywordID(try open.number(1))
            guard let keyword = Keyword(try personal.text(1, erased: Placeholder.keyword(id))) else {
                throw .invalid("keyword")
            }
            return .keywordDefined(id, keyword)
        }
    }

    private mutating func mailbox(_ field: UInt8) throws(FormatError) -> MailboxID {
        MailboxID(try open.number(field))
    }

    private mutating func uid(_ field: UInt8) throws(FormatError) -> UID { UID(try open.number(field)) }

    private mutating func leaf(_ mailbox: MailboxID) throws(FormatError) -> String {
        try checkedLeaf(try personal.text(1, erased: Placeholder.leaf(mailbox)))
    }

    private mutating func specialUse(_ field: UInt8) throws(FormatError) -> SpecialUse? {
        let number: UInt8 = try open.number(field)
        if number == 0 { return nil }
        guard let use = SpecialUse(rawValue: number) else { throw .invalid("special use") }
        return use
    }

    // MARK: Messages

    private mutating func appended() throws(FormatError) -> MessageAppended {
        MessageAppended(
            mailbox: try mailbox(1), uid: try uid(2), email: EmailID(try open.number(3)),
            blob: BlobNumber(try open.number(4)), size: try open.number(5), hash: try open.contentHash(6),
            internalDate: InternalDate(time: try open.time(7), zoneMinutes: try zone(8)), flags: try flags(9),
            keywords: try keywords(10), origin: try open.choice(11), uidl: try open.optionalText(12),
            envelopeFrom: try personal.optionalText(1), envelopeTo: try personal.optionalText(2))
    }

    private mutating func messageEvent(_ type: EventType) throws(FormatError) -> Event {
        switch type {
        case .flagsChanged:
            return .flagsChanged(
                FlagsChanged(
                    mailbox: try mailbox(1), uids: try open.uids(2), add: try flags(3), remove: try flags(4),
                    addKeywords: try keywords(5), removeKeywords: try keywords(6)))
        case .messagesExpunged:
            return .messagesExpunged(
                MessagesExpunged(mailbox: try mailbox(1), uids: try open.uids(2), reason: try open.choice(3)))
        case .messagesCopied: return .messagesCopied(try copied())
        case .messagesMoved: return .messagesMoved(try copied())
        case .messageRestored:
            return .messageRestored(
                MessageRestored(
                    mailbox: try mailbox(1), uid: try uid(2), fromMailbox: try mailbox(3), fromUID: try uid(4)))
        default:
            return .messagesCollected(
                MessagesCollected(mailbox: try mailbox(1), uids: try open.uids(2), lastOfMailbox: try open.flag(3)))
        }
    }

    private mutating func copied() throws(FormatError) -> MessagesCopied {
        MessagesCopied(
            source: try mailbox(1), destination: try mailbox(2), uids: try open.uids(3), firstUID: try uid(4))
    }

    private mutating func zone(_ field: UInt8) throws(FormatError) -> Int16 {
        guard let zone = Int16(exactly: try open.signed(field)) else { throw .invalid("zone") }
        return zone
    }

    private mutating func flags(_ field: UInt8) throws(FormatError) -> SystemFlags {
        let flags = SystemFlags(rawValue: try open.number(field))
        guard flags.isSubset(of: .all) else { throw .invalid("system flags") }
        return flags
    }

    private mutating func keywords(_ field: UInt8) throws(FormatError) -> [KeywordID] {
        try open.list(field).map { KeywordID($0) }
    }

    // MARK: Queue

    private mutating func accepted() throws(FormatError) -> QueueAccepted {
        let id = QueueID(try open.number(1))
        let blob = BlobNumber(try open.number(2))
        let size: UInt32 = try open.number(3)
        let hash = try open.contentHash(4)
        let count: Int = try open.number(5)
        guard count <= FormatLimits.recordOctetsMax else { throw .invalid("count of recipients") }
        let flags = QueueFlags(rawValue: try open.number(6))
        let holdUntil = try open.optionalTime(7)
        let deliverBy = try open.optionalTime(8)
        let notify = try open.list(9).map { QueueNotify(rawValue: UInt8(clamping: $0)) }
        guard flags.isSubset(of: .all), notify.isEmpty || notify.count == count,
            notify.allSatisfy({ $0.isSubset(of: .all) })
        else { throw .invalid("wishes of a queued message") }
        let mailFrom = try personal.text(1)
        let recipients = try personal.texts(2, count: count) { Placeholder.recipient(id, $0) }
        let envelopeID = try personal.text(3)
        return QueueAccepted(
            id: id, blob: blob, size: size, hash: hash, mailFrom: mailFrom, recipients: recipients,
            wishes: QueueWishes(flags: flags, holdUntil: holdUntil, deliverBy: deliverBy, envelopeID: envelopeID),
            notify: notify, originals: try personal.optionalTexts(4, count: count))
    }

    private mutating func rescheduled() throws(FormatError) -> QueueRescheduled {
        QueueRescheduled(id: QueueID(try open.number(1)), nextAttempt: try open.time(2), isHeld: try open.flag(3))
    }

    private mutating func queueResult() throws(FormatError) -> QueueResult {
        QueueResult(
            id: QueueID(try open.number(1)), recipients: try open.list(2), code: try open.number(3),
            nextAttempt: try open.optionalTime(4), remoteHost: try personal.text(1), text: try personal.text(2))
    }
}

/// A leaf stands in a key, so its length is part of the format.
func checkedLeaf(_ leaf: String) throws(FormatError) -> String {
    guard (1...MailboxName.componentOctetsMax).contains(leaf.utf8.count) else { throw .invalid("length of a leaf") }
    return leaf
}
