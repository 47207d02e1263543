import MailTypes

/// What the machine asks of its handler. Values only: promises, buffers and sockets stay with the handler.
///
/// A case that says "then call" is a question: the machine takes no input until it is answered.
package enum IMAPAction: Equatable, Sendable {
    /// Write this reply, after those before it.
    case reply(IMAPReply)
    /// Write these octets, which are whole response lines.
    case data([UInt8])
    /// Perform the command: write its untagged responses, then call `commandFinished`, or `mailboxSelected` for a SELECT
    /// that succeeded.
    case perform(IMAPCommand)
    /// The mailbox that was open is so no more, because SELECT names another one: let go of its view. Nothing is asked.
    case leaveMailbox
    /// What the client says it is (RFC 2971), for the log. Nothing is asked.
    case identified([IMAPIDField])
    /// The first CONDSTORE enabling command came with a mailbox selected: write its HIGHESTMODSEQ at once (RFC 7162
    /// section 3.1).
    case condstoreBegan

    // Logging in
    /// Check the password, then call `loginFinished`.
    case login(IMAPCredentials)
    /// Begin an exchange, then call `challenge` or `loginFinished`. An initial response is decoded; nil when there was
    /// none.
    case authenticate(mechanism: String, initialResponse: [UInt8]?)
    /// The client's answer to a challenge; then call `challenge` or `loginFinished`.
    case authenticationResponse([UInt8])
    /// The client broke the exchange off, or what it sent was no base64: forget it. The reply is made.
    case authenticationCancelled
    /// The `OK` to STARTTLS is written: everything received and not yet handed in is to be dropped unseen (RFC 9051
    /// section 6.2.1), TLS is to begin, then call `tlsStarted`.
    case startTLS
    /// The `OK` to COMPRESS is written: both directions are compressed from here (RFC 4978), then call
    /// `compressionStarted`.
    case startCompression

    // IDLE
    /// Tell of changes as they come, from now on (RFC 9051 section 6.3.13). What stands behind must be told at once.
    case startIdle
    /// DONE has come: write what is due, then call `commandFinished`.
    case stopIdle

    // APPEND and REPLACE. What is begun ends in exactly one `finishAppend` or `discardAppend`.
    case beginAppend(AppendTarget)
    /// The next message; what follows belongs to it.
    case beginMessage(AppendOptions)
    /// The message goes on with what this URL names (RFC 4469). It may be wrong; the handler then remembers that and says
    /// so at the end.
    case appendURL(String)
    /// The message goes on with text from the input: see that there is a mailbox and room, then call `literalAccepted` or
    /// `literalRefused`.
    case appendLiteral(AppendLiteral)
    /// Octets of that text. The range counts from the start of the buffer that was handed to the `receive` call which
    /// appended this action.
    case appendOctets(Range<Int>)
    /// All is there: store all or nothing, then call `commandFinished`.
    case finishAppend
    /// Forget all that has come; the reply is made.
    case discardAppend

    /// Close once everything before has been written; no action follows.
    case close(IMAPCloseReason)
}

/// Why the machine ends a session; for the log.
package enum IMAPCloseReason: Equatable, Sendable {
    case logout
    case tooManyErrors
    case tooManyLoginFailures
    case tooManyConnections
    /// A literal beyond all limits, which cannot be refused otherwise.
    case literalTooBig
    case timedOut
    case shuttingDown
    case disconnected
    /// The handler ended the session: account disabled, mailbox gone, store failed.
    case ended
}

/// A name and a password as a client gave them to LOGIN. Its description shows neither.
package struct IMAPCredentials: Equatable, Sendable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    package let user: String
    package let password: [UInt8]

    package init(user: String, password: [UInt8]) {
        self.user = user
        self.password = password
    }

    package var description: String { "IMAPCredentials(redacted)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// One field of ID.
package struct IMAPIDField: Equatable, Sendable {
    package var name: String
    package var value: String?

    package init(_ name: String, _ value: String?) {
        self.name = name
        self.value = value
    }
}

/// The answer to `login`, `authenticate` and `authenticationResponse`.
package enum IMAPLoginResult: Equatable, Sendable {
    /// The capabilities of `hidden` are not offered to this account (client quirks).
    case success(hidden: IMAPCapabilities)
    /// Wrong name or password: the client cannot tell which.
    case failure
    /// The credentials are right and the login is not allowed: the account is disabled, or may not act for another.
    case notAuthorized
    /// The exchange was malformed.
    case malformed
    /// No such mechanism here.
    case unknownMechanism
    /// Too many sessions, or too many failures of late.
    case limited
    /// It cannot be told now.
    case temporary
}
