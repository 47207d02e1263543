// The grammar of SPF records (RFC 7208 section 12). A record is read whole before any of it is used: one mistake anywhere
// makes it a permerror (section 4.6).
import MailTypes

/// How a matching mechanism ends an evaluation (section 4.6.2).
enum SPFQualifier: UInt8, Sendable {
    case pass = 0x2B
    case fail = 0x2D
    case softfail = 0x7E
    case neutral = 0x3F
}

/// Prefix lengths behind `a` and `mx`.
struct SPFPrefixes: Hashable, Sendable {
    var four = 32
    var six = 128
}

enum SPFMechanism: Sendable {
    case all
    case include(SPFMacroString)
    case a(SPFMacroString?, SPFPrefixes)
    case mx(SPFMacroString?, SPFPrefixes)
    case ptr(SPFMacroString?)
    case network(IPNetwork)
    case exists(SPFMacroString)
}

struct SPFRecord: Sendable {
    struct Directive: Sendable {
        let qualifier: SPFQualifier
        let mechanism: SPFMechanism
    }

    private(set) var directives: [Directive] = []
    private(set) var redirect: SPFMacroString?
    private(set) var explanation: SPFMacroString?

    struct Malformed: Error {}

    /// Whether a TXT record is one of SPF (section 4.5).
    static func isOne(_ text: [UInt8]) -> Bool {
        let version = Array("v=spf1".utf8)
        guard text.count >= version.count, text.prefix(version.count).map(Ascii.lower) == version else { return false }
        return text.count == version.count || text[version.count] == Ascii.space
    }

    init(_ text: [UInt8]) throws(Malformed) {
        guard text.count <= CheckLimits.recordOctetsMax else { throw Malformed() }
        let terms = text.split(separator: Ascii.space).dropFirst()
        guard terms.count <= CheckLimits.spfTermsMax else { throw Malformed() }
        for term in terms { try read(Array(term)) }
    }

    private mutating func read(_ term: [UInt8]) throws(Malformed) {
        let nameEnd = term.firstIndex { !Self.isName($0) } ?? term.count
        if nameEnd < term.count, term[nameEnd] == Ascii.equals, let first = term.first, Ascii.isLetter(first) {
            return try readModifier(Self.lower(term[..<nameEnd]), Array(term[(nameEnd + 1)...]))
        }
        var rest = term[...]
        var qualifier = SPFQualifier.pass
        if let first = rest.first, let said = SPFQualifier(rawValue: first) {
            qualifier = said
            rest = rest.dropFirst()
        }
        let end = rest.firstIndex { $0 == Ascii.colon || $0 == 0x2F } ?? rest.endIndex
        let mechanism = try Self.mechanism(Self.lower(rest[..<end]), Array(rest[end...]))
        directives.append(Directive(qualifier: qualifier, mechanism: mechanism))
    }

    private mutating func readModifier(_ name: String, _ value: [UInt8]) throws(Malformed) {
        switch name {
        case "redirect":
            // Section 6: neither comes twice.
            guard redirect == nil else { throw Malformed() }
            redirect = try Self.domain(value)
        case "exp":
            guard explanation == nil else { throw Malformed() }
            explanation = try Self.domain(value)
        default:
            guard SPFMacroString(value) != nil else { throw Malformed() }
        }
    }

    /// - Parameter rest: from the colon or slash on.
    private static func mechanism(_ name: String, _ rest: [UInt8]) throws(Malformed) -> SPFMechanism {
        switch name {
        case "all":
            guard rest.isEmpty else { throw Malformed() }
            return .all
        case "include", "exists":
            guard rest.first == Ascii.colon else { throw Malformed() }
            let target = try domain(Array(rest.dropFirst()))
            return name == "include" ? .include(target) : .exists(target)
        case "ptr":
            if rest.isEmpty { return .ptr(nil) }
            guard rest.first == Ascii.colon else { throw Malformed() }
            return .ptr(try domain(Array(rest.dropFirst())))
        case "a", "mx":
            let (spec, prefixes) = try prefixes(rest)
            var target: SPFMacroString?
            if !spec.isEmpty {
                guard spec.first == Ascii.colon else { throw Malformed() }
                target = try domain(Array(spec.dropFirst()))
            }
            return name == "a" ? .a(target, prefixes) : .mx(target, prefixes)
        case "ip4", "ip6": return .network(try network(rest, isV6: name == "ip6"))
        default: throw Malformed()
        }
    }

