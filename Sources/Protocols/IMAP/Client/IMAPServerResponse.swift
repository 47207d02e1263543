import MailTypes

/// What a server says, as a client that copies mailboxes needs it (RFC 9051 section 7). Everything else is `.other`.
package enum IMAPServerResponse: Equatable, Sendable {
    /// OK, NO or BAD that ends a command, or says something beside one (section 7.1).
    case status(IMAPServerStatus)
    /// `+`: the server waits for more.
    case continuation(String)
    case capabilities([String])
    case list(IMAPListedMailbox)
    case namespace(IMAPNamespaces)
    /// STATUS, as far as it was asked for.
    case figures(messages: UInt32?, uidValidity: UInt32?, uidNext: UInt32?)
    case exists(UInt32)
    case expunged(UInt32)
    case fetch(IMAPFetchedMessage)
    case other
}

package struct IMAPServerStatus: Equatable, Sendable {
    package enum Kind: String, Sendable {
        case ok, no, bad, bye, preauth
    }

    /// Nil for one that answers no command.
    package var tag: String?
    package var kind: Kind
    package var code: IMAPServerCode?
    package var text: String
}

/// Response codes (section 7.1) that decide something.
package enum IMAPServerCode: Equatable, Sendable {
    case capabilities([String])
    case uidValidity(UInt32)
    case uidNext(UInt32)
    case highestModSeq(UInt64)
    case other(String)
}

/// A line of LIST or LSUB.
package struct IMAPListedMailbox: Equatable, Sendable {
    /// With their backslashes, in lower case.
    package var attributes: [String]
    /// Nil for a name that is no path.
    package var separator: UInt8?
    /// As it came; in modified UTF-7 unless the client has enabled UTF-8.
    package var name: [UInt8]
    package var isFromLsub: Bool

    package init(attributes: [String], separator: UInt8?, name: [UInt8], isFromLsub: Bool) {
        self.attributes = attributes
        self.separator = separator
        self.name = name
        self.isFromLsub = isFromLsub
    }
}

/// RFC 2342 section 5. Only the person's own are for copying.
package struct IMAPNamespaces: Equatable, Sendable {
    package struct Place: Equatable, Sendable {
        package var prefix: [UInt8]
        package var separator: UInt8?

        package init(prefix: [UInt8], separator: UInt8?) {
            self.prefix = prefix
            self.separator = separator
        }
    }

    package var personal: [Place]
    package var others: [Place]
    package var shared: [Place]

    package init(personal: [Place], others: [Place], shared: [Place]) {
        self.personal = personal
        self.others = others
        self.shared = shared
    }
}

/// One FETCH response.
package struct IMAPFetchedMessage: Equatable, Sendable {
    package enum Body: Equatable, Sendable {
        /// Not among what came.
        case absent
        /// Came as a literal, piece by piece, before this response.
        case streamed
        /// Came in a quoted string.
        case inline([UInt8])
        /// The server has none to give.
        case nothing
    }

    package var number: UInt32
    package var uid: UID?
    package var flags: SystemFlags?
    package var keywords: [Keyword] = []
    /// Flags that no keyword of ours can be: too long, or with octets that the grammar does not have.
    package var oddFlags = 0
    package var date: InternalDate?
    package var size: UInt32?
    package var modSeq: UInt64?
    package var body = Body.absent

    package init(number: UInt32) { self.number = number }
}

/// Why a client stops talking to a server.
package enum IMAPClientFailure: Error, Equatable, Sendable {
    /// What came is no IMAP; the text says what.
    case malformed(String)
    /// More than a named limit.
    case limit(String)

    package var text: String {
        switch self {
        case .malformed(let what): "the server's answer is not IMAP: \(what)"
        case .limit(let what): "the server's answer is over a limit: \(what)"
        }
    }
}
