import MailTypes

/// SELECT or EXAMINE (RFC 9051 sections 6.3.2 and 6.3.3, RFC 7162 sections 3.1.8 and 3.2.5).
package struct SelectRequest: Equatable, Sendable {
    package var mailbox: MailboxName
    /// EXAMINE.
    package var isReadOnly: Bool
    package var condstore: Bool
    package var qresync: ResyncParameters?

    package init(mailbox: MailboxName, isReadOnly: Bool, condstore: Bool = false, qresync: ResyncParameters? = nil) {
        self.mailbox = mailbox
        self.isReadOnly = isReadOnly
        self.condstore = condstore
        self.qresync = qresync
    }
}

/// What a client remembers of a mailbox: `QRESYNC (uidvalidity modseq [known-uids] [(seqs uids)])`.
package struct ResyncParameters: Equatable, Sendable {
    package var uidValidity: UIDValidity
    package var modSeq: UInt64
    package var knownUIDs: UIDSet?
    /// Message numbers and the UIDs they had, in ascending order and equally many.
    package var match: Match?

    package struct Match: Equatable, Sendable {
        package var sequenceNumbers: [ClosedRange<UInt32>]
        package var uids: UIDSet

        package init(sequenceNumbers: [ClosedRange<UInt32>], uids: UIDSet) {
            self.sequenceNumbers = sequenceNumbers
            self.uids = uids
        }
    }

    package init(uidValidity: UIDValidity, modSeq: UInt64, knownUIDs: UIDSet? = nil, match: Match? = nil) {
        self.uidValidity = uidValidity
        self.modSeq = modSeq
        self.knownUIDs = knownUIDs
        self.match = match
    }
}

/// LIST (RFC 9051 section 6.3.9, RFC 5258, 5819, 6154) or LSUB (RFC 3501 section 6.3.9).
package struct ListRequest: Equatable, Sendable {
    package struct Selection: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let subscribed = Selection(rawValue: 1)
        package static let remote = Selection(rawValue: 2)
        package static let recursiveMatch = Selection(rawValue: 4)
        package static let specialUse = Selection(rawValue: 8)
    }

    package struct Return: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let subscribed = Return(rawValue: 1)
        package static let children = Return(rawValue: 2)
        package static let specialUse = Return(rawValue: 4)
    }

    package var isLsub: Bool
    /// In UTF-8.
    package var reference: String
    /// In UTF-8, at least one. One empty pattern without extended syntax asks for the separator and the root.
    package var patterns: [String]
    package var selection: Selection
    package var returns: Return
    /// RETURN (STATUS (...)); empty when it was not asked for.
    package var status: [StatusAttribute]
    /// The client used selection options, several patterns or RETURN: an empty pattern is then no question for the root.
    package var isExtended: Bool

    package init(
        isLsub: Bool = false, reference: String, patterns: [String], selection: Selection = [], returns: Return = [],
        status: [StatusAttribute] = [], isExtended: Bool = false
    ) {
        self.isLsub = isLsub
        self.reference = reference
        self.patterns = patterns
        self.selection = selection
        self.returns = returns
        self.status = status
        self.isExtended = isExtended
    }
}

/// An item of STATUS (RFC 9051 section 6.3.11 and extensions).
package enum StatusAttribute: String, CaseIterable, Sendable {
    case messages = "MESSAGES"
    case uidNext = "UIDNEXT"
    case uidValidity = "UIDVALIDITY"
    case unseen = "UNSEEN"
    case deleted = "DELETED"
    case size = "SIZE"
    /// RFC 3501.
    case recent = "RECENT"
    /// RFC 7162 section 3.1.7.
    case highestModSeq = "HIGHESTMODSEQ"
    /// RFC 7889 section 4.
    case appendLimit = "APPENDLIMIT"
    /// RFC 8474 section 4.3.
    case mailboxID = "MAILBOXID"
    /// RFC 9208 section 4.1.4.
    case deletedStorage = "DELETED-STORAGE"
}

/// A resource of SETQUOTA (RFC 9208 section 4.1.3): its name in upper case and its limit.
package struct QuotaLimit: Equatable, Sendable {
    package var resource: String
    package var limit: UInt64

    package init(_ resource: String, _ limit: UInt64) {
        self.resource = resource
        self.limit = limit
    }
}
