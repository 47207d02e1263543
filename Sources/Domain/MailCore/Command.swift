// What a gateway or an administrator asks of one account. decide answers with events or a refusal.
import MailTypes

package enum AccountCommand: Sendable {
    case createAccount(NewAccount)
    case setStatus(AccountStatus)
    /// Releases its addresses, revokes its credentials, deletes its mailboxes. History stays.
    case removeAccount
    case setCredential(NewCredential)
    case revokeCredential(id: UInt32)
    case noteCredentialUse(id: UInt32)
    case addAddress(Address, AddressKind)
    case removeAddress(Address)
    case setQuota(Quota)
    case setRetention(Retention)
    case setSetting(key: String, value: String?)
    /// Written with a session's first change, so that its later events can be traced to a device.
    case openSession(SessionOpened)

    case createMailbox(NewMailbox)
    case deleteMailbox(MailboxID)
    case renameMailbox(MailboxID, to: MailboxName)
    case setSubscription(MailboxName, Bool)
    case setSpecialUse(MailboxID, SpecialUse?)
    case bumpUIDValidity(MailboxID)
    /// From an import, for a mailbox that has not given a UID yet.
    case adoptUIDValidity(MailboxID, UIDValidity)
    /// From an import: the source has given the UIDs below, also to messages that are no longer there.
    case raiseUIDNext(MailboxID, to: UID)
    case claimRecent(MailboxID, upTo: UID)

    case append(AppendMessages)
    case changeFlags(ChangeFlags)
    case expunge(Expunge)
    case copy(CopyMessages)
    case move(CopyMessages)
    case restore(RestoreMessages)
    case collect(MailboxID, UIDSet)

    case enqueue(Enqueue)
    case recordAttempt(QueueAttempt)
    case removeFromQueue(QueueID)
    /// The next attempt is made now; a message that is held stays so.
    case retryQueued(QueueID)
    /// No attempt is made until it is released.
    case holdQueued(QueueID)
    case releaseQueued(QueueID)

    case openShard(ShardOpened)
}

package struct NewAccount: Sendable {
    package var address: Address
    package var displayName: String
    package var quota: Quota
    package var retention: Retention
    package var credential: NewCredential?
    /// Created in this order after INBOX, which every account has.
    package var mailboxes: [NewMailbox]
    package init(
        address: Address, displayName: String = "", quota: Quota = Quota(), retention: Retention = Retention(),
        credential: NewCredential? = nil, mailboxes: [NewMailbox] = []
    ) {
        self.address = address
        self.displayName = displayName
        self.quota = quota
        self.retention = retention
        self.credential = credential
        self.mailboxes = mailboxes
    }
}

package struct NewCredential: Sendable {
    /// A credential with the same label is replaced.
    package var label: String
    package var scheme: CredentialScheme
    package var scopes: CredentialScopes
    package var expires: Timestamp?
    package var verifier: String
    /// The credential whose verifier this is another form of: it keeps its number, so that sessions that came in by it go
    /// on. Refused when it is no longer there under that label; nil makes a new one.
    package var converts: UInt32?
    package init(
        label: String = "password", scheme: CredentialScheme = .scram, scopes: CredentialScopes = .all,
        expires: Timestamp? = nil, verifier: String, converts: UInt32? = nil
    ) {
        self.converts = converts
        self.label = label
        self.scheme = scheme
        self.scopes = scopes
        self.expires = expires
        self.verifier = verifier
    }
}

extension NewCredential: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "NewCredential(redacted)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

package struct NewMailbox: Sendable {
    package var name: MailboxName
    package var specialUse: SpecialUse?
    package var subscribed: Bool
    /// From an import; accepted only above every UIDVALIDITY the account has used, unless `keepsUIDs` imports into an
    /// account that has given out none of its own for this name.
    package var uidValidity: UIDValidity?
    package init(
        name: MailboxName, specialUse: SpecialUse? = nil, subscribed: Bool = false, uidValidity: UIDValidity? = nil
    ) {
        self.name = name
        self.specialUse = specialUse
        self.subscribed = subscribed
        self.uidValidity = uidValidity
    }
}

