/// Text as parameters of MAIL and RCPT carry it: printable ASCII, where `+` and two hexadecimal digits in upper case stand
/// for any octet (RFC 3461 section 4).
package struct SMTPXtext: Equatable, Sendable {
    /// As it stands in the parameter; it is passed on unchanged.
    package let encoded: String

    /// Nil when `encoded` is no xtext.
    package init?(encoded: String) {
        guard Self.decode(encoded.utf8) != nil else { return nil }
        self.encoded = encoded
    }

    /// What the xtext of `text` is.
    package init(encoding text: String) {
        var octets: [UInt8] = []
        for octet in text.utf8 {
            if (0x21...0x7E).contains(octet), octet != Ascii.plus, octet != Ascii.equals {
                octets.append(octet)
            } else {
                octets += [Ascii.plus, Self.digits[Int(octet >> 4)], Self.digits[Int(octet & 15)]]
            }
        }
        encoded = String(decoding: octets, as: UTF8.self)
    }

    package var octets: [UInt8] { Self.decode(encoded.utf8) ?? [] }
    /// Octets that are no UTF-8 become U+FFFD.
    package var text: String { String(decoding: octets, as: UTF8.self) }

    private static let digits = Array("0123456789ABCDEF".utf8)

    /// Nil where it is empty or no xtext.
    static func decode(_ encoded: some Collection<UInt8>) -> [UInt8]? {
        var octets: [UInt8] = []
        var rest = encoded.makeIterator()
        while let octet = rest.next() {
            if octet == Ascii.plus {
                guard let high = rest.next().flatMap(value), let low = rest.next().flatMap(value) else { return nil }
                octets.append(high << 4 | low)
            } else {
                guard (0x21...0x7E).contains(octet), octet != Ascii.equals else { return nil }
                octets.append(octet)
            }
        }
        return octets.isEmpty ? nil : octets
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        if Ascii.isDigit(digit) { return digit - Ascii.zero }
        return (0x41...0x46).contains(digit) ? digit - 0x41 + 10 : nil
    }
}
