// The receiving side of SMTP (RFC 5321) and LMTP (RFC 2033), free of I/O: octets in, actions out.
//
// How a handler drives it
//     var machine = SMTPServerMachine(configuration)
//     machine.start(into: &actions)                     // greeting; or refuseConnection(into:)
//     consumed = machine.receive(bytes, into: &actions) // whenever octets have arrived, with all it holds
//     machine.loginChallenged(octets, into: &actions)   // after .beginAuthentication and .continueAuthentication; or
//     machine.loginFinished(verdict, into: &actions)    // when the exchange is over
//     machine.senderChecked(verdict, into: &actions)    // after .checkSender
//     machine.recipientChecked(verdict, into: &actions) // after .checkRecipient
//     machine.bodyStarted(verdict, into: &actions)      // after .startBody
//     machine.deliveryFinished(outcomes, into: &actions) // after .deliver, one outcome per envelope recipient
//     machine.tlsStarted(into: &actions)                // after .startTLS
//     machine.clientReplaced(verdict, into: &actions)   // after .replaceClient
//     machine.timedOut / shuttingDown / disconnected(into: &actions)
// The handler carries the actions out in order, then drops `consumed` octets from its buffer. What is left is an
// unfinished line, or input behind a question that is not yet answered: after each answer it calls `receive` again with
// what is left. Having asked (`isWaiting`), the machine consumes nothing, so pipelined input (RFC 2920) waits its turn.
//
// Invariants
// - No octet of input is kept between calls; a body is handed on as ranges of the caller's buffer.
// - How the input was cut up changes neither replies nor content.
// - One reply per command; after the final dot one per recipient in LMTP, one in all in SMTP.
// - A body begun (`startBody`) ends in exactly one `deliver` or one `discardBody`, unless `bodyStarted` refused it;
//   also when the client goes while the answer is awaited.
// - After `close` nothing follows and input is swallowed.
//
// Rejected: accumulating lines here (two copies of every octet, and a second place to bound memory).
import MailTypes
import Octets

/// Which protocol a listener speaks.
package enum SMTPDialect: Hashable, Sendable {
    /// From other hosts to local recipients; never a relay.
    case smtp
    /// From people's mail programs (RFC 6409); takes no mail before AUTH.
    case submission
    /// From a local mail system (RFC 2033).
    case lmtp
}

/// What becomes of a message with a CR or LF outside a CRLF. Either way such octets never end DATA.
package enum BareLineEndPolicy: Equatable, Sendable {
    /// Refused after the final dot (RFC 5321 section 2.3.8 forbids to send them).
    case refuse
    /// Kept as they are.
    case accept
}

/// What is fixed for a listener.
package struct SMTPServerConfiguration: Equatable, Sendable {
    package var dialect: SMTPDialect
    /// The name in greeting and EHLO: a domain or address literal, printable ASCII.
    package var hostName: String
    /// The size limit announced and kept (RFC 1870), in octets.
    package var messageOctetsMax = SMTPLimits.messageOctetsDefault
    package var recipientsMax = SMTPLimits.recipientsMax
    package var bareLineEnds = BareLineEndPolicy.refuse
    /// STARTTLS is there.
    package var offersTLS = false
    /// TLS is on from the first octet.
    package var beginsSecure = false
    /// BINARYMIME is there (RFC 3030 section 3). Where mail goes on to other hosts, it must be able to go on as it is.
    package var offersBinary: Bool
    /// XCLIENT and XFORWARD are there: the peer is trusted to say on whose behalf it speaks.
    package var trustsPeer = false
    /// Every MAIL is asked about, and not only that of somebody who has logged in.
    package var checksSenders = false
    /// DSN is there (RFC 3461): reports are made as the sender asks.
    package var offersDSN = false
    /// REQUIRETLS is there while TLS is on (RFC 8689).
    package var offersRequireTLS = false
    /// FUTURERELEASE is there (RFC 4865): so long a message can be held. For submission only.
    package var holdSecondsMax: Int?
    /// DELIVERBY is there (RFC 2852), with the least time in which a message that goes back otherwise can be delivered.
    package var deliverBySecondsMin: Int?

    package init(dialect: SMTPDialect, hostName: String) {
        self.dialect = dialect
        self.hostName = hostName
        offersBinary = dialect != .submission
    }
}

