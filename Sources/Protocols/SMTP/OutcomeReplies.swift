// The one table from what happened to what the client hears: recipient checks, the start of a body, its end, delivery.
// Codes are of RFC 5321 section 4.2 and RFC 3463 section 3; texts never carry a cause from inside the engine.

/// The answer to `SMTPAction.checkRecipient`.
package enum RecipientVerdict: Equatable, Sendable {
    case accepted
    /// The domain is ours, the address is not.
    case unknownUser
    /// The domain is not ours, and we relay for nobody here.
    case relayDenied
    /// The account exists and takes no mail.
    case disabled
    case overQuota
    /// Cannot be told now; the text is for the client and holds nothing internal.
    case tryLater(String)
    /// The account has written to as many people as it may in an hour.
    case sendingLimit
    /// By a filter, in its words.
    case refused(SMTPReply)

    package var reply: SMTPReply {
        switch self {
        case .accepted: SMTPReply(250, .init(2, 1, 5), "Recipient accepted")
        case .unknownUser: SMTPReply(550, .init(5, 1, 1), "No such mailbox here")
        case .relayDenied:
            SMTPReply(550, .init(5, 7, 1), "Relaying denied: this host takes mail for its own domains only")
        case .disabled: SMTPReply(550, .init(5, 2, 1), "Mailbox disabled, takes no mail")
        case .overQuota: SMTPReply(452, .init(4, 2, 2), "Mailbox full")
        case .tryLater(let text): SMTPReply(451, .init(4, 3, 0), text)
        case .sendingLimit: SMTPReply(450, .init(4, 7, 1), "Sending limit of this hour reached, try again later")
        case .refused(let reply): reply
        }
    }
}

/// The answer to `SMTPAction.replaceClient`.
package enum ClientVerdict: Equatable, Sendable {
    case accepted
    /// Too many connections speak for that client.
    case tooMany
}

/// The answer to `SMTPAction.checkSender`.
package enum SenderVerdict: Equatable, Sendable {
    case accepted
    /// It is an address of somebody else's, or of nobody.
    case notYours
    case tryLater
    /// By a filter, in its words.
    case refused(SMTPReply)

    var reply: SMTPReply {
        switch self {
        case .accepted: SMTPReply(250, .init(2, 1, 0), "Sender accepted")
        case .notYours: SMTPReply(553, .init(5, 7, 1), "Sender address does not belong to this login")
        case .tryLater: SMTPReply(451, .init(4, 3, 0), "Cannot look up the sender now, try again later")
        case .refused(let reply): reply
        }
    }
}

/// The answer to `SMTPAction.startBody`.
package enum BodyVerdict: Equatable, Sendable {
    case ready
    /// The engine's queue is full.
    case queueFull
    /// No room on the disk.
    case storageFull
    /// Anything else that passes.
    case tryLater

    var reply: SMTPReply {
        switch self {
        case .ready: SMTPReply(354, nil, "End data with <CR><LF>.<CR><LF>")
        case .queueFull: SMTPReply(451, .init(4, 3, 1), "Too busy to take a message now, try again later")
        case .storageFull: SMTPReply(452, .init(4, 3, 1), "Not enough storage")
        case .tryLater: SMTPReply(451, .init(4, 3, 0), "Cannot take a message now, try again later")
        }
    }
}

