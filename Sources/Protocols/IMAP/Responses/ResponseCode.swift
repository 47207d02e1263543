import MailTypes

/// A response code in brackets, for programs (RFC 9051 section 7.1, RFC 5530 and the extensions named beside it).
package enum IMAPResponseCode: Equatable, Sendable {
    case alert
    case alreadyExists
    /// RFC 4315: the destination's UIDVALIDITY and the UIDs given.
    case appendUID(UIDValidity, UIDSet)
    case authenticationFailed
    case authorizationFailed
    /// With the charsets that are understood.
    case badCharset([String])
    /// RFC 4469: the URL that has no such thing behind it, as the client wrote it.
    case badURL(String)
    case cannot
    /// As in the answer to CAPABILITY.
    case capability([String])
    case clientBug
    /// RFC 7162 section 3.2.11.
    case closed
    /// RFC 4978.
    case compressionActive
    case contactAdmin
    /// RFC 4315: the destination's UIDVALIDITY (rule 13), the source's UIDs and the copies' in the same order. The two
    /// sets have the same count.
    case copyUID(UIDValidity, source: UIDSet, destination: UIDSet)
    case corruption
    case expired
    case expungeIssued
    case hasChildren
    /// RFC 7162 section 3.1.2.1.
    case highestModSeq(UInt64)
    /// RFC 9585: the tag where it may be shown, how much is done, and of how much.
    case inProgress(tag: String?, done: UInt32?, goal: UInt32?)
    case inUse
    case limit
    /// RFC 8474.
    case mailboxID(String)
    /// RFC 7162 section 3.1.3: numbers of messages, or UIDs.
    case modified([ClosedRange<UInt32>])
    case noModSeq
    case nonExistent
    case noPerm
    /// RFC 5182.
    case notSaved
    /// RFC 9208.
    case overQuota
    case parse
    /// `\*`: keywords can be made.
    case permanentFlags(SystemFlags, [Keyword], allowsNew: Bool)
    case privacyRequired
    case readOnly
    case readWrite
    case serverBug
    /// RFC 4469, RFC 7888 section 5, RFC 7889.
    case tooBig
    case tryCreate
    case uidNext(UInt64)
    case uidNotSticky
    case uidValidity(UIDValidity)
    case unavailable
    /// RFC 3516.
    case unknownCTE
    /// RFC 3501: the first message without `\Seen`; not in IMAP4rev2.
    case unseen(UInt32)
    /// RFC 6154.
    case useAttr
}
