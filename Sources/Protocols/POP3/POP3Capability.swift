/// A line of the answer to CAPA (RFC 2449 section 6). One is listed only when all of it works; a capability whose
/// presence depends on the session (USER, STLS, SASL) gives nil where it is absent.
struct POP3Capability: Sendable {
    let line: @Sendable (POP3ServerMachine) -> String?

    static let table: [POP3Capability] = [
        POP3Capability { _ in "TOP" },
        POP3Capability { $0.allowsPlaintextLogin ? "USER" : nil },
        // RFC 5034; named after login too (section 3)
        POP3Capability { $0.mechanisms.isEmpty ? nil : "SASL " + $0.mechanisms.joined(separator: " ") },
        POP3Capability { _ in "UIDL" },
        // RFC 2595 section 4: also when it may not come any more, but not when TLS is on.
        POP3Capability { $0.configuration.offersTLS && !$0.isSecure ? "STLS" : nil },
        POP3Capability { _ in "RESP-CODES" },
        // RFC 3206
        POP3Capability { _ in "AUTH-RESP-CODE" },
        POP3Capability { _ in "PIPELINING" },
        POP3Capability { _ in "EXPIRE NEVER" },
        POP3Capability { _ in "LOGIN-DELAY 0" },
        // RFC 6856 sections 2.2 and 3.1
        POP3Capability { $0.allowsPlaintextLogin ? "UTF8 USER" : "UTF8" },
        POP3Capability { _ in "LANG" },
        POP3Capability { _ in "IMPLEMENTATION Letterlog" },
    ]
}