/// What became of the message for one recipient.
package enum DeliveryOutcome: Equatable, Sendable {
    /// On stable storage. The text names the message in our logs, such as a queue or event id; printable ASCII.
    case stored(id: String)
    /// Over quota, and the site wants the sender to try again.
    case overQuota
    /// Over quota, and the site wants the message back at its sender.
    case overQuotaForGood
    case storageFull
    case queueFull
    /// The engine has stopped or failed for now.
    case temporaryFailure
    /// The account went between RCPT and the end of the body.
    case unknownUser
    case disabled
    case tooManyHops
    /// On submission: From or Sender names somebody else.
    case notTheirAddress
    /// On submission: there is no From that can be read.
    case noAuthor
    /// The domain of the author asks for it (DMARC); the name is printable ASCII.
    case refusedByDomain(String)
    /// From names more domains than are asked what they think of that.
    case tooManyAuthors
    case headerTooLarge
    /// By a filter, in its words.
    case refused(SMTPReply)

    /// The reply; LMTP's speaks of a recipient, SMTP's of the message.
    package func reply(_ dialect: SMTPDialect) -> SMTPReply {
        switch self {
        case .stored(let id):
            dialect == .lmtp
                ? SMTPReply(250, .init(2, 1, 5), "Stored as \(id)") : SMTPReply(250, .init(2, 6, 0), "Stored as \(id)")
        case .overQuota: SMTPReply(452, .init(4, 2, 2), "Mailbox full")
        case .overQuotaForGood: SMTPReply(552, .init(5, 2, 2), "Mailbox full")
        case .storageFull: SMTPReply(452, .init(4, 3, 1), "Not enough storage")
        case .queueFull: SMTPReply(451, .init(4, 3, 1), "Too busy to store the message now, try again later")
        case .temporaryFailure: SMTPReply(451, .init(4, 3, 0), "Cannot store the message now, try again later")
        case .unknownUser: SMTPReply(550, .init(5, 1, 1), "No such mailbox here")
        case .disabled: SMTPReply(550, .init(5, 2, 1), "Mailbox disabled, takes no mail")
        case .tooManyHops: BodyRefusal.tooManyHops.reply
        case .notTheirAddress:
            SMTPReply(550, .init(5, 7, 1), "From or Sender has an address that does not belong to this login")
        case .noAuthor: SMTPReply(550, .init(5, 6, 0), "No From field with an address")
        case .refusedByDomain(let domain):
            SMTPReply(550, .init(5, 7, 1), "\(domain) asks to refuse mail that it does not vouch for (DMARC)")
        case .tooManyAuthors:
            SMTPReply(550, .init(5, 7, 1), "From has addresses of too many domains to ask them (DMARC)")
        case .headerTooLarge: SMTPReply(552, .init(5, 3, 4), "Header over the size limit")
        case .refused(let reply): reply
        }
    }

    var isStored: Bool {
        if case .stored = self { true } else { false }
    }

    /// The outcome that SMTP's single reply reports (RFC 5321 section 4.1.1.4).
    ///
    /// Success only when all have it. Otherwise a temporary failure outranks a permanent one: the sender then tries
    /// again, which may give some recipients a second copy and loses no mail.
    package static func forAll(_ outcomes: [DeliveryOutcome]) -> DeliveryOutcome {
        let failures = outcomes.filter { !$0.isStored }
        return failures.first { $0.reply(.smtp).code < 500 } ?? failures.first ?? outcomes[0]
    }
}

/// Why a body is refused at its end by this machine. In order of precedence: with several reasons the first is told,
/// so that the reply does not depend on how the octets arrived.
enum BodyRefusal: CaseIterable, Sendable {
    case tooLarge
    case tooManyHops
    case bareLineEnd
    case nul

    var reply: SMTPReply {
        switch self {
        case .tooLarge: SMTPReply(552, .init(5, 3, 4), "Message over the size limit")
        case .tooManyHops: SMTPReply(554, .init(5, 4, 6), "Too many Received fields, mail loop suspected")
        case .bareLineEnd:
            SMTPReply(550, .init(5, 6, 0), "Message has a bare CR or LF; lines end in CRLF (RFC 5321 section 2.3.8)")
        case .nul: SMTPReply(550, .init(5, 6, 0), "Message has a NUL octet")
        }
    }
}

/// Replies to commands that were not understood or came at the wrong time (RFC 5321 section 4.2.4, RFC 3463 X.5).
extension SMTPReply {
    static func syntaxError(_ text: String) -> SMTPReply { SMTPReply(501, .init(5, 5, 4), text) }
    static func badSequence(_ text: String) -> SMTPReply { SMTPReply(503, .init(5, 5, 1), text) }
    static let unknownCommand = SMTPReply(500, .init(5, 5, 1), "Command not known here")
    static let lineTooLong = SMTPReply(
        500, .init(5, 5, 2), "Command line over \(SMTPLimits.commandLineOctetsMax) octets")
    static let badLine = SMTPReply(500, .init(5, 5, 2), "Command line has a NUL, a bare CR or a bare LF")
    static let unknownParameter = SMTPReply(555, .init(5, 5, 4), "Parameter not known here")
    static let tooManyRecipients = SMTPReply(452, .init(4, 5, 3), "Too many recipients")
    static let tooManyErrors = SMTPReply(421, .init(4, 7, 0), "Too many errors, closing")
    static let tooManyConnections = SMTPReply(421, .init(4, 7, 0), "Too many connections, try again later")
    static let timedOut = SMTPReply(421, .init(4, 4, 2), "Timed out, closing")
    static let shuttingDown = SMTPReply(421, .init(4, 3, 2), "Shutting down, try again later")
}
