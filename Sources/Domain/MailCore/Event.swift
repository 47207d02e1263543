// What happened, in the past tense, with every value resolved: evolve never reads a clock, a random source or
// configuration. EventFormat gives each case its number and its bytes; neither is ever reused.
import MailTypes

package enum Event: Hashable, Sendable {
    // Account
    case accountCreated(AccountCreated)
    case accountStatusSet(AccountStatus)
    case credentialSet(CredentialRow)
    case credentialRevoked(id: UInt32)
    /// Somebody logged in by it, for the first time on that day (UTC).
    case credentialUsed(id: UInt32)
    case addressAdded(AddressRow)
    case addressRemoved(id: UInt32)
    case quotaSet(Quota)
    case sessionOpened(SessionOpened)
    case settingSet(key: String, value: String?)
    case retentionPolicySet(Retention)
    // Mailbox
    case mailboxCreated(MailboxCreated)
    case mailboxRenamed(MailboxRenamed)
    case mailboxDeleted(MailboxDeleted)
    case subscriptionChanged(name: String, on: Bool)
    case specialUseSet(MailboxID, SpecialUse?)
    case uidValidityBumped(MailboxID, UIDValidity)
    /// UIDs below were given by the server that the mailbox came from.
    case uidNextRaised(MailboxID, to: UID)
    case recentClaimed(MailboxID, upTo: UID)
    case keywordDefined(KeywordID, Keyword)
    // Message
    case messageAppended(MessageAppended)
    case flagsChanged(FlagsChanged)
    case messagesExpunged(MessagesExpunged)
    case messagesCopied(MessagesCopied)
    case messagesMoved(MessagesCopied)
    case messageRestored(MessageRestored)
    case messagesCollected(MessagesCollected)
    // Queue; these belong to account 1
    case queueAccepted(QueueAccepted)
    case queueAttempted(QueueResult)
    case queueDelivered(QueueResult)
    case queueDeferred(QueueResult)
    case queueBounced(QueueResult)
    case queueRemoved(QueueID, QueueRemoval)
    case queueRescheduled(QueueRescheduled)
    // Shard; these belong to account 0
    case shardOpened(ShardOpened)
    case clockStepped(backMilliseconds: UInt64)
}

/// Where an event stands.
package struct EventContext: Hashable, Sendable {
    package var account: AccountID
    /// Position in the account's history.
    package var aseq: ModSeq
    package var time: Timestamp
    package init(account: AccountID, aseq: ModSeq, time: Timestamp) {
        self.account = account
        self.aseq = aseq
        self.time = time
    }
}

/// The protocol or tool through which a command came.
package enum GatewayKind: UInt8, CaseIterable, Sendable {
    case none = 0
    case smtp, lmtp, submission, pop3, imap, jmap, admin, maildirImport, engine, bench

    package var name: String {
        switch self {
        case .none: "none"
        case .maildirImport: "maildir-import"
        default: "\(self)"
        }
    }
}

/// Who did something, from where: stored beside each event.
package struct Origin: Hashable, Sendable {
    /// The account that acted, when one had logged in.
    package var actor: AccountID?
    package var session: SessionID?
    package var gateway: GatewayKind
    package init(actor: AccountID? = nil, session: SessionID? = nil, gateway: GatewayKind = .none) {
        self.actor = actor
        self.session = session
        self.gateway = gateway
    }
}

package struct AccountCreated: Hashable, Sendable {
    package var quota: Quota
    package var retention: Retention
    /// Full address; personal.
    package var loginName: String
    /// Personal; may be empty.
    package var displayName: String
    package init(quota: Quota, retention: Retention, loginName: String, displayName: String) {
        self.quota = quota
        self.retention = retention
        self.loginName = loginName
        self.displayName = displayName
    }
}

package struct SessionOpened: Hashable, Sendable {
    package var session: SessionID
    package var gateway: GatewayKind
    package var tls: Bool
    /// Personal.
    package var clientAddress: String
    /// What the client said it was; personal.
    package var client: String
    package init(session: SessionID, gateway: GatewayKind, tls: Bool, clientAddress: String, client: String) {
        self.session = session
        self.gateway = gateway
        self.tls = tls
        self.clientAddress = clientAddress
        self.client = client
    }
}

package struct MailboxCreated: Hashable, Sendable {
    package var mailbox: MailboxID
    package var parent: MailboxID
    package var uidValidity: UIDValidity
    package var specialUse: SpecialUse?
    /// Personal.
    package var leaf: String
    package init(
        mailbox: MailboxID, parent: MailboxID, uidValidity: UIDValidity, specialUse: SpecialUse?, leaf: String
    ) {
        self.mailbox = mailbox
        self.parent = parent
        self.uidValidity = uidValidity
        self.specialUse = specialUse
        self.leaf = leaf
    }
}

package struct MailboxRenamed: Hashable, Sendable {
    package var mailbox: MailboxID
    package var newParent: MailboxID
    /// Personal.
    package var newLeaf: String
    package init(mailbox: MailboxID, newParent: MailboxID, newLeaf: String) {
        self.mailbox = mailbox
        self.newParent = newParent
        self.newLeaf = newLeaf
    }
}

