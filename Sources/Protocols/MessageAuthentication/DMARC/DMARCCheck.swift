// DMARC as RFC 9989 has it: policies and organizational domains are found by walking up the tree of names, eight
// questions at most for a domain (section 4.10), not by a list of public suffixes (decision 90).
package enum DMARCResult: String, Hashable, Sendable {
    /// No policy applies, or the message has no single author's domain.
    case none
    case pass, fail, temperror, permerror
}

package struct DMARCVerdict: Hashable, Sendable {
    package var result: DMARCResult
    /// The domain in From; empty when there is none that can be read.
    package var domain: String
    /// What the domain asks for when the result is `fail`.
    package var policy = DMARCPolicy.none
    package var reason: String?
}

/// One evaluation, and the names it has asked for.
struct DMARCCheck {
    let names: any MailNames
    private var records: [String: NameAnswer<DMARCRecord>] = [:]

    init(names: any MailNames) { self.names = names }

    /// - Parameters:
    ///   - author: the domain of From.
    ///   - spf: the domain that SPF passed for, if it did.
    ///   - dkim: domains of signatures that passed.
    mutating func verdict(author: String, spf: String?, dkim: [String]) async -> DMARCVerdict {
        var verdict = DMARCVerdict(result: .none, domain: author)
        guard let walk = await walk(author) else { return failed(verdict) }
        guard let (record, isOwn) = applicable(walk, author) else { return verdict }
        var exists = true
        if !isOwn, case .noName = await names.texts(of: author) { exists = false }
        guard let policy = record.policy(isOwn: isOwn, exists: exists) else {
            verdict.result = .permerror
            verdict.reason = "the record has no policy"
            return verdict
        }
        let organization = organization(walk, author)
        var isUncertain = false
        for (domain, isStrict) in dkim.map({ ($0, record.isDKIMStrict) })
            + [spf].compactMap({ $0 }).map({ ($0, record.isSPFStrict) })
        {
            switch await isAligned(domain, isStrict, author, organization) {
            case true?:
                verdict.result = .pass
                return verdict
            case false?: break
            case nil: isUncertain = true
            }
        }
        if isUncertain { return failed(verdict) }
        verdict.result = .fail
        verdict.policy = policy
        return verdict
    }

    private func failed(_ verdict: DMARCVerdict) -> DMARCVerdict {
        var verdict = verdict
        (verdict.result, verdict.reason) = (.temperror, "no answer about the policy")
        return verdict
    }

    /// Nil when the DNS does not say.
    private mutating func isAligned(
        _ domain: String, _ isStrict: Bool, _ author: String, _ organization: String
    ) async -> Bool? {
        if domain == author { return true }
        // Two domains of one organization end alike.
        guard !isStrict, DomainName.isWithin(domain, organization) else { return false }
        guard let walk = await walk(domain) else { return nil }
        return self.organization(walk, domain) == organization
    }

    /// Which record applies to the author's domain (section 4.10.1).
    private func applicable(_ walk: [(String, DMARCRecord)], _ author: String) -> (DMARCRecord, isOwn: Bool)? {
        if let own = walk.first(where: { $0.0 == author }) { return (own.1, true) }
        let organization = organization(walk, author)
        if let record = walk.first(where: { $0.0 == organization }) { return (record.1, false) }
        return walk.last { $0.1.publicSuffix == .yes }.map { ($0.1, false) }
    }

    /// The organizational domain (section 4.10.2), from the records of a walk that began at `start`.
    private func organization(_ walk: [(String, DMARCRecord)], _ start: String) -> String {
        for (name, record) in walk {
            switch record.publicSuffix {
            case .no: return name
            case .yes where name != start:
                let labels = name.split(separator: ".").count + 1
                return start.split(separator: ".").suffix(labels).joined(separator: ".")
            default: continue
            }
        }
        return walk.last?.0 ?? start
    }

    /// The records on the way up from a domain, longest name first (section 4.10); nil when the DNS fails.
    private mutating func walk(_ domain: String) async -> [(String, DMARCRecord)]? {
        var found: [(String, DMARCRecord)] = []
        var labels = domain.split(separator: ".")[...]
        for _ in 0..<CheckLimits.dmarcWalkQueriesMax {
            let name = labels.joined(separator: ".")
            switch await record(name) {
            case .failed: return nil
            case .found(let records):
                found.append((name, records[0]))
                if records[0].publicSuffix != .unknown { return found }
            case .noName, .noRecords: break
            }
            labels = labels.suffix(min(labels.count - 1, CheckLimits.dmarcWalkQueriesMax - 1))
            if labels.isEmpty { break }
        }
        return found
    }

    private mutating func record(_ domain: String) async -> NameAnswer<DMARCRecord> {
        if let known = records[domain] { return known }
        let answer: NameAnswer<DMARCRecord>
        switch await names.texts(of: "_dmarc." + domain) {
        case .failed: answer = .failed
        case .noName: answer = .noName
        case .noRecords: answer = .noRecords
        case .found(let texts):
            let read = texts.prefix(CheckLimits.recordsMax).compactMap(DMARCRecord.init)
            // Several are none.
            answer = read.count == 1 ? .found(read) : .noRecords
        }
        records[domain] = answer
        return answer
    }
}
