// `check_host()` of RFC 7208: one evaluation, with what it has spent so far. Every loop is bounded by the lookups of the
// whole evaluation (section 4.6.4), those of a record by its terms, those of a term by the names it may look at.
import MailTypes

struct SPFCheck {
    let question: SPFQuestion
    /// `<sender>`, and its domain.
    let mailbox: String
    let senderDomain: String
    let names: any MailNames
    private(set) var reason: String?

    private var lookups = 0
    private var voidLookups = 0
    /// Validated names of the client (section 5.5), once they were asked for.
    private var validated: [String]?
    /// `exp=` of the record that gave the result, and its domain.
    private var explanation: (SPFMacroString, domain: String)?

    init(question: SPFQuestion, mailbox: String, senderDomain: String, names: any MailNames) {
        self.question = question
        self.mailbox = mailbox
        self.senderDomain = senderDomain
        self.names = names
    }

    mutating func host(_ domain: String) async -> SPFResult {
        do throws(SPFStop) {
            return try await check(domain)
        } catch {
            reason = error.reason
            return error.result
        }
    }

    private mutating func check(_ domain: String) async throws(SPFStop) -> SPFResult {
        guard var record = try await self.record(domain) else { return .none }
        var domain = domain
        // Each turn but the first is a `redirect`, which counts as a lookup.
        while true {
            if let result = try await evaluate(record, domain) {
                explanation = record.explanation.map { ($0, domain) }
                return result
            }
            guard let redirect = record.redirect,
                !record.directives.contains(where: { if case .all = $0.mechanism { true } else { false } })
            else { return .neutral }
            try spend()
            // Section 6.1: no record there is an error.
            guard let target = try await target(redirect, domain), let next = try await self.record(target) else {
                throw SPFStop(result: .permerror, reason: "redirect leads to no record")
            }
            (domain, record) = (target, next)
        }
    }

    /// The record of a domain (sections 4.4 and 4.5); nil when it has none.
    private func record(_ domain: String) async throws(SPFStop) -> SPFRecord? {
        switch await names.texts(of: domain) {
        case .failed: throw SPFStop(result: .temperror, reason: "no answer about \(domain)")
        case .noName, .noRecords: return nil
        case .found(let texts):
            let found = texts.prefix(CheckLimits.recordsMax).filter(SPFRecord.isOne)
            guard let text = found.first else { return nil }
            guard found.count == 1 else { throw SPFStop(result: .permerror, reason: "\(domain) has two records") }
            do throws(SPFRecord.Malformed) {
                return try SPFRecord(text)
            } catch {
                throw SPFStop(result: .permerror, reason: "the record of \(domain) is malformed")
            }
        }
    }

    /// The result of the first mechanism that matches; nil when none does.
    private mutating func evaluate(_ record: SPFRecord, _ domain: String) async throws(SPFStop) -> SPFResult? {
        for directive in record.directives where try await matches(directive.mechanism, domain) {
            switch directive.qualifier {
            case .pass: return .pass
            case .fail: return .fail
            case .softfail: return .softfail
            case .neutral: return .neutral
            }
        }
        return nil
    }

    private mutating func matches(_ mechanism: SPFMechanism, _ domain: String) async throws(SPFStop) -> Bool {
        switch mechanism {
        case .all: return true
        case .network(let network): return network.contains(question.client)
        case .include(let spec):
            try spend()
            guard let target = try await target(spec, domain) else {
                if isUnmatchable(spec) { return false }
                throw SPFStop(result: .permerror, reason: "include of what is no name")
            }
            let outer = explanation
            let result = try await check(target)
            // Section 6.2: the explanation of an included record is not ours.
            explanation = outer
            guard result != .none else {
                throw SPFStop(result: .permerror, reason: "\(target) has no record to include")
            }
            return result == .pass
        case .a(let spec, let prefixes):
            try spend()
            guard let target = try await target(spec, domain) else { return false }
            return try await addresses(target).contains { isWithin($0, prefixes) }
        case .mx(let spec, let prefixes):
            try spend()
            guard let target = try await target(spec, domain) else { return false }
            return try await exchangerMatches(target, prefixes)
        case .ptr(let spec):
            try spend()
            guard let target = try await target(spec, domain) else { return false }
            return await pointers().contains { DomainName.isWithin($0, target) }
        case .exists(let spec):
            try spend()
            guard let target = try await target(spec, domain) else { return false }
            return try await !records(names.addresses(of: target, isV6: false), target).isEmpty
        }
    }

    private mutating func exchangerMatches(_ target: String, _ prefixes: SPFPrefixes) async throws(SPFStop) -> Bool {
        let hosts = try await records(names.exchangers(of: target), target)
        guard hosts.count <= CheckLimits.spfExchangersMax else {
            throw SPFStop(result: .permerror, reason: "\(target) has too many mail exchangers")
        }
        for host in hosts {
            guard let host = DomainName.checked(host) else { continue }
            if try await addresses(host).contains(where: { isWithin($0, prefixes) }) { return true }
        }
        return false
    }

    private mutating func addresses(_ name: String) async throws(SPFStop) -> [IPAddress] {
        try await records(names.addresses(of: name, isV6: question.client.isV6), name)
    }

