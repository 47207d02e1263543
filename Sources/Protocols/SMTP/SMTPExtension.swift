/// A service extension as the reply to EHLO and LHLO names it (RFC 5321 section 4.1.1.1). One is listed only when all
/// of it works; a keyword whose presence depends on the session (STARTTLS, AUTH) gives nil where it is absent.
struct SMTPExtension: Sendable {
    let line: @Sendable (SMTPServerMachine) -> String?

    static let table: [SMTPExtension] = [
        // RFC 2920
        SMTPExtension { _ in "PIPELINING" },
        // RFC 1870
        SMTPExtension { "SIZE \($0.configuration.messageOctetsMax)" },
        // RFC 6152
        SMTPExtension { _ in "8BITMIME" },
        // RFC 2034
        SMTPExtension { _ in "ENHANCEDSTATUSCODES" },
        // RFC 3207
        SMTPExtension { $0.configuration.offersTLS && !$0.isSecure && !$0.isAuthenticated ? "STARTTLS" : nil },
        // RFC 6531
        SMTPExtension { _ in "SMTPUTF8" },
        // RFC 4954; no longer after a login, since none may follow
        SMTPExtension {
            $0.configuration.dialect == .submission && !$0.isAuthenticated && !$0.mechanisms.isEmpty
                ? "AUTH " + $0.mechanisms.joined(separator: " ") : nil
        },
        // RFC 3030; without BINARYMIME, since every body is text with CRLF here
        SMTPExtension { _ in "CHUNKING" },
        // RFC 9422
        SMTPExtension { "LIMITS RCPTMAX=\($0.configuration.recipientsMax)" },
    ]
}
