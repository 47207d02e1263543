// The rows of the `state` tree as values. `evolve` writes them, `decide` reads them, EventFormat gives them bytes.
//
// Invariants (docs/formats/event-log.md numbers them): counters of a mailbox equal a recount of its messages; a
// message's modseq is the position of the last event that touched it; a UID is in exactly one of live, expunged, gone.
import MailTypes

/// Whether an account can be used.
package enum AccountStatus: UInt8, Sendable {
    case active = 1
    /// Logins and deliveries are refused; mail stays.
    case disabled = 2
    /// Removed by the administrator; the identifier is never used again.
    case removed = 3
}

/// How long deleted things stay restorable, in days.
package struct Retention: Hashable, Sendable {
    /// Days after which an expunged message's row and body may go; 0...36500.
    package var undeleteDays: UInt16
    /// Days of history kept; 0 keeps all.
    package var historyDays: UInt16
    package init(undeleteDays: UInt16 = 14, historyDays: UInt16 = 0) {
        self.undeleteDays = undeleteDays
        self.historyDays = historyDays
    }
}

/// Limits of an account; 0 means no limit.
package struct Quota: Hashable, Sendable {
    package var bytes: UInt64
    package var messages: UInt64
    package init(bytes: UInt64 = 0, messages: UInt64 = 0) {
        self.bytes = bytes
        self.messages = messages
    }
}

/// The one row that every event of an account touches.
package struct AccountHead: Hashable, Sendable {
    package var status: AccountStatus = .active
    /// Position of the account's last event.
    package var aseq: ModSeq = .zero
    package var nextMailbox: UInt32 = 1
    package var nextEmail: UInt64 = 1
    package var nextKeyword: UInt16 = 0
    package var nextCredential: UInt32 = 1
    package var nextAddress: UInt32 = 1
    package var lastUIDValidity: UInt32 = 0
    package var used = Quota()
    package var quota = Quota()
    package var retention = Retention()
    /// Changes at or below this position may have been dropped; a client that knows less gets the full answer.
    package var historyFloor: ModSeq = .zero
    package init() {}
}

package struct MailboxRow: Hashable, Sendable {
    package var parent: MailboxID
    /// The last component of the name.
    package var leaf: String
    package var specialUse: SpecialUse?
    package var uidValidity: UIDValidity
    package var uidNext: UInt32 = 1
    package var created: ModSeq
    package var highestModSeq: ModSeq
    package var exists: UInt32 = 0
    package var unseen: UInt32 = 0
    package var deleted: UInt32 = 0
    package var bytes: UInt64 = 0
    package var lastExpunge: ModSeq = .zero
    /// UIDs from here on are still recent to the next read-write session.
    package var recentFloor: UInt32 = 1

    package init(
        parent: MailboxID, leaf: String, specialUse: SpecialUse? = nil, uidValidity: UIDValidity, created: ModSeq
    ) {
        self.parent = parent
        self.leaf = leaf
        self.specialUse = specialUse
        self.uidValidity = uidValidity
        self.created = created
        highestModSeq = created
    }
}

/// A mailbox after its deletion: its messages stay under it until they are collected.
package struct MailboxTombstone: Hashable, Sendable {
    package var row: MailboxRow
    package var deleted: ModSeq
    package var time: Timestamp
    /// The day (since 1970) from which its messages may be collected.
    package var dueDay: UInt32
    package init(row: MailboxRow, deleted: ModSeq, time: Timestamp, dueDay: UInt32) {
        self.row = row
        self.deleted = deleted
        self.time = time
        self.dueDay = dueDay
    }
}

