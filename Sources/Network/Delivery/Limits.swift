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
    /// Of a Return-Path field at the start of a stored message.
    package static let returnPathOctetsMax = 1_024
    /// Octets of a message that a report carries back whole (RET=FULL, RFC 3461 section 4.3); of a longer one it has the
    /// header.
    package static let reportMessageOctetsMax = 1 << 20
    /// Messages under way to one destination for each of its connections: those beyond the first wait for the commit of
    /// what came of them.
    package static let messagesPerConnectionSlotMax = 8
    /// Messages sent over one connection before it is closed.
    package static let messagesPerConnectionMax = 100
    /// Recipients of one transaction, where the next host names no other number (RFC 5321 section 4.5.3.1.8).
    package static let recipientsPerTransactionMax = 100
    /// Entries of the queue that are looked at in search of work.
    package static let entriesScannedMax = 200_000
    /// The same where the whole was looked through less than a second ago.
    package static let entriesScannedShallowMax = 2_000
    /// How long a host may take to be ready for another message after it has answered for one.
    package static let settleSecondsMax: Int64 = 10
    /// Between two tries to write down what came of an attempt.
    package static let recordingPauseSecondsMax: UInt64 = 60
    /// Messages that rest since what came of them could not be recorded; with more, none is taken. Hosts that rest since
    /// they could not be reached; more are not remembered.
    package static let restingMax = 10_000
    /// How long such a host is left alone, where messages do not come again sooner.
    package static let hostRestSeconds: Int64 = 60
    /// Octets of the header that a report carries back.
    package static let reportHeaderOctetsMax = 16_384
    /// Octets of one field of a report; longer text is cut.
    package static let reportFieldOctetsMax = 900
}
