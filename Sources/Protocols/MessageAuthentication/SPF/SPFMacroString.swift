/// A text with macros (RFC 7208 section 7.1), taken apart.
struct SPFMacroString: Sendable {
    struct Macro: Hashable, Sendable {
        /// In lower case.
        let letter: UInt8
        /// Written in upper case: what it gives is escaped for URLs.
        let isEscaped: Bool
        /// Parts to keep from the right; 0 for all.
        let parts: Int
        let isReversed: Bool
        let delimiters: Set<UInt8>
    }

    enum Piece: Hashable, Sendable {
        case text([UInt8])
        case macro(Macro)
    }

    private(set) var pieces: [Piece] = []
    /// Whether it can be a `domain-spec`: it ends in a macro, or in a dot and a label that is no number.
    private(set) var isDomain = false

    /// `macro-string`, or, where `allowsSpaces`, `explain-string`.
    init?(_ octets: [UInt8], allowsSpaces: Bool = false) {
        var literal: [UInt8] = []
        var index = 0
        var endsInMacro = false
        while index < octets.count {
            let octet = octets[index]
            guard octet == 0x25 else {
                guard (0x21...0x7E).contains(octet) || (allowsSpaces && octet == Ascii.space) else { return nil }
                literal.append(octet)
                endsInMacro = false
                index += 1
                continue
            }
            guard index + 1 < octets.count else { return nil }
            endsInMacro = true
            switch octets[index + 1] {
            case 0x25: literal.append(0x25)
            case 0x5F: literal.append(Ascii.space)
            case 0x2D: literal.append(contentsOf: Array("%20".utf8))
            case 0x7B:
                guard let end = octets[index...].firstIndex(of: 0x7D),
                    let macro = Self.macro(octets[(index + 2)..<end], isExplanation: allowsSpaces)
                else { return nil }
                if !literal.isEmpty { pieces.append(.text(literal)) }
                literal = []
                pieces.append(.macro(macro))
                index = end - 1
            default: return nil
            }
            index += 2
        }
        if !literal.isEmpty { pieces.append(.text(literal)) }
        isDomain = endsInMacro || Self.endsInLabel(octets)
    }

    var usesPointers: Bool { uses(UInt8(ascii: "p")) }
    var usesLocalPart: Bool { uses(UInt8(ascii: "s")) || uses(UInt8(ascii: "l")) }

    private func uses(_ letter: UInt8) -> Bool {
        pieces.contains { piece in if case .macro(let macro) = piece { macro.letter == letter } else { false } }
    }

    private static func macro(_ octets: ArraySlice<UInt8>, isExplanation: Bool) -> Macro? {
        guard let first = octets.first else { return nil }
        let letter = Ascii.lower(first)
        // s l o d i p h v, and c r t in explanations alone.
        guard "slodiphv".utf8.contains(letter) || (isExplanation && "crt".utf8.contains(letter)) else { return nil }
        var rest = octets.dropFirst()
        var digits: [UInt8] = []
        while let digit = rest.first, Ascii.isDigit(digit) {
            digits.append(digit)
            rest.removeFirst()
        }
        let parts = digits.isEmpty ? 0 : Int(String(decoding: digits, as: UTF8.self)) ?? Int.max
        guard digits.isEmpty || parts > 0 else { return nil }
        var isReversed = false
        if let next = rest.first, Ascii.lower(next) == 0x72 {
            isReversed = true
            rest.removeFirst()
        }
        guard rest.allSatisfy({ ".-+,/_=".utf8.contains($0) }) else { return nil }
        return Macro(
            letter: letter, isEscaped: first != letter, parts: parts, isReversed: isReversed, delimiters: Set(rest))
    }

    /// `"." toplabel [ "." ]`
    private static func endsInLabel(_ octets: [UInt8]) -> Bool {
        var octets = octets[...]
        if octets.last == Ascii.dot { octets.removeLast() }
        guard let dot = octets.lastIndex(of: Ascii.dot) else { return false }
        let label = octets[(dot + 1)...]
        guard let first = label.first, let last = label.last, first != 0x2D, last != 0x2D else { return false }
        return label.allSatisfy { Ascii.isLetter($0) || Ascii.isDigit($0) || $0 == 0x2D }
            && label.contains { !Ascii.isDigit($0) }
    }

    /// What the macros give, put together; nil over `spfExpansionOctetsMax`.
    ///
    /// - Parameter value: what a letter stands for.
    func expanded(_ value: (UInt8) -> String) -> String? {
        var out: [UInt8] = []
        for piece in pieces {
            switch piece {
            case .text(let octets): out += octets
            case .macro(let macro): out += macro.expanded(value(macro.letter))
            }
            guard out.count <= CheckLimits.spfExpansionOctetsMax else { return nil }
        }
        return String(decoding: out, as: UTF8.self)
    }
}

extension SPFMacroString.Macro {
    /// Section 7.3.
    fileprivate func expanded(_ value: String) -> [UInt8] {
        var octets = Array(value.utf8)
        if parts > 0 || isReversed || !delimiters.isEmpty {
            var pieces = octets.split(omittingEmptySubsequences: false) { octet in
                delimiters.isEmpty ? octet == Ascii.dot : delimiters.contains(octet)
            }
            if isReversed { pieces.reverse() }
            if parts > 0, parts < pieces.count { pieces.removeFirst(pieces.count - parts) }
            octets = Array(pieces.joined(separator: [Ascii.dot]))
        }
        guard isEscaped else { return octets }
        let digits = Array("0123456789ABCDEF".utf8)
        return octets.flatMap { octet -> [UInt8] in
            let isPlain =
                Ascii.isLetter(octet) || Ascii.isDigit(octet) || [0x2D, 0x2E, 0x5F, 0x7E].contains(octet)
            return isPlain ? [octet] : [0x25, digits[Int(octet >> 4)], digits[Int(octet & 15)]]
        }
    }
}
