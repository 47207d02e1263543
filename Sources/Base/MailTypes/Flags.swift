/// The system flags of RFC 9051 section 2.3.2, as stored. `\Recent` is a session's matter and not among them.
public struct SystemFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let seen = SystemFlags(rawValue: 1)
    public static let answered = SystemFlags(rawValue: 2)
    public static let flagged = SystemFlags(rawValue: 4)
    public static let deleted = SystemFlags(rawValue: 8)
    public static let draft = SystemFlags(rawValue: 16)
    public static let all: SystemFlags = [.seen, .answered, .flagged, .deleted, .draft]
}

/// A keyword's number in its account's registry; never reused. 0...62 have a bit in the message row.
public struct KeywordID: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt16
    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }
    @inlinable public init(_ rawValue: UInt16) { self.rawValue = rawValue }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A keyword such as `$Forwarded`: an atom of 1 to 64 octets (RFC 9051 section 9, `flag-keyword`), compared without case.
public struct Keyword: Hashable, Sendable, CustomStringConvertible {
    public static let lengthMax = 64
    public let name: String

    /// Nil unless `name` is an atom within the limit.
    public init?(_ name: String) {
        guard (1...Self.lengthMax).contains(name.utf8.count), name.utf8.allSatisfy(Self.isAtomOctet) else { return nil }
        self.name = name
    }

    /// The form in which keywords are compared.
    public var folded: String { name.lowercased() }
    public var description: String { name }
    public static func == (a: Self, b: Self) -> Bool { a.folded == b.folded }
    public func hash(into hasher: inout Hasher) { hasher.combine(folded) }

    private static func isAtomOctet(_ octet: UInt8) -> Bool {
        switch octet {
        case 0x21, 0x23...0x24, 0x26...0x27, 0x2B...0x5B, 0x5E...0x7A, 0x7C...0x7E: true
        default: false
        }
    }
}

/// The special uses of RFC 6154 section 2 and RFC 8457 section 3; the raw value is stored.
public enum SpecialUse: UInt8, CaseIterable, Sendable {
    case all = 1
    case archive, drafts, flagged, junk, sent, trash, important

    /// The attribute in LIST, with its backslash.
    public var attribute: String {
        switch self {
        case .all: "\\All"
        case .archive: "\\Archive"
        case .drafts: "\\Drafts"
        case .flagged: "\\Flagged"
        case .junk: "\\Junk"
        case .sent: "\\Sent"
        case .trash: "\\Trash"
        case .important: "\\Important"
        }
    }
}
