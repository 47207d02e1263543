/// A mailbox address as SMTP carries it: `local-part@domain` (RFC 5321 section 4.1.2), local part of at most 64 octets,
/// domain of at most 255 (section 4.5.3.1), UTF-8 allowed in both (RFC 6531 section 3.3).
public struct Address: Hashable, Sendable, CustomStringConvertible {
    public static let localPartOctetsMax = 64
    public static let domainOctetsMax = 255

    /// Unquoted: `"a b"@x` has the local part `a b`.
    public let localPart: String
    /// In lower case and with A-labels (see `DomainLabels`); a name, or a literal in brackets.
    public let domain: String

    /// From parts that a parser has already taken apart; nil when a length is out of range, a part is empty or holds a
    /// control character.
    public init?(localPart: String, domain: String) {
        // Its form first: that is what has to fit.
        let domain = DomainLabels.ascii(domain)
        guard (1...Self.localPartOctetsMax).contains(localPart.utf8.count),
            (1...Self.domainOctetsMax).contains(domain.utf8.count),
            localPart.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }),
            domain.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F && $0 != 0x40 })
        else { return nil }
        self.localPart = localPart
        self.domain = domain
    }

    /// From the plain form people type, `alice@example.test`; splits at the last `@`; no quoting is undone.
    public init?(_ text: String) {
        guard let at = text.lastIndex(of: "@") else { return nil }
        self.init(localPart: String(text[..<at]), domain: String(text[text.index(after: at)...]))
    }

    /// The form under which accounts and aliases are found: both parts in lower case (local parts are case-sensitive
    /// by RFC 5321 section 2.4, and no site that people use treats them so).
    public var directoryKey: String { localPart.lowercased() + "@" + domain }

    /// All forms under which it may be found: stores have addresses with U-labels from before names had one form.
    public var directoryKeys: [String] { DomainLabels.forms(domain).map { localPart.lowercased() + "@" + $0 } }

    /// As in a `Mailbox` of RFC 5321, the local part quoted where it is no dot-string. With U-labels where the local part is
    /// not in ASCII either (RFC 6530 section 7.1): such an address needs SMTPUTF8, others need not.
    public var description: String {
        let domain = DomainLabels.isASCII(localPart) ? domain : DomainLabels.unicode(domain)
        let atoms = localPart.split(separator: ".", omittingEmptySubsequences: false)
        let isDotString = atoms.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy(Self.isAtext) }
        if isDotString { return localPart + "@" + domain }
        var quoted = "\""
        // Scalar by scalar: a quote with a combining mark is one Character, and still ends a quoted string.
        for scalar in localPart.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { quoted.append("\\") }
            quoted.unicodeScalars.append(scalar)
        }
        return quoted + "\"@" + domain
    }

    /// `atext` of RFC 5322 section 3.2.3, with the UTF-8 of RFC 6532.
    static func isAtext(_ octet: UInt8) -> Bool {
        switch octet {
        case 48...57, 65...90, 97...122, 0x80...0xFF: true
        case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2F, 0x3D, 0x3F, 0x5E...0x60, 0x7B...0x7E: true
        default: false
        }
    }
}
