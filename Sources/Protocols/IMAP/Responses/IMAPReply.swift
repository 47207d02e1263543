/// A status response (RFC 9051 section 7.1).
package enum IMAPStatus: String, Equatable, Sendable {
    case ok = "OK"
    case no = "NO"
    case bad = "BAD"
    case bye = "BYE"
}

/// How a command ended, in words for a person and a code for a program.
package struct IMAPOutcome: Equatable, Sendable {
    /// `.bye` only untagged.
    package var status: IMAPStatus
    package var code: IMAPResponseCode?
    package var text: String

    private init(_ status: IMAPStatus, _ code: IMAPResponseCode?, _ text: String) {
        self.status = status
        self.code = code
        self.text = text
    }

    package static func ok(_ text: String, code: IMAPResponseCode? = nil) -> IMAPOutcome {
        IMAPOutcome(.ok, code, text)
    }
    package static func no(_ text: String, code: IMAPResponseCode? = nil) -> IMAPOutcome {
        IMAPOutcome(.no, code, text)
    }
    package static func bad(_ text: String, code: IMAPResponseCode? = nil) -> IMAPOutcome {
        IMAPOutcome(.bad, code, text)
    }
    package static func bye(_ text: String, code: IMAPResponseCode? = nil) -> IMAPOutcome {
        IMAPOutcome(.bye, code, text)
    }
}

/// One line from the server that is no data: tagged, untagged, or a continuation request.
package enum IMAPReply: Equatable, Sendable {
    case tagged(String, IMAPOutcome)
    case untagged(IMAPOutcome)
    /// `+ text`, which asks for a literal or says that IDLE has begun (RFC 9051 section 7.6).
    case proceed(String)
    /// `+ base64` (RFC 9051 section 6.2.2).
    case challenge([UInt8])
}
