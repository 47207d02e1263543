/// The octets that IMAP's grammar names (RFC 9051 section 9).
enum Ascii {
    static let nul: UInt8 = 0x00
    static let lineFeed: UInt8 = 0x0A
    static let carriageReturn: UInt8 = 0x0D
    static let space: UInt8 = 0x20
    static let quote: UInt8 = 0x22
    static let dollar: UInt8 = 0x24
    static let percent: UInt8 = 0x25
    static let ampersand: UInt8 = 0x26
    static let open: UInt8 = 0x28
    static let close: UInt8 = 0x29
    static let asterisk: UInt8 = 0x2A
    static let plus: UInt8 = 0x2B
    static let comma: UInt8 = 0x2C
    static let minus: UInt8 = 0x2D
    static let dot: UInt8 = 0x2E
    static let slash: UInt8 = 0x2F
    static let zero: UInt8 = 0x30
    static let colon: UInt8 = 0x3A
    static let less: UInt8 = 0x3C
    static let equals: UInt8 = 0x3D
    static let greater: UInt8 = 0x3E
    static let questionMark: UInt8 = 0x3F
    static let openBracket: UInt8 = 0x5B
    static let backslash: UInt8 = 0x5C
    static let closeBracket: UInt8 = 0x5D
    static let openBrace: UInt8 = 0x7B
    static let closeBrace: UInt8 = 0x7D
    static let tilde: UInt8 = 0x7E

    @inline(__always) static func isDigit(_ octet: UInt8) -> Bool { octet &- 0x30 < 10 }
    @inline(__always)
    static func uppercased(_ octet: UInt8) -> UInt8 { octet &- 0x61 < 26 ? octet & 0xDF : octet }

    /// Whether `octets` are `word`, given in upper case, in any case.
    static func isWord(_ octets: some Collection<UInt8>, _ word: StaticString) -> Bool {
        guard octets.count == word.utf8CodeUnitCount else { return false }
        return zip(octets, 0..<octets.count).allSatisfy { uppercased($0) == word.utf8Start[$1] }
    }

    /// `ATOM-CHAR`: any CHAR but `(`, `)`, `{`, SP, CTL, `%`, `*`, `"`, `\`, `]`.
    @inline(__always)
    static func isAtom(_ octet: UInt8) -> Bool {
        switch octet {
        case 0x21, 0x23...0x24, 0x26...0x27, 0x2B...0x5B, 0x5E...0x7A, 0x7C...0x7E: true
        default: false
        }
    }

    /// `ASTRING-CHAR`: also `]`.
    @inline(__always) static func isAstring(_ octet: UInt8) -> Bool { isAtom(octet) || octet == closeBracket }
    /// `list-char`: also `%` and `*`.
    @inline(__always)
    static func isList(_ octet: UInt8) -> Bool { isAstring(octet) || octet == percent || octet == asterisk }
    /// `tag`: any `ASTRING-CHAR` but `+`.
    @inline(__always) static func isTag(_ octet: UInt8) -> Bool { isAstring(octet) && octet != plus }
}
