import MailTypes

/// What the machine asks of its handler. Values only: promises, buffers and the maildrop's lock stay with the handler.
package enum POP3Action: Equatable, Sendable {
    /// Write this reply, after those before it.
    case reply(POP3Reply)
    /// Check the credentials, lock the maildrop and read its list, then call `loginFinished`.
    case login(POP3Credentials)
    /// Begin a SASL exchange, then call `loginChallenged`, or `loginFinished` with what it came to.
    case beginAuthentication(mechanism: String, initialResponse: SecretOctets?)
    /// The client's next message, after a challenge; answered like `beginAuthentication`.
    case continueAuthentication(SecretOctets)
    /// The exchange is over without an answer: cancelled, or broken.
    case cancelAuthentication
    /// Write the listing as the client takes it, then call `transferFinished`.
    case list(POP3Listing)
    /// Open the body and call `bodyOpened`.
    case openBody(POP3Retrieval)
    /// The `+OK` is out: pass the body through `POP3BodyEncoder(lines:)`, write its `finish()`, then call
    /// `transferFinished`.
    case sendBody(POP3Retrieval)
    /// QUIT: remove these messages, then call `deletesFinished`.
    case commitDeletes(UIDSet)
    /// The reply before is the last in the clear: begin TLS, then call `tlsStarted`. Octets behind the command are not to be
    /// handed in any more.
    case startTLS
    /// Let go of the maildrop, and close once everything before has been written; no action follows.
    case close(POP3CloseReason)
}

/// One message to be sent, for RETR (`lines` is nil) or TOP.
package struct POP3Retrieval: Equatable, Sendable {
    package let uid: UID
    /// As in the maildrop's list.
    package let octets: UInt32
    package let lines: Int?

    package init(uid: UID, octets: UInt32, lines: Int?) {
        self.uid = uid
        self.octets = octets
        self.lines = lines
    }
}

/// A name and a password as a client gave them. Its description shows neither.
package struct POP3Credentials: Equatable, Sendable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    package let user: String
    /// As they came: UTF-8 by convention.
    package let password: [UInt8]

    package init(user: String, password: [UInt8]) {
        self.user = user
        self.password = password
    }

    package var description: String { "POP3Credentials(redacted)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// Why the machine ends a session; for the log.
package enum POP3CloseReason: Equatable, Sendable {
    case quit
    case tooManyErrors
    case tooManyLoginFailures
    case tooManyConnections
    case timedOut
    case shuttingDown
    /// By the server, for a reason of this session's own.
    case ended
    case disconnected
    /// A body broke off after `+OK`; only a closed connection can tell the client.
    case transferFailed
}

/// The answer to `POP3Action.login`.
package enum POP3LoginResult: Equatable, Sendable {
    case success(POP3Maildrop)
    /// Wrong name or password, or the account may not log in: the client cannot tell which.
    case failure
    /// Another session has the maildrop.
    case inUse
    /// The last login was too short a time ago.
    case tooSoon
    /// The engine cannot tell now.
    case temporary
    /// A SASL message is none of its mechanism.
    case malformed
    /// There is no such mechanism, or not for this connection.
    case unknownMechanism
    case encryptionRequired

    /// What the client hears, where it is not in.
    var refusal: POP3Reply? {
        switch self {
        case .success: nil
        case .failure: .error("Wrong name or password", code: .auth)
        case .inUse: .error("Maildrop in use by another session", code: .inUse)
        case .tooSoon: .error("Too soon after the last login, try again later", code: .loginDelay)
        case .temporary: .error("Cannot open the maildrop now, try again later", code: .systemTemporary)
        case .malformed: .error("The response is none of this mechanism")
        case .unknownMechanism: .error("Mechanism not available")
        case .encryptionRequired: .error("Mechanism needs an encrypted connection")
        }
    }
}

/// The answer to `POP3Action.openBody`.
package enum POP3BodyResult: Equatable, Sendable {
    case opened
    /// Its octets have been erased since login.
    case gone
    /// Its header has UTF-8 and is too long to be given in ASCII.
    case needsUTF8
    case temporary
}
