internal import COpenSSL

/// Whom a client asks for: a host name, or an address of IP.
struct TLSHost: Equatable, Sendable {
    /// Without a dot behind it.
    let name: String
    let isAddress: Bool

    /// Nil where it is neither. libssl takes a dot in front for "any host below".
    init?(_ text: String) {
        var octets = Array(text.utf8)
        if octets.first == UInt8(ascii: "["), octets.last == UInt8(ascii: "]") {
            octets = Array(octets[1...].dropLast())
        }
        let bare = String(decoding: octets, as: UTF8.self)
        if !octets.contains(0), Self.isAddress(bare) {
            (name, isAddress) = (bare, true)
            return
        }
        if octets.last == UInt8(ascii: ".") { octets.removeLast() }
        let labels = octets.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard bare.utf8.count == text.utf8.count, (1...TLSLimits.serverNameOctetsMax).contains(octets.count),
            labels.allSatisfy({ (1...Self.labelOctetsMax).contains($0.count) && $0.allSatisfy(Self.isOfHostName) })
        else { return nil }
        (name, isAddress) = (String(decoding: octets, as: UTF8.self), false)
    }

    /// RFC 1035 section 2.3.4.
    private static let labelOctetsMax = 63

    private static func isAddress(_ text: String) -> Bool {
        guard let address = a2i_IPADDRESS(text) else {
            ERR_clear_error()
            return false
        }
        ASN1_OCTET_STRING_free(address)
        return true
    }

    /// Letters, digits and hyphens, and the underscores that some hosts have.
    private static func isOfHostName(_ octet: UInt8) -> Bool {
        switch octet {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
