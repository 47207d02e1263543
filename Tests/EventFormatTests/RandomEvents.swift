// Events with random values, from a seed.
import Digests
import InputSupport
import MailCore
import MailTypes

extension SeededGenerator {
    /// Any number, small and extreme ones often.
    mutating func number<T: FixedWidthInteger & UnsignedInteger>(_ type: T.Type = T.self) -> T {
        switch UInt8.random(in: 0...5, using: &self) {
        case 0: 0
        case 1: .max
        case 2: T(truncatingIfNeeded: UInt8.random(in: 0...255, using: &self))
        default: T.random(in: .min ... .max, using: &self)
        }
    }

    mutating func text(_ count: ClosedRange<Int>) -> String {
        let letters = Array("aZ0 .@-_äß日𝄞")
        return String((0..<Int.random(in: count, using: &self)).map { _ in letters.randomElement(using: &self)! })
    }

    mutating func chance() -> Bool { Bool.random(using: &self) }

    mutating func time() -> Timestamp {
        Timestamp(milliseconds: Int64.random(in: -8_640_000_000_000_000...8_640_000_000_000_000, using: &self))
    }

    mutating func uids() -> UIDSet {
        var runs: [ClosedRange<UInt32>] = []
        var next: UInt64 = 1
        for _ in 0..<Int.random(in: 0...40, using: &self) {
            let first = next + UInt64(UInt32.random(in: 0...(chance() ? 3 : 1 << 27), using: &self))
            let last = first + UInt64(UInt32.random(in: 0...(chance() ? 2 : 5000), using: &self))
            if last > UInt64(UInt32.max) { break }
            runs.append(UInt32(first)...UInt32(last))
            next = last + 2
        }
        return UIDSet(validating: runs)!
    }

    mutating func flags() -> SystemFlags { SystemFlags(rawValue: UInt8.random(in: 0...31, using: &self)) }

    mutating func keywords() -> [KeywordID] {
        (0..<Int.random(in: 0...6, using: &self)).map { _ in KeywordID(number()) }
    }

    mutating func hash() -> ContentHash { ContentHash(number(), number(), number(), number()) }

    mutating func quota() -> Quota { Quota(bytes: number(), messages: number()) }

    mutating func retention() -> Retention { Retention(undeleteDays: number(), historyDays: number()) }

    mutating func box() -> MailboxID { MailboxID(number()) }

    mutating func specialUse() -> SpecialUse? { chance() ? SpecialUse.allCases.randomElement(using: &self) : nil }

    mutating func copied() -> MessagesCopied {
        MessagesCopied(source: box(), destination: box(), uids: uids(), firstUID: UID(number()))
    }

    mutating func wishes() -> QueueWishes {
        QueueWishes(
            flags: QueueFlags(rawValue: UInt16.random(in: 0...QueueFlags.all.rawValue, using: &self)),
            holdUntil: chance() ? time() : nil, deliverBy: chance() ? time() : nil, envelopeID: text(0...60))
    }

    mutating func notify() -> QueueNotify {
        QueueNotify(rawValue: UInt8.random(in: 0...QueueNotify.all.rawValue, using: &self))
    }

    private mutating func accepted() -> QueueAccepted {
        let count = Int.random(in: 0...9, using: &self)
        return QueueAccepted(
            id: QueueID(number()), blob: BlobNumber(number()), size: number(), hash: hash(), mailFrom: text(0...60),
            recipients: (0..<count).map { _ in text(0...60) }, wishes: chance() ? wishes() : QueueWishes(),
            notify: chance() ? (0..<count).map { _ in notify() } : [],
            originals: chance() ? (0..<count).map { _ in text(0...60) } : [])
    }

    mutating func result() -> QueueResult {
        QueueResult(
            id: QueueID(number()), recipients: (0..<Int.random(in: 0...9, using: &self)).map { _ in number() },
            code: number(), nextAttempt: chance() ? time() : nil, remoteHost: text(0...20), text: text(0...80))
    }

    mutating func origin() -> Origin {
        Origin(
            actor: chance() ? AccountID(number()) : nil, session: chance() ? SessionID(number()) : nil,
            gateway: GatewayKind.allCases.randomElement(using: &self)!)
    }

