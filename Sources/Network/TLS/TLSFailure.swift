internal import COpenSSL

/// Why a session, or what it needs, could not be had. The text is for the log; the other side gets an alert.
package struct TLSFailure: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Kind: String, Sendable, CaseIterable {
        /// What came is not TLS.
        case notTLS
        /// The handshake failed: versions, ciphers, or what the other side sent.
        case handshake
        /// The other side's certificate is not good, or not for the name that was asked for.
        case certificate
        /// It took too long.
        case timedOut
        /// The other side's messages are larger, or come more often, than they may.
        case limit
        /// A record after the handshake is not what it should be.
        case record
        /// Memory is short, or libssl refused what it must not refuse.
        case library
    }

    package let kind: Kind
    package let reason: String

    package init(_ kind: Kind, _ reason: String) {
        self.kind = kind
        self.reason = reason
    }

    package var description: String { reason }

    /// - Parameter other: the side that closes, as the log names it.
    static func closedInHandshake(by other: String) -> TLSFailure {
        TLSFailure(.handshake, "the \(other) closes the connection during the handshake")
    }

    /// Whether the reason that libssl left is an alert of the other side's.
    static var isAlertOfOthers: Bool { ERR_GET_REASON(ERR_peek_last_error()) >= SSL_AD_REASON_OFFSET }

    /// With the reason that libssl left on this thread's list of errors, which is emptied.
    static func library(_ kind: Kind, _ what: String) -> TLSFailure {
        let code = ERR_peek_last_error()
        ERR_clear_error()
        guard code != 0, let text = ERR_reason_error_string(code) else { return TLSFailure(kind, what) }
        return TLSFailure(kind, "\(what): \(String(cString: text))")
    }
}
