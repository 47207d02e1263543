internal import CIDN2

/// Domain names in other scripts (RFC 5890): `bücher.example` and `xn--bcher-kva.example` are one domain.
///
/// Names are kept and compared with A-labels, which the DNS has too. What is no name in such a script, since IDNA has no
/// form for it, stays as it is: it is then equal to itself, and the DNS does not know it.
public enum DomainLabels {
    /// Longer text is no name in any form (RFC 1035 section 2.3.4; a letter has up to four octets).
    static let octetsMax = 255 * 4
    private static let prefix = "xn--"

    /// In lower case, with A-labels (RFC 5891 section 5, with the mapping that UTS 46 has for what people type).
    public static func ascii(_ name: String) -> String {
        let name = name.lowercased()
        guard !isASCII(name), name.utf8.count <= octetsMax, !name.utf8.contains(0) else { return name }
        var found: UnsafeMutablePointer<UInt8>?
        let flags = Int32(IDN2_NFC_INPUT.rawValue | IDN2_NONTRANSITIONAL.rawValue)
        guard idn2_lookup_u8(Array(name.utf8) + [0], &found, flags) == IDN2_OK.rawValue, let found else { return name }
        defer { idn2_free(found) }
        let labels = String(cString: found)
        // Some signs of other scripts stand for ASCII that has no place in a name and a meaning around it.
        return labels.utf8.allSatisfy(isHostOctet) ? labels : name
    }

    /// With U-labels where there are some, for people and for fields that are in UTF-8 anyway.
    public static func unicode(_ name: String) -> String {
        guard hasALabel(name), name.utf8.count <= octetsMax, !name.utf8.contains(0) else { return name }
        var found: UnsafeMutablePointer<CChar>?
        guard idn2_to_unicode_8z8z(name, &found, 0) == IDN2_OK.rawValue, let found else { return name }
        defer { idn2_free(found) }
        let text = String(cString: found)
        // Only what leads back: else it would be another domain.
        return ascii(text) == name ? text : name
    }

    /// Under which a domain may have been written down: with A-labels, and as releases before them did.
    public static func forms(_ name: String) -> [String] {
        let ascii = ascii(name)
        let unicode = unicode(ascii)
        return ascii == unicode ? [ascii] : [ascii, unicode]
    }

    /// Of a domain that people have typed; nil where it is none, or the DNS has no form of it.
    public static func typed(_ text: String) -> String? {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F && $0 != 0x40 }),
            let address = Address(localPart: "x", domain: text), isASCII(address.domain)
        else { return nil }
        return address.domain
    }

    static func isASCII(_ text: String) -> Bool { text.utf8.allSatisfy { $0 < 0x80 } }

    private static func hasALabel(_ name: String) -> Bool {
        guard name.utf8.count > prefix.utf8.count, isASCII(name) else { return false }
        return name.split(separator: ".").contains { $0.hasPrefix(prefix) }
    }

    private static func isHostOctet(_ octet: UInt8) -> Bool {
        switch octet {
        case 0x30...0x39, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
        default: false
        }
    }
}
