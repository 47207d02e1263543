import MailTypes

/// What a question to the DNS brought.
package enum NameAnswer<Record: Sendable>: Sendable {
    case found([Record])
    /// The name is there without such records.
    case noRecords
    /// There is no such name (NXDOMAIN).
    case noName
    /// No answer that can be relied on.
    case failed
}

/// The DNS as the checks see it. Each question takes a bounded time; what never answers is `.failed`.
package protocol MailNames: Sendable {
    /// TXT, the strings of each record put end to end (RFC 7208 section 3.3, RFC 6376 section 3.6.2.2).
    func texts(of name: String) async -> NameAnswer<[UInt8]>
    /// A, or AAAA.
    func addresses(of name: String, isV6: Bool) async -> NameAnswer<IPAddress>
    /// MX: the hosts, the preferred ones first.
    func exchangers(of name: String) async -> NameAnswer<String>
    /// PTR of the address.
    func pointers(of address: IPAddress) async -> NameAnswer<String>
}

/// A name for the DNS, in lower case, with A-labels (RFC 8616 sections 3 to 6) and without its last dot.
enum DomainName {
    /// Nil when it is no name of two labels or more (RFC 7208 section 4.3).
    static func checked(_ text: some StringProtocol) -> String? {
        var name = DomainLabels.ascii(String(text))
        if name.hasSuffix(".") { name.removeLast() }
        guard name.utf8.count <= CheckLimits.nameOctetsMax, name.utf8.contains(Ascii.dot) else { return nil }
        var length = 0
        for octet in name.utf8 {
            guard octet != Ascii.dot else {
                guard length > 0 else { return nil }
                length = 0
                continue
            }
            guard octet > 0x20, octet != 0x7F else { return nil }
            length += 1
            guard length <= CheckLimits.labelOctetsMax else { return nil }
        }
        return length > 0 ? name : nil
    }

    /// Whether `name` is `parent` or below it.
    static func isWithin(_ name: String, _ parent: String) -> Bool {
        name == parent || name.hasSuffix("." + parent)
    }
}

/// Octets by name.
enum Ascii {
    static let tab: UInt8 = 9
    static let lineFeed: UInt8 = 10
    static let carriageReturn: UInt8 = 13
    static let space: UInt8 = 32
    static let dot: UInt8 = 46
    static let colon: UInt8 = 58
    static let semicolon: UInt8 = 59
    static let equals: UInt8 = 61
    static let at: UInt8 = 64

    static func lower(_ octet: UInt8) -> UInt8 { octet >= 65 && octet <= 90 ? octet + 32 : octet }
    static func isBlank(_ octet: UInt8) -> Bool { octet == space || octet == tab }
    static func isDigit(_ octet: UInt8) -> Bool { octet >= 48 && octet <= 57 }
    static func isLetter(_ octet: UInt8) -> Bool { (65...90).contains(octet) || (97...122).contains(octet) }
    static func isFold(_ octet: UInt8) -> Bool { isBlank(octet) || octet == lineFeed || octet == carriageReturn }
}
