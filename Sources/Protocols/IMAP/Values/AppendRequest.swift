import MailTypes

/// Where the messages of APPEND go, or what REPLACE replaces (RFC 9051 section 6.3.12, RFC 8508).
package struct AppendTarget: Equatable, Sendable {
    package var mailbox: MailboxName
    /// REPLACE: the message that goes when the new one is there.
    package var replaced: ReplacedMessage?

    package init(mailbox: MailboxName, replaced: ReplacedMessage? = nil) {
        self.mailbox = mailbox
        self.replaced = replaced
    }
}

/// A message by number or UID; 0 is `*`, the last one.
package enum ReplacedMessage: Equatable, Sendable {
    case sequenceNumber(UInt32)
    case uid(UInt32)
}

/// What comes with one message of APPEND.
package struct AppendOptions: Equatable, Sendable {
    package var flags: IMAPFlags
    /// Nil: now.
    package var date: InternalDate?

    package init(flags: IMAPFlags = IMAPFlags(), date: InternalDate? = nil) {
        self.flags = flags
        self.date = date
    }
}

/// Text that follows in the input, of one message or of a part of it.
package struct AppendLiteral: Equatable, Sendable {
    package var octets: UInt64
    /// A literal8 (RFC 3516 section 4.4): NUL is allowed in it.
    package var isBinary: Bool
    /// UTF8 (~{...}): 8-bit octets in header fields are meant as UTF-8 (RFC 6855 section 4).
    package var isUTF8: Bool

    package init(octets: UInt64, isBinary: Bool = false, isUTF8: Bool = false) {
        self.octets = octets
        self.isBinary = isBinary
        self.isUTF8 = isUTF8
    }
}
