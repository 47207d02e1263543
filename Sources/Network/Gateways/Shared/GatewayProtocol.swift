/// What a listener can speak. The raw values are the names in `--listen NAME=ADDRESS`.
package enum GatewayProtocol: String, CaseIterable, Sendable {
    case smtp, submission, submissions, lmtp, pop3, pop3s, imap, imaps, http

    /// What has to be built before it can be offered; nil when it is there.
    var missing: String? {
        switch self {
        case .smtp, .submission, .lmtp, .pop3, .imap, .http: nil
        case .submissions, .pop3s, .imaps: "TLS is not built yet"
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