/// A body that is on stable storage, or will be before the commit that names it.
package struct BodyReference: Hashable, Sendable {
    package var blob: BlobNumber
    /// Octets.
    package var size: UInt32
    package var hash: ContentHash
    package init(blob: BlobNumber, size: UInt32, hash: ContentHash) {
        self.blob = blob
        self.size = size
        self.hash = hash
    }
}

package struct NewMessage: Sendable {
    /// Index into the bodies that came with the command.
    package var body: Int
    package var flags: SystemFlags
    package var keywords: [Keyword]
    /// Nil takes the moment of the commit.
    package var internalDate: InternalDate?
    /// From an import, into a mailbox where it is at or above UIDNEXT.
    package var uid: UID?
    package var uidl: String?
    package init(
        body: Int, flags: SystemFlags = [], keywords: [Keyword] = [], internalDate: InternalDate? = nil,
        uid: UID? = nil, uidl: String? = nil
    ) {
        self.body = body
        self.flags = flags
        self.keywords = keywords
        self.internalDate = internalDate
        self.uid = uid
        self.uidl = uidl
    }
}

/// All of them or none.
package struct AppendMessages: Sendable {
    package var mailbox: MailboxID
    package var messages: [NewMessage]
    package var origin: MessageOrigin
    package var envelopeFrom: String?
    package var envelopeTo: String?
    /// What goes when these have come (REPLACE, RFC 8508).
    package var replaced: ReplacedMessages?
    package init(
        mailbox: MailboxID, messages: [NewMessage], origin: MessageOrigin, envelopeFrom: String? = nil,
        envelopeTo: String? = nil
    ) {
        self.mailbox = mailbox
        self.messages = messages
        self.origin = origin
        self.envelopeFrom = envelopeFrom
        self.envelopeTo = envelopeTo
    }
}

/// Messages that others take the place of.
package struct ReplacedMessages: Sendable {
    package var mailbox: MailboxID
    package var uids: UIDSet
    package init(mailbox: MailboxID, uids: UIDSet) {
        self.mailbox = mailbox
        self.uids = uids
    }
}

package enum FlagOperation: Sendable {
    case add, remove, replace
}

package struct ChangeFlags: Sendable {
    package var mailbox: MailboxID
    package var uids: UIDSet
    package var operation: FlagOperation
    package var flags: SystemFlags
    package var keywords: [Keyword]
    /// RFC 7162 section 3.1.3: messages changed after this position are left alone and reported.
    package var unchangedSince: ModSeq?
    package init(
        mailbox: MailboxID, uids: UIDSet, operation: FlagOperation, flags: SystemFlags, keywords: [Keyword] = [],
        unchangedSince: ModSeq? = nil
    ) {
        self.mailbox = mailbox
        self.uids = uids
        self.operation = operation
        self.flags = flags
        self.keywords = keywords
        self.unchangedSince = unchangedSince
    }
}

package struct Expunge: Sendable {
    package var mailbox: MailboxID
    package var uids: UIDSet
    /// Only those with `\Deleted`, as IMAP's EXPUNGE asks; POP3 takes all that are named.
    package var onlyDeleted: Bool
    package var reason: ExpungeReason
    package init(mailbox: MailboxID, uids: UIDSet, onlyDeleted: Bool, reason: ExpungeReason) {
        self.mailbox = mailbox
        self.uids = uids
        self.onlyDeleted = onlyDeleted
        self.reason = reason
    }
}

package struct CopyMessages: Sendable {
    package var source: MailboxID
    package var destination: MailboxID
    package var uids: UIDSet
    package init(source: MailboxID, destination: MailboxID, uids: UIDSet) {
        self.source = source
        self.destination = destination
        self.uids = uids
    }
}

package struct RestoreMessages: Sendable {
    package var fromMailbox: MailboxID
    package var uids: UIDSet
    package var mailbox: MailboxID
    package init(fromMailbox: MailboxID, uids: UIDSet, mailbox: MailboxID) {
        self.fromMailbox = fromMailbox
        self.uids = uids
        self.mailbox = mailbox
    }
}

