import MailTypes

/// What the machine asks of its handler. Values only: promises, buffers and addresses of peers stay with the handler.
package enum SMTPAction: Equatable, Sendable {
    /// Write this reply, after those before it.
    case reply(SMTPReply)
    /// Begin a SASL exchange, then call `loginChallenged`, or `loginFinished` with what it came to.
    case beginAuthentication(mechanism: String, initialResponse: SecretOctets?)
    /// The client's next message, after a challenge; answered like `beginAuthentication`.
    case continueAuthentication(SecretOctets)
    /// The exchange is over without an answer: cancelled, or broken.
    case cancelAuthentication
    /// Find out whether this transaction may begin, and whether whoever has logged in may send as its sender, then call
    /// `senderChecked`.
    case checkSender(SMTPEnvelope)
    /// Find out whether this recipient is ours, then call `recipientChecked`.
    case checkRecipient(SMTPRecipient)
    /// The client has said DATA: get ready to store a body for this envelope, then call `bodyStarted`.
    case startBody(SMTPEnvelope)
    /// These octets are content, with dots unstuffed. The range counts from the start of the buffer that was handed to
    /// the `receive` call which appended this action.
    case body(Range<Int>)
    /// Forget the body begun by `startBody`; no `deliver` follows for it. Comes at most once per body.
    case discardBody
    /// The body is complete and has this many octets: store it for each recipient, then call `deliveryFinished`.
    case deliver(octets: Int)
    /// The reply before is the last in the clear: begin TLS, then call `tlsStarted`. Octets behind the command are not to be
    /// handed in any more.
    case startTLS
    /// The peer speaks for this client from now on: judge and name it instead, then call `clientReplaced`.
    case replaceClient(SMTPClientIdentity)
    /// Close once everything before has been written; no action follows.
    case close(SMTPCloseReason)
}

/// Why the machine ends a session; for the log.
package enum SMTPCloseReason: Equatable, Sendable {
    case quit
    case tooManyErrors
    case tooManyConnections
    case tooManyLoginFailures
    case timedOut
    case shuttingDown
    /// By the server, for a reason of this session's own.
    case ended
    case disconnected
}