package struct MailboxDeleted: Hashable, Sendable {
    package var mailbox: MailboxID
    package var finalUIDNext: UInt32
    package var messages: UInt32
    package init(mailbox: MailboxID, finalUIDNext: UInt32, messages: UInt32) {
        self.mailbox = mailbox
        self.finalUIDNext = finalUIDNext
        self.messages = messages
    }
}

/// How a message came into its mailbox.
package enum MessageOrigin: UInt8, CaseIterable, Sendable {
    case smtp = 1
    case lmtp, append, `import`, restore
}

package struct MessageAppended: Hashable, Sendable {
    package var mailbox: MailboxID
    package var uid: UID
    package var email: EmailID
    package var blob: BlobNumber
    /// Octets of the stored form.
    package var size: UInt32
    package var hash: ContentHash
    package var internalDate: InternalDate
    package var flags: SystemFlags
    package var keywords: [KeywordID]
    package var origin: MessageOrigin
    /// A POP3 UIDL that an imported message brought with it.
    package var uidl: String?
    /// Envelope sender, empty for the null sender; nil when there was no envelope. Personal.
    package var envelopeFrom: String?
    /// Personal.
    package var envelopeTo: String?
    package init(
        mailbox: MailboxID, uid: UID, email: EmailID, blob: BlobNumber, size: UInt32, hash: ContentHash,
        internalDate: InternalDate, flags: SystemFlags = [], keywords: [KeywordID] = [], origin: MessageOrigin,
        uidl: String? = nil, envelopeFrom: String? = nil, envelopeTo: String? = nil
    ) {
        self.mailbox = mailbox
        self.uid = uid
        self.email = email
        self.blob = blob
        self.size = size
        self.hash = hash
        self.internalDate = internalDate
        self.flags = flags
        self.keywords = keywords
        self.origin = origin
        self.uidl = uidl
        self.envelopeFrom = envelopeFrom
        self.envelopeTo = envelopeTo
    }
}

/// Deltas only: every message of `uids` really changed by them.
package struct FlagsChanged: Hashable, Sendable {
    package var mailbox: MailboxID
    package var uids: UIDSet
    package var add: SystemFlags
    package var remove: SystemFlags
    package var addKeywords: [KeywordID]
    package var removeKeywords: [KeywordID]
    package init(
        mailbox: MailboxID, uids: UIDSet, add: SystemFlags = [], remove: SystemFlags = [],
        addKeywords: [KeywordID] = [], removeKeywords: [KeywordID] = []
    ) {
        self.mailbox = mailbox
        self.uids = uids
        self.add = add
        self.remove = remove
        self.addKeywords = addKeywords
        self.removeKeywords = removeKeywords
    }
}

package enum ExpungeReason: UInt8, CaseIterable, Sendable {
    case expunge = 1
    case pop3, retention, quota, `import`, erasure
}

package struct MessagesExpunged: Hashable, Sendable {
    package var mailbox: MailboxID
    package var uids: UIDSet
    package var reason: ExpungeReason
    package init(mailbox: MailboxID, uids: UIDSet, reason: ExpungeReason) {
        self.mailbox = mailbox
        self.uids = uids
        self.reason = reason
    }
}

/// Destination UIDs ascend from `firstUID` in the order of the source UIDs.
package struct MessagesCopied: Hashable, Sendable {
    package var source: MailboxID
    package var destination: MailboxID
    package var uids: UIDSet
    package var firstUID: UID
    package init(source: MailboxID, destination: MailboxID, uids: UIDSet, firstUID: UID) {
        self.source = source
        self.destination = destination
        self.uids = uids
        self.firstUID = firstUID
    }
}

package struct MessageRestored: Hashable, Sendable {
    package var mailbox: MailboxID
    package var uid: UID
    package var fromMailbox: MailboxID
    package var fromUID: UID
    package init(mailbox: MailboxID, uid: UID, fromMailbox: MailboxID, fromUID: UID) {
        self.mailbox = mailbox
        self.uid = uid
        self.fromMailbox = fromMailbox
        self.fromUID = fromUID
    }
}

/// Retention is over: rows and body references are dropped.
package struct MessagesCollected: Hashable, Sendable {
    package var mailbox: MailboxID
    package var uids: UIDSet
    /// Nothing is left of a deleted mailbox after this.
    package var lastOfMailbox: Bool
    package init(mailbox: MailboxID, uids: UIDSet, lastOfMailbox: Bool = false) {
        self.mailbox = mailbox
        self.uids = uids
        self.lastOfMailbox = lastOfMailbox
    }
}

package struct ShardOpened: Hashable, Sendable {
    package var shard: UInt32
    /// 16 bytes, in hexadecimal.
    package var storeUUID: String
    package init(shard: UInt32, storeUUID: String) {
        self.shard = shard
        self.storeUUID = storeUUID
    }
}