/// One server session, from greeting to close. A value: copying it copies the session's state.
package struct SMTPServerMachine: Sendable {
    /// What the machine is doing.
    enum Phase: Equatable {
        case awaitingStart
        case command
        case awaitingLogin
        /// A challenge is out, and the client's response is awaited.
        case authenticating
        case awaitingSender(SMTPEnvelope)
        case awaitingRecipient(SMTPRecipient)
        case awaitingBodyStart
        case body
        case awaitingChunkStart(SMTPChunk)
        case chunk(SMTPChunk)
        case awaitingDelivery
        case awaitingTLS
        case awaitingClient
        case closed
    }

    package let configuration: SMTPServerConfiguration
    /// TLS is on.
    package internal(set) var isSecure: Bool
    /// The name that the client gave in HELO, EHLO or LHLO; empty before.
    package internal(set) var clientName = ""
    /// The client said EHLO or LHLO, not HELO.
    package internal(set) var isExtended = false
    /// The client has logged in.
    package internal(set) var isAuthenticated = false
    /// The SASL mechanisms offered as the connection is now; the handler sets them at the start and after TLS.
    package var mechanisms: [String] = []
    /// Seconds since 1970; the handler sets it before `receive`.
    package var now = 0
    /// What XCLIENT has said of the client; a later one adds to it and overrides it.
    package internal(set) var replacedClient: SMTPClientIdentity?
    /// What XFORWARD has said of the message to come; forgotten when its transaction ends.
    package internal(set) var forwarded = SMTPForwardedMessage()
    /// Of the transaction that is open.
    package internal(set) var envelope: SMTPEnvelope?

    var phase = Phase.awaitingStart
    /// RCPT commands of this transaction that were refused.
    var refusedRecipientCount = 0
    var errorCount = 0
    var loginFailureCount = 0
    /// The session ends when the answer that is due has been given: why, and in which words.
    var ending: (reason: SMTPCloseReason, reply: SMTPReply)?
    var commandLines = CommandLineScanner(lineOctetsMax: SMTPLimits.commandLineOctetsMax)
    var responseLines = CommandLineScanner(lineOctetsMax: SMTPLimits.responseLineOctetsMax)
    var body = BodyProgress()
    /// Nil while no BDAT of the transaction was taken.
    var chunkProgress: SMTPChunkProgress?

    package init(_ configuration: SMTPServerConfiguration) {
        self.configuration = configuration
        isSecure = configuration.beginsSecure
    }

    /// An answer of the handler is awaited and no input is consumed.
    package var isWaiting: Bool {
        switch phase {
        case .awaitingStart, .awaitingLogin, .awaitingSender, .awaitingRecipient, .awaitingBodyStart,
            .awaitingChunkStart, .awaitingDelivery, .awaitingTLS, .awaitingClient:
            true
        case .command, .authenticating, .body, .chunk, .closed: false
        }
    }

    /// A line of a SASL exchange is awaited, which may be longer than a command.
    package var isAuthenticating: Bool { phase == .authenticating }

    /// Body octets are flowing: the handler's time limit is that of RFC 5321 section 4.5.3.2.5.
    package var isReceivingBody: Bool {
        if case .chunk = phase { return true }
        return phase == .body
    }
    package var isClosed: Bool { phase == .closed }

    /// Takes octets as they arrived and appends what is to be done.
    ///
    /// - Returns: how many octets, from the start, are done with. The caller keeps the rest and hands it in again with
    ///   what arrives next; unless `isWaiting`, the rest is shorter than `SMTPLimits.commandLineOctetsMax`, or
    ///   than `responseLineOctetsMax` while `isAuthenticating`.
    package mutating func receive(_ bytes: UnsafeRawBufferPointer, into actions: inout [SMTPAction]) -> Int {
        var position = 0
        while position < bytes.count {
            let before = position
            switch phase {
            case .command: position = receiveCommand(bytes, from: position, into: &actions)
            case .authenticating: position = receiveResponse(bytes, from: position, into: &actions)
            case .body: position = receiveBody(bytes, from: position, into: &actions)
            case .chunk(let chunk): position = receiveChunk(chunk, bytes, from: position, into: &actions)
            case .closed: return bytes.count
            case .awaitingStart, .awaitingLogin, .awaitingSender, .awaitingRecipient, .awaitingBodyStart,
                .awaitingChunkStart, .awaitingDelivery, .awaitingTLS, .awaitingClient:
                return position
            }
            if position == before { break }
        }
        return position
    }

    private mutating func receiveCommand(
        _ bytes: UnsafeRawBufferPointer, from start: Int, into actions: inout [SMTPAction]
    ) -> Int {
        switch commandLines.next(in: bytes, from: start) {
        case .incomplete(let consumed): return consumed
        case .tooLong(let next):
            refuse(.lineTooLong, into: &actions)
            return next
        case .bad(let next):
            refuse(.badLine, into: &actions)
            return next
        case .line(let range, let next):
            perform(ArgumentCursor(UnsafeRawBufferPointer(rebasing: bytes[range])), into: &actions)
            return next
        }
    }

    private mutating func perform(_ line: ArgumentCursor, into actions: inout [SMTPAction]) {
        var line = line
        let verb = line.take { Ascii.isLetterOrDigit($0) }
        guard let command = SMTPCommand.named(verb, in: configuration.dialect), command.isOffered(self),
            line.isAtEnd || line.current == Ascii.space || line.current == Ascii.tab
        else { return refuse(.unknownCommand, into: &actions) }
        guard command.stages.contains(stage) else {
            return actions.append(.reply(.badSequence(sequenceHint)))
        }
        command.perform(&self, &line, &actions)
    }

    /// Where the session stands between two commands.
    var stage: SMTPStages {
        if clientName.isEmpty { return .connected }
        return envelope == nil ? .greeted : .transaction
    }

    var sequenceHint: String {
        switch stage {
        case .connected: configuration.dialect == .lmtp ? "LHLO comes first" : "EHLO or HELO comes first"
        case .greeted: "MAIL comes first"
        default: "A transaction is open; RSET ends it"
        }
    }

    /// Replies to a command that was not understood, and counts it; at the limit the session ends instead.
    mutating func refuse(_ reply: SMTPReply, into actions: inout [SMTPAction]) {
        errorCount += 1
        guard errorCount < SMTPLimits.errorsMax else { return close(.tooManyErrors, .tooManyErrors, into: &actions) }
        actions.append(.reply(reply))
    }

    mutating func close(_ reason: SMTPCloseReason, _ reply: SMTPReply?, into actions: inout [SMTPAction]) {
        if holdsBody { actions.append(.discardBody) }
        chunkProgress = nil
        phase = .closed
        envelope = nil
        if let reply { actions.append(.reply(reply)) }
        actions.append(.close(reason))
    }

    /// A body was begun and neither delivered nor given up.
    private var holdsBody: Bool {
        switch phase {
        case .awaitingBodyStart, .awaitingChunkStart: true
        case .body: body.refusals.isEmpty
        default: chunkProgress == .open && body.refusals.isEmpty
        }
    }

    /// Ends the transaction, as RSET and the end of a message do.
    mutating func resetTransaction(into actions: inout [SMTPAction]) {
        discardChunks(into: &actions)
        // XFORWARD comes before MAIL, and RSET there takes nothing away that it said.
        if envelope != nil { forwarded = SMTPForwardedMessage() }
        envelope = nil
        refusedRecipientCount = 0
    }
}