    private func isWithin(_ address: IPAddress, _ prefixes: SPFPrefixes) -> Bool {
        IPNetwork(address, prefixBits: address.isV6 ? prefixes.six : prefixes.four).contains(question.client)
    }

    // MARK: What it costs

    /// A term that asks the DNS.
    private mutating func spend() throws(SPFStop) {
        lookups += 1
        guard lookups <= CheckLimits.spfLookupsMax else {
            throw SPFStop(result: .permerror, reason: "too many lookups")
        }
    }

    private mutating func records<Record>(
        _ answer: NameAnswer<Record>, _ name: String
    ) throws(SPFStop) -> [Record] {
        switch answer {
        case .found(let records): return Array(records.prefix(CheckLimits.recordsMax))
        case .failed: throw SPFStop(result: .temperror, reason: "no answer about \(name)")
        case .noName, .noRecords:
            voidLookups += 1
            guard voidLookups <= CheckLimits.spfVoidLookupsMax else {
                throw SPFStop(result: .permerror, reason: "too many lookups that found nothing")
            }
            return []
        }
    }

    // MARK: Names

    /// The target of a term (section 4.8); nil when what comes out is no name, which matches nothing.
    private mutating func target(_ spec: SPFMacroString?, _ domain: String) async throws(SPFStop) -> String? {
        guard let spec else { return domain }
        if isUnmatchable(spec) { return nil }
        if spec.usesPointers, validated == nil {
            try spend()
            _ = await pointers()
        }
        guard var text = spec.expanded({ value($0, domain) }) else { return nil }
        // Section 7.3: labels fall off the left until it fits.
        while text.utf8.count > CheckLimits.nameOctetsMax {
            guard let dot = text.utf8.firstIndex(of: Ascii.dot) else { return nil }
            text.removeSubrange(...dot)
        }
        return DomainName.checked(text)
    }

    /// Section 5.5. A failure means that there are none.
    private mutating func pointers() async -> [String] {
        if let validated { return validated }
        var found: [String] = []
        if case .found(let pointers) = await names.pointers(of: question.client) {
            for pointer in pointers.prefix(CheckLimits.spfPointersMax) {
                guard let name = DomainName.checked(pointer) else { continue }
                if case .found(let addresses) = await names.addresses(of: name, isV6: question.client.isV6),
                    addresses.prefix(CheckLimits.recordsMax).contains(question.client)
                {
                    found.append(name)
                }
            }
        }
        validated = found
        return found
    }

    /// RFC 8616 section 4: no label of the DNS is a local part that is not in ASCII, so terms with it match nothing.
    private func isUnmatchable(_ spec: SPFMacroString) -> Bool {
        spec.usesLocalPart && !localPart.utf8.allSatisfy { $0 < 0x80 }
    }

    private var localPart: String {
        String(mailbox[..<(mailbox.utf8.lastIndex(of: Ascii.at) ?? mailbox.endIndex)])
    }

    /// What a macro's letter stands for (section 7.2).
    private func value(_ letter: UInt8, _ domain: String) -> String {
        switch letter {
        case UInt8(ascii: "s"): return mailbox
        case UInt8(ascii: "l"): return localPart
        case UInt8(ascii: "o"): return senderDomain
        case UInt8(ascii: "d"): return domain
        case UInt8(ascii: "h"): return DomainLabels.ascii(question.helo)
        case UInt8(ascii: "v"): return question.client.isV6 ? "ip6" : "in-addr"
        case UInt8(ascii: "i"): return dotted
        case UInt8(ascii: "c"): return question.client.description
        case UInt8(ascii: "r"): return question.receiver
        case UInt8(ascii: "t"): return String(question.now)
        default:
            let names = validated ?? []
            return names.first { $0 == domain } ?? names.first { DomainName.isWithin($0, domain) } ?? names.first
                ?? "unknown"
        }
    }

    /// IPv6 as 32 digits with dots between them (section 7.3).
    private var dotted: String {
        guard question.client.isV6 else { return question.client.description }
        return question.client.octets.flatMap { [$0 >> 4, $0 & 15] }.map { String($0, radix: 16) }
            .joined(separator: ".")
    }

    // MARK: Explanation

    /// What the domain says about its `fail` (section 6.2); nil when it says nothing that can be used.
    mutating func explained() async -> String? {
        guard let (spec, domain) = explanation else { return nil }
        do throws(SPFStop) {
            guard let name = try await target(spec, domain) else { return nil }
            guard case .found(let texts) = await names.texts(of: name), texts.count == 1,
                texts[0].count <= CheckLimits.recordOctetsMax,
                let macros = SPFMacroString(texts[0], allowsSpaces: true)
            else { return nil }
            if macros.usesPointers { _ = await pointers() }
            guard let text = macros.expanded({ value($0, domain) }),
                text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F })
            else { return nil }
            return String(text.prefix(CheckLimits.spfExplanationOctetsMax))
        } catch {
            return nil
        }
    }
}

/// Ends an evaluation: the result of the topmost `check_host()`.
private struct SPFStop: Error {
    let result: SPFResult
    let reason: String
}
