/// Every bound of this room, in one place.
package enum DeliveryLimits {
    /// Questions to the DNS that are under way at once.
    package static let resolverThreads = 16
    /// Records of one answer that are looked at.
    package static let recordsMax = 64
    /// Hosts of a domain that are tried for one message (RFC 5321 section 5.1 asks for at least two).
    package static let hostsPerAttemptMax = 8
    /// Addresses of a host that are tried.
    package static let addressesPerHostMax = 4
    /// Octets of a body that are read at a time on their way out.
    package static let bodyRunOctets = 65_536
    /// Messages sent over one connection before it is closed.
    package static let messagesPerConnectionMax = 100
    /// Recipients of one transaction, where the next host names no other number (RFC 5321 section 4.5.3.1.8).
    package static let recipientsPerTransactionMax = 100
    /// Entries of the queue that are looked at in search of work.
    package static let entriesScannedMax = 200_000
    /// Octets of the header that a report carries back.
    package static let reportHeaderOctetsMax = 16_384
    /// Octets of one field of a report; longer text is cut.
    package static let reportFieldOctetsMax = 900
}
