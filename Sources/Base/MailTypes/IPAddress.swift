import Glibc

/// An IP address, in the form in which limits and lists of networks look at it: an IPv4 address that came mapped into
/// IPv6 (RFC 4291 section 2.5.5.2) is that IPv4 address.
package struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    package let isV6: Bool
    /// The first and the last 64 bits, the first octet in the highest place. An IPv4 address is in the highest 32 bits.
    private let high: UInt64
    private let low: UInt64

    private static let mappedPrefix: UInt64 = 0xFFFF

    /// - Parameter octets: 4 or 16, in network order; nil for any other number.
    package init?(octets: some Collection<UInt8>) {
        guard octets.count == 4 || octets.count == 16 else { return nil }
        let high = octets.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        if octets.count == 4 {
            self.init(isV6: false, high: high << 32, low: 0)
            return
        }
        let low = octets.dropFirst(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        if high == 0, low >> 32 == Self.mappedPrefix {
            self.init(isV6: false, high: low << 32, low: 0)
        } else {
            self.init(isV6: true, high: high, low: low)
        }
    }

    /// From the forms of inet_pton(3): `192.0.2.1`, `2001:db8::1`.
    package init?(_ text: String) {
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            self.init(octets: withUnsafeBytes(of: &four) { Array($0) })
        } else if inet_pton(AF_INET6, text, &six) == 1 {
            self.init(octets: withUnsafeBytes(of: &six) { Array($0) })
        } else {
            return nil
        }
    }

    private init(isV6: Bool, high: UInt64, low: UInt64) {
        self.isV6 = isV6
        self.high = high
        self.low = low
    }

    package var bits: Int { isV6 ? 128 : 32 }

    /// In network order.
    package var octets: [UInt8] {
        let all = [high, low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) } }
        return Array(all.prefix(bits / 8))
    }

    /// 127.0.0.0/8 or ::1.
    package var isLoopback: Bool { isV6 ? high == 0 && low == 1 : high >> 56 == 127 }

    /// The address with all bits behind the first `count` cleared.
    func masked(to count: Int) -> IPAddress {
        func mask(_ bits: Int) -> UInt64 { bits <= 0 ? 0 : bits >= 64 ? .max : ~(.max >> UInt64(bits)) }
        return IPAddress(isV6: isV6, high: high & mask(count), low: low & mask(count - 64))
    }

    /// As inet_ntop(3) writes it.
    package var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let octets = octets
        _ = octets.withUnsafeBytes { bytes in
            inet_ntop(isV6 ? AF_INET6 : AF_INET, bytes.baseAddress, &text, socklen_t(INET6_ADDRSTRLEN))
        }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// All addresses that begin with the same bits: `192.0.2.0/24`, `2001:db8::/32`.
package struct IPNetwork: Hashable, Sendable, CustomStringConvertible {
    /// Nothing but zeros behind the prefix.
    package let base: IPAddress
    package let prefixBits: Int

    /// The network of `prefixBits` around an address; longer prefixes than the address has bits are the address alone.
    package init(_ address: IPAddress, prefixBits: Int) {
        self.prefixBits = max(0, min(prefixBits, address.bits))
        base = address.masked(to: self.prefixBits)
    }

    /// An address with or without a prefix length. Bits behind the prefix must be zero: one that is not is a mistake
    /// more often than a habit.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(String(first)) else { return nil }
        guard parts.count == 2 else {
            self.init(address, prefixBits: address.bits)
            return
        }
        guard parts[1].count <= 3, parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let bits = Int(parts[1]),
            bits <= address.bits, !first.contains(":") || address.isV6
        else { return nil }
        self.init(address, prefixBits: bits)
        guard base == address else { return nil }
    }

    package func contains(_ address: IPAddress) -> Bool {
        address.isV6 == base.isV6 && address.masked(to: prefixBits) == base
    }

    package var description: String { prefixBits == base.bits ? base.description : "\(base)/\(prefixBits)" }
}

extension IPAddress {
    /// Whoever shares it shares limits: the IPv4 address, or the IPv6 network of 64 bits, within which one customer can
    /// have every address.
    package var neighbourhood: IPNetwork { IPNetwork(self, prefixBits: isV6 ? 64 : 32) }

    /// A provider's customer often has 48 bits of IPv6, and a crowd of neighbours shares 24 bits of IPv4.
    package var district: IPNetwork { IPNetwork(self, prefixBits: isV6 ? 48 : 24) }
}
