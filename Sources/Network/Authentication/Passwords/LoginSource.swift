import MailTypes

/// Where a login comes from, as the slow-down of failures sees it.
package struct LoginSource: Hashable, Sendable {
    /// An IPv4 address or 64 bits of IPv6; nil over a Unix socket.
    package let neighbourhood: IPNetwork?
    /// 24 bits of IPv4 or 48 bits of IPv6.
    package let district: IPNetwork?
    /// This machine: a webmail brings many people's logins from one address, so names are counted there and not the
    /// address.
    package let isLocal: Bool

    /// - Parameter address: nil for a Unix socket.
    package init(_ address: IPAddress?) {
        neighbourhood = address?.neighbourhood
        district = address?.district
        isLocal = address?.isLoopback ?? true
    }
}