    private static func domain(_ text: [UInt8]) throws(Malformed) -> SPFMacroString {
        guard let domain = SPFMacroString(text), domain.isDomain else { throw Malformed() }
        return domain
    }

    private static func network(_ rest: [UInt8], isV6: Bool) throws(Malformed) -> IPNetwork {
        guard rest.first == Ascii.colon else { throw Malformed() }
        let parts = rest.dropFirst().split(separator: 0x2F, maxSplits: 1, omittingEmptySubsequences: false)
        let text = String(decoding: parts[0], as: UTF8.self)
        guard let address = IPAddress(text), text.contains(":") == isV6 else { throw Malformed() }
        guard parts.count == 2 else { return IPNetwork(address, prefixBits: address.bits) }
        guard var bits = Self.length(parts[1], max: isV6 ? 128 : 32) else { throw Malformed() }
        // `::ffff:192.0.2.0/120` is an IPv4 network to us.
        if isV6, !address.isV6 { bits = max(0, bits - 96) }
        return IPNetwork(address, prefixBits: bits)
    }

    /// `dual-cidr-length` at the end of a term.
    private static func prefixes(_ rest: [UInt8]) throws(Malformed) -> ([UInt8], SPFPrefixes) {
        var prefixes = SPFPrefixes()
        var spec = rest[...]
        // A slash within a macro is a delimiter: the lengths are digits and slashes at the very end.
        guard
            var start = spec.lastIndex(where: { !Ascii.isDigit($0) && $0 != 0x2F }).map({ $0 + 1 })
                ?? spec.indices.first
        else { return ([], prefixes) }
        while start < spec.count, spec[start] != 0x2F { start += 1 }
        let lengths = spec[start...]
        spec = spec[..<start]
        guard !lengths.isEmpty else { return (Array(spec), prefixes) }
        let parts = lengths.split(separator: 0x2F, omittingEmptySubsequences: false).map { Array($0) }
        switch (parts.count, parts[0].isEmpty) {
        case (2, true):
            guard let four = length(parts[1], max: 32) else { throw Malformed() }
            prefixes.four = four
        case (3, true) where parts[1].isEmpty:
            guard let six = length(parts[2], max: 128) else { throw Malformed() }
            prefixes.six = six
        case (4, true) where parts[2].isEmpty:
            guard let four = length(parts[1], max: 32), let six = length(parts[3], max: 128) else { throw Malformed() }
            prefixes = SPFPrefixes(four: four, six: six)
        default: throw Malformed()
        }
        return (Array(spec), prefixes)
    }

    /// Digits without a zero before them.
    private static func length(_ digits: some Collection<UInt8>, max: Int) -> Int? {
        guard (1...3).contains(digits.count), digits.allSatisfy(Ascii.isDigit),
            let value = Int(String(decoding: digits, as: UTF8.self)), value <= max,
            digits.count == 1 || digits.first != 0x30
        else { return nil }
        return value
    }

    private static func isName(_ octet: UInt8) -> Bool {
        Ascii.isLetter(octet) || Ascii.isDigit(octet) || octet == 0x2D || octet == 0x5F || octet == Ascii.dot
    }

    private static func lower(_ octets: some Collection<UInt8>) -> String {
        String(decoding: octets.map(Ascii.lower), as: UTF8.self)
    }
}
