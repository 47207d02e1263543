// What a sender asked for beside the delivery itself: reports, a time to begin or to end, and how it may travel.
import MailTypes

/// Which reports a sender wants of a recipient (RFC 3461 section 4.1); empty when he did not say.
package struct QueueNotify: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package static let never = QueueNotify(rawValue: 1)
    package static let success = QueueNotify(rawValue: 2)
    package static let failure = QueueNotify(rawValue: 4)
    package static let delay = QueueNotify(rawValue: 8)
    package static let all: QueueNotify = [.never, .success, .failure, .delay]

    /// RFC 3461 section 4.1: without the parameter a failure is reported, and a delay may be.
    package var wantsFailure: Bool { isEmpty || contains(.failure) }
    package var wantsDelay: Bool { isEmpty || contains(.delay) }
    package var wantsSuccess: Bool { contains(.success) }
}

package struct QueueFlags: OptionSet, Hashable, Sendable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }
    /// RFC 8689: no hop without TLS and a verified name.
    package static let requireTLS = QueueFlags(rawValue: 1)
    /// RFC 6531: asked for at MAIL.
    package static let utf8 = QueueFlags(rawValue: 2)
    /// RFC 3461 section 4.3.
    package static let returnFull = QueueFlags(rawValue: 4)
    package static let returnHeaders = QueueFlags(rawValue: 8)
    /// RFC 2852 section 4: after `deliverBy` the message goes back; without it the sender is told and it goes on.
    package static let deliverByReturn = QueueFlags(rawValue: 16)
    /// RFC 2852 section 4: each relay reports.
    package static let deliverByTrace = QueueFlags(rawValue: 32)
    /// RFC 3030: lines of any length, any octets.
    package static let binary = QueueFlags(rawValue: 64)
    /// For addresses here: it leaves for no other host, also where its domain is ours no more.
    package static let inward = QueueFlags(rawValue: 128)
    package static let all = QueueFlags(rawValue: 255)
}

/// Of a whole message.
package struct QueueWishes: Hashable, Sendable {
    package var flags: QueueFlags
    /// Not before (RFC 4865).
    package var holdUntil: Timestamp?
    /// Not after (RFC 2852).
    package var deliverBy: Timestamp?
    /// ENVID (RFC 3461 section 4.4), as it came; empty when there is none. Personal.
    package var envelopeID: String
    package init(
        flags: QueueFlags = [], holdUntil: Timestamp? = nil, deliverBy: Timestamp? = nil, envelopeID: String = ""
    ) {
        self.flags = flags
        self.holdUntil = holdUntil
        self.deliverBy = deliverBy
        self.envelopeID = envelopeID
    }
}
