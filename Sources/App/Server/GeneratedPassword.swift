import Digests

/// Passwords for programs, which nobody has to remember: 100 random bits in letters and digits that are not mistaken for
/// each other, in groups of four.
package enum GeneratedPassword {
    /// 32 characters, 5 bits each: without i, l, o and 1.
    private static let alphabet = Array("abcdefghjkmnpqrstuvwxyz023456789".utf8)
    private static let letters = 20
    private static let groupLetters = 4

    package static func make() -> [UInt8] {
        var password: [UInt8] = []
        for (index, octet) in randomBytes(count: letters).enumerated() {
            if index > 0, index % groupLetters == 0 { password.append(0x2D) }
            password.append(alphabet[Int(octet & 31)])
        }
        return password
    }
}