package struct Enqueue: Sendable {
    package var body: Int
    package var mailFrom: String
    package var recipients: [String]
    package var wishes: QueueWishes
    /// Of each recipient, or none.
    package var notify: [QueueNotify]
    package var originals: [String]
    /// An operator's word is awaited before it is tried.
    package var isHeld: Bool
    package init(
        body: Int, mailFrom: String, recipients: [String], wishes: QueueWishes = QueueWishes(),
        notify: [QueueNotify] = [], originals: [String] = [], isHeld: Bool = false
    ) {
        self.body = body
        self.mailFrom = mailFrom
        self.recipients = recipients
        self.wishes = wishes
        self.notify = notify
        self.originals = originals
        self.isHeld = isHeld
    }

    /// Octets of its texts, which one record of the log has to hold.
    package var octets: Int {
        let senders = mailFrom.utf8.count + wishes.envelopeID.utf8.count
        return recipients.indices.reduce(senders) { $0 + octets(ofRecipient: $1) }
    }

    private func octets(ofRecipient index: Int) -> Int {
        let original = originals.indices.contains(index) ? originals[index].utf8.count : 0
        return recipients[index].utf8.count + original + 8
    }

    /// The same as entries that are each within the limits: one, unless there are many recipients with long addresses.
    package var parts: [Enqueue] {
        var parts: [Enqueue] = []
        var part = self
        var octets = 0
        func clear() {
            (part.recipients, part.notify, part.originals) = ([], [], [])
            octets = mailFrom.utf8.count + wishes.envelopeID.utf8.count
        }
        clear()
        for index in recipients.indices {
            let more = self.octets(ofRecipient: index)
            if !part.recipients.isEmpty,
                octets + more > DomainLimits.queueOctetsMax
                    || part.recipients.count == DomainLimits.queueRecipientsMax
            {
                parts.append(part)
                clear()
            }
            part.recipients.append(recipients[index])
            if notify.indices.contains(index) { part.notify.append(notify[index]) }
            if originals.indices.contains(index) { part.originals.append(originals[index]) }
            octets += more
        }
        return part.recipients.isEmpty ? parts : parts + [part]
    }
}

package struct QueueAttempt: Sendable {
    package enum Outcome: Sendable {
        case delivered
        case deferred(until: Timestamp)
        case bounced
    }
    package var result: QueueResult
    package var outcome: Outcome
    package init(result: QueueResult, outcome: Outcome) {
        self.result = result
        self.outcome = outcome
    }
}

/// Why a command was not done. Each is the client's or the operator's matter; nothing was changed.
package enum Refusal: Error, Hashable, Sendable {
    case noSuchAccount
    case accountDisabled
    case accountRemoved
    /// The address belongs to an account already.
    case addressTaken(String)
    case noSuchAddress
    /// The primary address names the account and stays.
    case primaryAddress
    case noSuchCredential
    case noSuchMailbox
    case mailboxExists
    /// The text says which rule the name breaks.
    case invalidName(String)
    /// RFC 9051 section 6.3.5, response code HASCHILDREN.
    case hasChildren
    /// INBOX cannot be deleted.
    case inbox
    /// RFC 6154 section 5.2, response code USEATTR.
    case specialUseTaken
    case overQuota
    case tooManyKeywords
    /// A UID or UIDVALIDITY that an import brought is not above those in use.
    case uidNotAscending
    case uidValidityNotAscending
    /// No UID is left under this UIDVALIDITY.
    case uidsExhausted
    /// Over a named limit.
    case limit(String)
    case noSuchQueueEntry
    /// REPLACE of what is no longer there.
    case noSuchMessage
    case notRestorable(UIDSet)
}

/// What a command that was done has to tell.
package enum CommandResult: Hashable, Sendable {
    case done
    case account(AccountID)
    case mailbox(MailboxID, UIDValidity)
    /// APPENDUID: the new UIDs, in the order of the messages.
    case appended(UIDValidity, UIDSet)
    /// Positions are read from the change rows; `modified` lists what UNCHANGEDSINCE left alone.
    case flags(changed: UIDSet, modified: UIDSet)
    case expunged(UIDSet)
    /// COPYUID: UIDVALIDITY of the destination, then the UIDs as pairs in order.
    case copied(UIDValidity, source: UIDSet, destination: UIDSet)
    case queued(QueueID)
}

/// The events of one command, not yet at any position, and its answer.
package struct Decision: Sendable {
    package var events: [Event]
    package var result: CommandResult
    package init(_ events: [Event], _ result: CommandResult = .done) {
        self.events = events
        self.result = result
    }
}

package enum DecideError: Error, Sendable {
    case refused(Refusal)
    case fault(StateFault)
}
