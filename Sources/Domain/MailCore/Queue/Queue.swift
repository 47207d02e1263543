// The outbound queue as values: what waits, for whom, since when. Delivery itself lives in the Delivery room.
import MailTypes

/// Identifies a message in the outbound queue; never reused.
package struct QueueID: RawRepresentable, Hashable, Comparable, Sendable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

package struct QueueAccepted: Hashable, Sendable {
    package var id: QueueID
    package var blob: BlobNumber
    package var size: UInt32
    package var hash: ContentHash
    /// Empty for the null sender. Personal.
    package var mailFrom: String
    /// 1...1000. Personal.
    package var recipients: [String]
    package var wishes: QueueWishes
    /// Of each recipient, or none when nobody asked for anything.
    package var notify: [QueueNotify]
    /// ORCPT of each recipient (RFC 3461 section 4.2), empty where there is none, or nothing at all. Personal.
    package var originals: [String]
    package init(
        id: QueueID, blob: BlobNumber, size: UInt32, hash: ContentHash, mailFrom: String, recipients: [String],
        wishes: QueueWishes = QueueWishes(), notify: [QueueNotify] = [], originals: [String] = []
    ) {
        self.id = id
        self.blob = blob
        self.size = size
        self.hash = hash
        self.mailFrom = mailFrom
        self.recipients = recipients
        self.wishes = wishes
        self.notify = notify
        self.originals = originals
    }
}

/// What one attempt brought for some recipients.
package struct QueueResult: Hashable, Sendable {
    package var id: QueueID
    /// Indexes into the recipients of the accepted message.
    package var recipients: [UInt16]
    /// The SMTP reply code; 0 when there was none.
    package var code: UInt16
    /// When to try again; only with a deferral.
    package var nextAttempt: Timestamp?
    /// Personal.
    package var remoteHost: String
    /// Personal.
    package var text: String
    package init(
        id: QueueID, recipients: [UInt16], code: UInt16, nextAttempt: Timestamp? = nil, remoteHost: String = "",
        text: String = ""
    ) {
        self.id = id
        self.recipients = recipients
        self.code = code
        self.nextAttempt = nextAttempt
        self.remoteHost = remoteHost
        self.text = text
    }
}

package enum QueueRemoval: UInt8, CaseIterable, Sendable {
    /// Every recipient has a final answer.
    case done = 1
    case operatorRequest = 2
}

package enum RecipientState: UInt8, Sendable {
    case waiting = 1
    case delivered, bounced
}

/// An operator's word about an entry: when it is tried next, or that it is not.
package struct QueueRescheduled: Hashable, Sendable {
    package var id: QueueID
    package var nextAttempt: Timestamp
    package var isHeld: Bool
    package init(id: QueueID, nextAttempt: Timestamp, isHeld: Bool) {
        self.id = id
        self.nextAttempt = nextAttempt
        self.isHeld = isHeld
    }
}

package struct QueueEntry: Hashable, Sendable {
    package struct Recipient: Hashable, Sendable {
        package var address: String
        package var state: RecipientState
        package var attempts: UInt32
        package var lastCode: UInt16
        package var notify: QueueNotify
        /// Empty when the sender named none.
        package var original: String
        /// Of the last attempt: who answered, and what; empty before the first.
        package var lastHost: String
        package var lastText: String
        package init(
            address: String, state: RecipientState = .waiting, attempts: UInt32 = 0, lastCode: UInt16 = 0,
            notify: QueueNotify = [], original: String = "", lastHost: String = "", lastText: String = ""
        ) {
            self.address = address
            self.state = state
            self.attempts = attempts
            self.lastCode = lastCode
            self.notify = notify
            self.original = original
            self.lastHost = lastHost
            self.lastText = lastText
        }
    }
    package var blob: BlobNumber
    package var size: UInt32
    package var accepted: Timestamp
    /// `never` while it is held.
    package var nextAttempt: Timestamp
    package var mailFrom: String
    package var recipients: [Recipient]
    package var wishes: QueueWishes
    /// By an operator.
    package var isHeld: Bool
    package init(
        blob: BlobNumber, size: UInt32, accepted: Timestamp, nextAttempt: Timestamp, mailFrom: String,
        recipients: [Recipient], wishes: QueueWishes = QueueWishes(), isHeld: Bool = false
    ) {
        self.blob = blob
        self.size = size
        self.accepted = accepted
        self.nextAttempt = nextAttempt
        self.mailFrom = mailFrom
        self.recipients = recipients
        self.wishes = wishes
        self.isHeld = isHeld
    }

    /// Later than any moment that a message waits for.
    package static let never = Timestamp(milliseconds: 253_402_300_799_000)
}
