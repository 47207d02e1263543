/// What the sending machine asks of its handler. Values only.
package enum SMTPClientAction: Equatable, Sendable {
    /// Write these octets.
    case send([UInt8])
    /// Begin TLS on the connection, then call `tlsStarted`, or `disconnected` when it fails.
    case startTLS
    /// Make the proof of the password, not on an event loop, and call `proved`.
    case prove(SMTPScramChallenge)
    /// The server is ready for a message: call `send(_:into:)` or `quit(into:)`.
    case ready
    /// Write the message through `SMTPDotStuffer` with its `finish()`, then call `bodySent`.
    case sendBody
    /// Write the message as it is, which BDAT has announced (RFC 3030), then call `bodySent`.
    case sendChunk
    /// The message is done with: an outcome for each of its recipients, in their order.
    case finished([SMTPRecipientOutcome])
    /// Close the connection; no action follows.
    case close(SMTPClientEnd)
}

/// What became of one recipient at the next host.
package enum SMTPRecipientOutcome: Equatable, Sendable {
    case delivered(SMTPServerReply)
    /// Worth another try.
    case deferred(SMTPServerReply)
    case failed(SMTPServerReply)
    /// This host lacks what the message needs; another host of the domain may have it.
    case incapable(SMTPServerReply)
    /// Nothing was said about it: the connection ended, or the host cannot take such a message now. The text is for
    /// logs and reports.
    case unanswered(String)

    init(_ reply: SMTPServerReply) {
        if reply.isPositive {
            self = .delivered(reply)
        } else {
            self = reply.isPermanent ? .failed(reply) : .deferred(reply)
        }
    }
}

/// Why a connection to the next host ended.
package enum SMTPClientEnd: Equatable, Sendable {
    /// After QUIT.
    case quit
    /// The greeting, EHLO, STARTTLS or AUTH was refused.
    case refused(SMTPServerReply)
    /// TLS is required, and the server has none.
    case noTLS
    /// A login is configured, and the server offers no mechanism that may be used.
    case noMechanism
    /// The server does not prove that it knows the password too.
    case unproved
    /// What came is no SMTP.
    case malformed
    case timedOut
    case disconnected
}

/// How TLS is used towards the next host (RFC 3207).
package enum SMTPClientTLS: Equatable, Sendable {
    case never
    /// When the server offers it.
    case opportunistic
    /// Or no mail is sent.
    case required
}

/// A name and a password for a smart host. Its description shows neither.
package struct SMTPClientCredentials: Equatable, Sendable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    package let user: String
    package let password: String

    package init(user: String, password: String) {
        self.user = user
        self.password = password
    }

    package var description: String { "SMTPClientCredentials(redacted)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// Duties that a host takes over with a message, so that they are not ours any more.
package struct SMTPRelayedDuties: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// To report (RFC 3461).
    package static let reports = SMTPRelayedDuties(rawValue: 1)
    /// To watch the clock (RFC 2852).
    package static let deliverBy = SMTPRelayedDuties(rawValue: 2)
}

/// A message to be sent to some recipients at one host.
package struct SMTPClientMessage: Equatable, Sendable {
    /// As in `MAIL FROM:<...>`; empty for the null sender.
    package var sender: String
    /// As in `RCPT TO:<...>`; at least one.
    package var recipients: [String]
    /// Of the message as stored.
    package var octets: Int
    /// It has octets above 127.
    package var is8Bit: Bool
    /// Addresses or header fields need SMTPUTF8 (RFC 6531).
    package var needsUTF8: Bool
    /// Lines of any length and any octets: it goes by BDAT (RFC 3030).
    package var isBinary = false
    /// REQUIRETLS is asked of hosts that know it (RFC 8689).
    package var wantsRequireTLS = false
    /// A host that does not know it gets nothing.
    package var mustRequireTLS = false
    /// ENVID (RFC 3461 section 4.4), in xtext; empty for none.
    package var envelopeID = ""
    /// RET (RFC 3461 section 4.3).
    package var returns: SMTPReturnedContent?
    /// NOTIFY of each recipient as in RCPT, empty for none; or no entries at all.
    package var notify: [String] = []
    /// ORCPT of each recipient, likewise.
    package var originals: [String] = []
    package var deliverBy: SMTPDeliverBy?

    package init(sender: String, recipients: [String], octets: Int, is8Bit: Bool = false, needsUTF8: Bool = false) {
        self.sender = sender
        self.recipients = recipients
        self.octets = octets
        self.is8Bit = is8Bit
        self.needsUTF8 = needsUTF8
    }
}
