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
        // RFC 3030 section 2, and section 3
        SMTPExtension { _ in "CHUNKING" },
        SMTPExtension { $0.configuration.offersBinary ? "BINARYMIME" : nil },
        // RFC 3461
        SMTPExtension { $0.configuration.offersDSN ? "DSN" : nil },
        // RFC 8689 section 2: the session itself has TLS
        SMTPExtension { $0.configuration.offersRequireTLS && $0.isSecure ? "REQUIRETLS" : nil },
        // RFC 4865 section 4.2
        SMTPExtension { machine in
            machine.configuration.holdSecondsMax.map {
                "FUTURERELEASE \($0) \(InternetTime.text(machine.now + $0))"
            }
        },
        // RFC 2852 section 2
        SMTPExtension { $0.configuration.deliverBySecondsMin.map { "DELIVERBY \($0)" } },
        // RFC 9422
        SMTPExtension { "LIMITS RCPTMAX=\($0.configuration.recipientsMax)" },
        // Postfix's, for peers that are trusted
        SMTPExtension {
            $0.configuration.trustsPeer ? "XCLIENT " + SMTPClientIdentity.names.joined(separator: " ") : nil
        },
        SMTPExtension {
            $0.configuration.trustsPeer ? "XFORWARD " + SMTPForwardedMessage.names.joined(separator: " ") : nil
        },
    ]
}
