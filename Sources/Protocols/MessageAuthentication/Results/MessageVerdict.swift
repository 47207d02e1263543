import Digests
import MIME

/// What is known of where a message comes from: for the record, and for filters.
package struct MessageVerdict: Hashable, Sendable {
    /// Nil where the client has no address.
    package var spf: SPFVerdict?
    /// In the order of the header, from the top.
    package var dkim: [DKIMVerdict]
    package var dmarc: DMARCVerdict

    package init(spf: SPFVerdict?, dkim: [DKIMVerdict], dmarc: DMARCVerdict) {
        self.spf = spf
        self.dkim = dkim
        self.dmarc = dmarc
    }

    /// The author's domain asks that the message be refused, or the message names so many authors that nobody can be asked.
    package var isToBeRefused: Bool {
        dmarc.policy == .reject && (dmarc.result == .fail || dmarc.result == .permerror)
    }

    /// Why there is no result when the time is over.
    package static let timeout = "no answer in time"

    /// Nothing could be asked within the time: errors that refuse nothing.
    package static func timedOut(_ message: InspectedMessage, spf: SPFVerdict?) -> MessageVerdict {
        let domain = message.authorDomains.first ?? ""
        return MessageVerdict(
            spf: spf, dkim: message.unanswered(timeout),
            dmarc: DMARCVerdict(result: domain.isEmpty ? .none : .temperror, domain: domain, reason: timeout))
    }
}

extension InspectedMessage {
    /// The domains in From; see `SignedHeader`.
    package var authorDomains: [String] { fields?.authorDomains ?? [] }

    /// DKIM, then DMARC with what SPF found.
    package func verdict(spf: SPFVerdict?, _ names: some MailNames) async -> MessageVerdict {
        let dkim = await verify(names)
        var check = DMARCCheck(names: names)
        let authors = authorDomains
        var worst: DMARCVerdict?
        if authors.count > CheckLimits.authorDomainsMax {
            // Whoever adds authors until nobody is asked would be spared what any one of them demands.
            worst = DMARCVerdict(result: .permerror, domain: authors[0], policy: .reject, reason: "too many authors")
        } else {
            // Several authors are rare and lend themselves to hiding one: the strictest of their domains counts.
            for author in authors {
                var verdict = await check.verdict(author, spf, dkim, passing: [.pass], [.pass])
                // RFC 7489 section 6.6.2: what might have passed, had the DNS answered, is no failure.
                if verdict.result == .fail,
                    await check.verdict(author, spf, dkim, passing: [.pass, .temperror], [.pass, .temperror])
                        .result == .pass
                {
                    verdict = DMARCVerdict(
                        result: .temperror, domain: author, reason: "no answer about an aligned identifier")
                }
                if let so = worst, so.rank >= verdict.rank { continue }
                worst = verdict
            }
        }
        return MessageVerdict(
            spf: spf, dkim: dkim,
            dmarc: worst ?? DMARCVerdict(result: .none, domain: "", reason: "no author with a domain"))
    }
}

extension SignedHeader {
    /// The domains in From, each once, in lower case; of every From there is.
    package var authorDomains: [String] {
        var domains: [String] = []
        for field in fields where field.name == "from" {
            let envelope = (field.octets + [13, 10]).withUnsafeBytes { Envelope(header: $0) }
            for address in envelope.from {
                guard let host = address.host, let domain = DomainName.checked(String(decoding: host, as: UTF8.self)),
                    !domains.contains(domain)
                else { continue }
                domains.append(domain)
                if domains.count > CheckLimits.authorDomainsMax { return domains }
            }
        }
        return domains
    }
}

extension DMARCVerdict {
    /// How much a receiver is to mind it.
    fileprivate var rank: Int {
        switch (result, policy) {
        case (.pass, _), (.none, _): 0
        case (.permerror, _): 1
        case (.fail, .none): 2
        case (.temperror, _): 3
        case (.fail, .quarantine): 4
        case (.fail, .reject): 5
        }
    }
}

extension DMARCCheck {
    /// The verdict where these results count as passed.
    fileprivate mutating func verdict(
        _ author: String, _ spf: SPFVerdict?, _ dkim: [DKIMVerdict], passing spfResults: Set<SPFResult>,
        _ dkimResults: Set<DKIMResult>
    ) async -> DMARCVerdict {
        await verdict(
            author: author, spf: spf.flatMap { spfResults.contains($0.result) ? $0.domain : nil },
            dkim: dkim.filter { dkimResults.contains($0.result) }.map(\.domain))
    }
}