/// One message in one mailbox; 56 bytes on disk.
package struct MessageRow: Hashable, Sendable {
    package var flags: SystemFlags
    /// Bit n is keyword n, for n in 0...62; bit 63 says that a spill row lists the rest.
    package var keywordBits: UInt64
    /// Octets in the stored form, which is RFC822.SIZE.
    package var size: UInt32
    package var modSeq: ModSeq
    package var email: EmailID
    package var blob: BlobNumber
    /// When it came into its mailbox (RFC 8514), which is the time of the event that put it there. Nil in rows that were
    /// folded before version 2.
    package var saved: Timestamp? {
        get { savedOrNone == Self.noTime ? nil : savedOrNone }
        set { savedOrNone = newValue ?? Self.noTime }
    }
    // No optional: a replay holds a whole store's rows in memory.
    private var savedOrNone: Timestamp
    package var internalDate: InternalDate

    private static let noTime = Timestamp(rawValue: .min)
    package static let spillBit: UInt64 = 1 << 63
    package static let inlineKeywordsMax: UInt16 = 63

    package init(
        flags: SystemFlags, keywordBits: UInt64 = 0, size: UInt32, modSeq: ModSeq, email: EmailID, blob: BlobNumber,
        saved: Timestamp? = nil, internalDate: InternalDate
    ) {
        self.flags = flags
        self.keywordBits = keywordBits
        self.size = size
        self.modSeq = modSeq
        self.email = email
        self.blob = blob
        savedOrNone = saved ?? Self.noTime
        self.internalDate = internalDate
    }
}

/// A message after its expunge, kept until it is collected so that it can be restored and late readers served.
package struct ExpungedRow: Hashable, Sendable {
    package var row: MessageRow
    package var expunged: ModSeq
    package var time: Timestamp
    package var dueDay: UInt32
    /// It was moved to another mailbox, so it holds no reference to the body.
    package var movedOut: Bool
    package init(row: MessageRow, expunged: ModSeq, time: Timestamp, dueDay: UInt32, movedOut: Bool) {
        self.row = row
        self.expunged = expunged
        self.time = time
        self.dueDay = dueDay
        self.movedOut = movedOut
    }
}

/// What one event did to one mailbox. All three sets can be filled at once: MOVE within a mailbox.
package struct ChangeRow: Hashable, Sendable {
    package var arrived: UIDSet
    package var changed: UIDSet
    package var gone: UIDSet
    package init(arrived: UIDSet = UIDSet(), changed: UIDSet = UIDSet(), gone: UIDSet = UIDSet()) {
        self.arrived = arrived
        self.changed = changed
        self.gone = gone
    }
}

/// How a credential's verifier is to be read.
package enum CredentialScheme: UInt8, Sendable {
    /// SCRAM-SHA-256 and SCRAM-SHA-1 verifiers, one per line (RFC 5802 section 3).
    case scram = 1
    /// crypt(3), imported; becomes SCRAM at the first good login.
    case crypt = 2
    /// Checked by saslauthd; holds no verifier.
    case external = 3
}

/// Where a credential may be used.
package struct CredentialScopes: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package static let imap = CredentialScopes(rawValue: 1)
    package static let pop3 = CredentialScopes(rawValue: 2)
    package static let smtp = CredentialScopes(rawValue: 4)
    package static let all: CredentialScopes = [.imap, .pop3, .smtp]
}

package struct CredentialRow: Hashable, Sendable {
    package var id: UInt32
    package var scheme: CredentialScheme
    package var scopes: CredentialScopes
    /// After this moment it no longer opens anything; nil never expires.
    package var expires: Timestamp?
    /// What the owner called it; `password` for the main one.
    package var label: String
    /// Never the password itself.
    package var verifier: String
    /// The time of the last `credentialUsed`; nil before the first.
    package var lastUsed: Timestamp?
    package init(
        id: UInt32, scheme: CredentialScheme, scopes: CredentialScopes, expires: Timestamp?, label: String,
        verifier: String, lastUsed: Timestamp? = nil
    ) {
        self.id = id
        self.lastUsed = lastUsed
        self.scheme = scheme
        self.scopes = scopes
        self.expires = expires
        self.label = label
        self.verifier = verifier
    }
}

package enum AddressKind: UInt8, Sendable {
    case primary = 1
    case alias = 2
    /// Receives what no other address of its domain does; the local part is `*`.
    case catchAll = 3
}

package struct AddressRow: Hashable, Sendable {
    package var id: UInt32
    package var kind: AddressKind
    /// As written, or `*@domain` for a catch-all.
    package var address: String
    package init(id: UInt32, kind: AddressKind, address: String) {
        self.id = id
        self.kind = kind
        self.address = address
    }
}

/// The day number used for collection and de-duplication windows.
package func dayNumber(_ time: Timestamp, plusDays days: UInt16 = 0) -> UInt32 {
    UInt32(clamping: time.days + Int64(days))
}

// A verifier is a secret: whoever has it can try passwords at leisure. No description shows it.
extension CredentialRow: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "CredentialRow(\(id), redacted)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}