    /// - Parameter index: chooses the case, by its remainder.
    mutating func event(_ index: Int) -> Event {
        switch index % 36 {
        case 0:
            .accountCreated(
                AccountCreated(
                    quota: quota(), retention: retention(), loginName: text(1...60), displayName: text(0...60)))
        case 1: .accountStatusSet([.active, .disabled, .removed].randomElement(using: &self)!)
        case 2:
            .credentialSet(
                CredentialRow(
                    id: number(), scheme: [.scram, .crypt, .external].randomElement(using: &self)!,
                    scopes: CredentialScopes(rawValue: UInt8.random(in: 0...7, using: &self)),
                    expires: chance() ? time() : nil, label: text(0...20), verifier: text(0...200)))
        case 3: .credentialRevoked(id: number())
        case 33: .credentialUsed(id: number())
        case 35: .uidNextRaised(box(), to: UID(number()))
        case 4:
            .addressAdded(
                AddressRow(
                    id: number(), kind: [.primary, .alias, .catchAll].randomElement(using: &self)!,
                    address: text(1...40)))
        case 5: .addressRemoved(id: number())
        case 6: .quotaSet(quota())
        case 7:
            .sessionOpened(
                SessionOpened(
                    session: SessionID(number()), gateway: GatewayKind.allCases.randomElement(using: &self)!,
                    tls: chance(), clientAddress: text(0...40), client: text(0...40)))
        case 8: .settingSet(key: text(1...30), value: chance() ? text(0...300) : nil)
        case 9: .retentionPolicySet(retention())
        case 10:
            .mailboxCreated(
                MailboxCreated(
                    mailbox: box(), parent: box(), uidValidity: UIDValidity(number()), specialUse: specialUse(),
                    leaf: text(1...60)))
        case 11: .mailboxRenamed(MailboxRenamed(mailbox: box(), newParent: box(), newLeaf: text(1...60)))
        case 12: .mailboxDeleted(MailboxDeleted(mailbox: box(), finalUIDNext: number(), messages: number()))
        case 13: .subscriptionChanged(name: text(1...500), on: chance())
        case 14: .specialUseSet(box(), specialUse())
        case 15: .uidValidityBumped(box(), UIDValidity(number()))
        case 16: .recentClaimed(box(), upTo: UID(number()))
        case 17: .keywordDefined(KeywordID(number()), Keyword("k\(number(UInt64.self))")!)
        case 18:
            .messageAppended(
                MessageAppended(
                    mailbox: box(), uid: UID(number()), email: EmailID(number()), blob: BlobNumber(number()),
                    size: number(), hash: hash(),
                    internalDate: InternalDate(
                        time: time(), zoneMinutes: Int16.random(in: .min ... .max, using: &self)),
                    flags: flags(), keywords: keywords(), origin: MessageOrigin.allCases.randomElement(using: &self)!,
                    uidl: chance() ? text(0...70) : nil, envelopeFrom: chance() ? text(0...60) : nil,
                    envelopeTo: chance() ? text(0...60) : nil))
        case 19:
            .flagsChanged(
                FlagsChanged(
                    mailbox: box(), uids: uids(), add: flags(), remove: flags(), addKeywords: keywords(),
                    removeKeywords: keywords()))
        case 20:
            .messagesExpunged(
                MessagesExpunged(
                    mailbox: box(), uids: uids(), reason: ExpungeReason.allCases.randomElement(using: &self)!))
        case 21: .messagesCopied(copied())
        case 22: .messagesMoved(copied())
        case 23:
            .messageRestored(
                MessageRestored(mailbox: box(), uid: UID(number()), fromMailbox: box(), fromUID: UID(number())))
        case 24: .messagesCollected(MessagesCollected(mailbox: box(), uids: uids(), lastOfMailbox: chance()))
        case 25:
            .queueAccepted(accepted())
        case 26: .queueAttempted(result())
        case 27: .queueDelivered(result())
        case 28: .queueDeferred(result())
        case 29: .queueBounced(result())
        case 30: .queueRemoved(QueueID(number()), QueueRemoval.allCases.randomElement(using: &self)!)
        case 31:
            .queueRescheduled(
                QueueRescheduled(id: QueueID(number()), nextAttempt: time(), isHeld: chance()))
        case 32:
            .shardOpened(ShardOpened(shard: number(), storeUUID: SHA256Digest.of(Array(text(9...9).utf8)).uuidText))
        default: .clockStepped(backMilliseconds: number())
        }
    }
}

extension SHA256Digest {
    /// Its first 16 bytes in hexadecimal.
    fileprivate var uuidText: String { String(description.prefix(32)) }
}
