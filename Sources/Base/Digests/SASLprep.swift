/// SASLprep (RFC 4013): brings a password to one form before it is hashed or compared.
///
/// Text of ASCII only gets the whole of the profile. For other text the mapping (section 2.1) and the prohibited output
/// (section 2.3) are applied, but not the normalisation to NFKC (section 2.2), which the standard library does not
/// offer, nor the rule about writing directions (section 2.4). Such text is used as it was given: a client that sends
/// the composed letters people type agrees with us, and one that sends compatibility forms has to send the same ones
/// each time. Tables of Unicode data of our own were rejected: they would outweigh this room.
public enum SASLprep {
    /// Why a text cannot be a password.
    public enum Failure: Error, Hashable, Sendable {
        case notUTF8
        /// It holds a character that section 2.3 prohibits.
        case prohibited(UInt32)
        /// Nothing is left of it.
        case empty
    }

    /// The prepared octets of a password given in UTF-8.
    public static func prepare(_ password: [UInt8]) throws(Failure) -> [UInt8] {
        if !password.isEmpty, password.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return password }
        guard let text = String(validating: password, as: UTF8.self) else { throw .notUTF8 }
        var out: [UInt8] = []
        out.reserveCapacity(password.count)
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0xA0, 0x1680, 0x2000...0x200B, 0x202F, 0x205F, 0x3000:
                out.append(0x20)
            case 0xAD, 0x034F, 0x1806, 0x180B...0x180D, 0x200C...0x200D, 0x2060, 0xFE00...0xFE0F, 0xFEFF:
                continue
            default:
                if isProhibited(scalar) { throw .prohibited(scalar.value) }
                out.append(contentsOf: UTF8.encode(scalar)!)
            }
        }
        if out.isEmpty { throw .empty }
        return out
    }

    /// The tables that section 2.3 names, of RFC 3454 appendix C. Surrogates (C.5) cannot be in a string.
    private static func isProhibited(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0...0x1F, 0x7F: true  // C.2.1
        case 0x80...0x9F, 0x06DD, 0x070F, 0x180E, 0x2028...0x2029, 0x2061...0x2063, 0x206A...0x206F: true  // C.2.2, C.8
        case 0x1D173...0x1D17A: true  // C.2.2
        case 0xE000...0xF8FF, 0xF0000...0xFFFFD, 0x100000...0x10FFFD: true  // C.3
        case 0xFFF9...0xFFFD, 0x2FF0...0x2FFB: true  // C.2.2, C.6, C.7
        case 0x0340...0x0341, 0x200E...0x200F, 0x202A...0x202E: true  // C.8
        case 0xE0001, 0xE0020...0xE007F: true  // C.9
        default: scalar.properties.isNoncharacterCodePoint  // C.4
        }
    }
}
