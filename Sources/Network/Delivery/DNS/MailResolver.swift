/// What a question to the DNS brought.
package enum DNSAnswer<Records: Sendable>: Sendable {
    case found(Records)
    /// The name is there and has no such records.
    case noRecords
    /// The name is not there (NXDOMAIN).
    case noName
    /// No answer that can be relied on: worth another try. The text is for logs and reports.
    case failed(String)
}

/// One MX record (RFC 5321 section 5.1).
package struct MailExchanger: Hashable, Sendable {
    package var preference: UInt16
    /// In lower case without its last dot; empty is the null MX of RFC 7505.
    package var host: String

    package init(preference: UInt16, host: String) {
        self.preference = preference
        self.host = host
    }
}

/// Where mail asks for names. The answers are those of the site's resolver; tests have their own.
package protocol MailResolver: Sendable {
    func exchangers(of domain: String) async -> DNSAnswer<[MailExchanger]>
    /// IPv6 and IPv4 addresses of a host, as text, in the order in which to try them.
    func addresses(of host: String) async -> DNSAnswer<[String]>
    /// Whether DNSSEC vouches for what the DNS says about the exchangers of a domain, also where it says that there are none.
    func validation(of domain: String) async -> DNSValidation
}

/// What DNSSEC says of an answer.
package enum DNSValidation: Equatable, Sendable {
    /// Signed, and the signature holds.
    case signed
    /// Nobody vouches for it: the zone is not signed, or nothing is validated here.
    case unsigned
    /// No answer that can be relied on: worth another try. The text is for logs and reports.
    case failed(String)
}
