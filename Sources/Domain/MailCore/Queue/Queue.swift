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
    package init(
        id: QueueID, blob: BlobNumber, size: UInt32, hash: ContentHash, mailFrom: String, recipients: [String]
    ) {
        self.id = id
        self.blob = blob
        self.size = size
        self.hash = hash
        self.mailFrom = mailFrom
        self.recipients = recipients
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

package struct QueueEntry: Hashable, Sendable {
    package struct Recipient: Hashable, Sendable {
        package var address: String
        package var state: RecipientState
        package var attempts: UInt32
        package var lastCode: UInt16
        package init(address: String, state: RecipientState = .waiting, attempts: UInt32 = 0, lastCode: UInt16 = 0) {
            self.address = address
            self.state = state
            self.attempts = attempts
            self.lastCode = lastCode
        }
    }
    package var blob: BlobNumber
    package var size: UInt32
    package var accepted: Timestamp
    package var nextAttempt: Timestamp
    package var mailFrom: String
    package var recipients: [Recipient]
    package init(
        blob: BlobNumber, size: UInt32, accepted: Timestamp, nextAttempt: Timestamp, mailFrom: String,
        recipients: [Recipient]
    ) {
        self.blob = blob
        self.size = size
        self.accepted = accepted
        self.nextAttempt = nextAttempt
        self.mailFrom = mailFrom
        self.recipients = recipients
    }
}
