/// What a listener can speak. The raw values are the names in `--listen NAME=ADDRESS`.
package enum GatewayProtocol: String, CaseIterable, Sendable {
    case smtp, submission, submissions, lmtp, pop3, pop3s, imap, imaps, http

    /// TLS begins with the first octet (RFC 8314 section 3).
    var isImplicitTLS: Bool {
        switch self {
        case .submissions, .pop3s, .imaps: true
        case .smtp, .submission, .lmtp, .pop3, .imap, .http: false
        }
    }

    /// As ALPN names it (RFC 7301). `smtp` and `lmtp` are not registered; clients of SMTP name none.
    var applicationProtocol: String {
        switch self {
        case .smtp, .submission, .submissions: "smtp"
        case .lmtp: "lmtp"
        case .pop3, .pop3s: "pop3"
        case .imap, .imaps: "imap"
        case .http: "http/1.1"
        }
    }
}

/// Why a listener cannot be had. The text is for the person who configured it.
package struct ListenError: Error, CustomStringConvertible, Sendable {
    package let listener: GatewayProtocol
    package let address: String
    package let reason: String

    package var description: String { "\(listener.rawValue)=\(address): \(reason)" }
}
