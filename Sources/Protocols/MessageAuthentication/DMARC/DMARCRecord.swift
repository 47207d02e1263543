/// What a domain asks to be done with mail that fails (RFC 9989 section 4.7).
package enum DMARCPolicy: String, Hashable, Sendable {
    case none, quarantine, reject
}

/// A record of `_dmarc`, as far as a receiver needs it. Tags that are unknown or malformed count as left out (section 4.8).
struct DMARCRecord: Sendable {
    enum PublicSuffix: String, Sendable {
        case yes = "y"
        case no = "n"
        case unknown = "u"
    }

    let policy: DMARCPolicy?
    let subdomainPolicy: DMARCPolicy?
    let missingPolicy: DMARCPolicy?
    let isDKIMStrict: Bool
    let isSPFStrict: Bool
    let isTesting: Bool
    let publicSuffix: PublicSuffix
    /// Whether a record without a policy that can be read still takes part (section 4.10.1).
    private let hasReports: Bool
    private let hasBadPolicy: Bool

    /// Nil when the text is no record of DMARC: `v=DMARC1` is its first tag.
    init?(_ text: [UInt8]) {
        guard text.count <= CheckLimits.recordOctetsMax, let list = TagList(text, isLax: true),
            let first = list.tags.first, first.name == "v", first.value == Array("DMARC1".utf8)
        else { return nil }
        func word(_ name: String) -> String? { list[name]?.lowercased() }
        policy = word("p").flatMap(DMARCPolicy.init)
        subdomainPolicy = word("sp").flatMap(DMARCPolicy.init)
        missingPolicy = word("np").flatMap(DMARCPolicy.init)
        isDKIMStrict = word("adkim") == "s"
        isSPFStrict = word("aspf") == "s"
        isTesting = word("t") == "y"
        publicSuffix = word("psd").flatMap(PublicSuffix.init) ?? .unknown
        hasReports = word("rua")?.split(separator: ",").contains { $0.contains(":") } ?? false
        hasBadPolicy =
            policy == nil || (word("sp") != nil && subdomainPolicy == nil)
            || (word("np") != nil && missingPolicy == nil)
    }

    /// The policy for a domain; nil when the record takes no part.
    ///
    /// - Parameters:
    ///   - isOwn: the record is the very domain's.
    ///   - exists: the DNS knows the domain.
    func policy(isOwn: Bool, exists: Bool) -> DMARCPolicy? {
        if hasBadPolicy { return hasReports ? DMARCPolicy.none : nil }
        let asked = isOwn ? policy : (exists ? nil : missingPolicy) ?? subdomainPolicy ?? policy
        guard isTesting else { return asked }
        // One level below.
        return asked == .reject ? .quarantine : DMARCPolicy.none
    }
}
