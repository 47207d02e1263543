import MailTypes

/// What a check of a sender came to (RFC 7208 section 2.6).
package enum SPFResult: String, Hashable, Sendable {
    case none, neutral, pass, fail, softfail, temperror, permerror
}

package struct SPFVerdict: Hashable, Sendable {
    /// Whose permission was asked for.
    package enum Identity: String, Hashable, Sendable {
        case mailFrom = "mailfrom"
        /// The name in EHLO or HELO, where the reverse-path is null (section 2.4).
        case helo
    }

    package var result: SPFResult
    package var identity: Identity
    /// In lower case; empty where there is no domain.
    package var domain: String
    /// The whole sender, for the record: an address, or the name of HELO.
    package var sender: String
    /// Which limit or mistake made it an error.
    package var reason: String?
    /// Of the domain, in ASCII without line ends: what it says about a `fail` (section 6.2), where it was asked.
    package var explanation: String?

    package init(
        result: SPFResult, identity: Identity, domain: String, sender: String, reason: String? = nil,
        explanation: String? = nil
    ) {
        self.result = result
        self.identity = identity
        self.domain = domain
        self.sender = sender
        self.reason = reason
        self.explanation = explanation
    }
}

/// What is known of a transaction whose sender is checked.
package struct SPFQuestion: Sendable {
    package var client: IPAddress
    /// Nil for the null reverse-path.
    package var sender: Address?
    /// As the client called itself.
    package var helo: String
    /// Our name, for `%{r}`.
    package var receiver: String
    /// Seconds since 1970, for `%{t}`.
    package var now: Int64

    package init(client: IPAddress, sender: Address?, helo: String, receiver: String, now: Int64) {
        self.client = client
        self.sender = sender
        self.helo = helo
        self.receiver = receiver
        self.now = now
    }

    /// What is said of the sender where the DNS was not asked, or does not say.
    package func unanswered(_ result: SPFResult, reason: String? = nil) -> SPFVerdict {
        SPFVerdict(
            result: result, identity: sender == nil ? .helo : .mailFrom, domain: (sender?.domain ?? helo).lowercased(),
            sender: sender?.description ?? helo, reason: reason)
    }

    /// `check_host()` (section 4) for the reverse-path, or for the name in EHLO where it is null.
    ///
    /// - Parameter explains: the domain is asked what it says about a `fail` (section 6.2): one more question, for those who
    ///   tell somebody.
    package func verdict(_ names: some MailNames, explains: Bool = false) async -> SPFVerdict {
        var verdict = unanswered(.none)
        let said = sender?.domain ?? helo
        let mailbox = sender.map { "\($0.localPart)@\($0.domain)" } ?? "postmaster@\(helo)"
        // Section 4.3: a literal, or a name of one label, has no policy.
        guard let domain = DomainName.checked(said), !domain.hasPrefix("["), domain.utf8.allSatisfy({ $0 < 0x80 })
        else { return verdict }
        verdict.domain = domain
        var check = SPFCheck(question: self, mailbox: mailbox, senderDomain: domain, names: names)
        verdict.result = await check.host(domain)
        verdict.reason = check.reason
        if explains, verdict.result == .fail { verdict.explanation = await check.explained() }
        return verdict
    }
}
