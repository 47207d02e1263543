import MailTypes

/// Limits of the domain. Each is the largest value that is still accepted.
package enum DomainLimits {
    /// Messages named by one event; larger operations become several events.
    package static let messagesPerEventMax = 4096
    package static let mailboxesPerAccountMax = 10_000
    package static let keywordsPerAccountMax = 4096
    package static let keywordsPerMessageMax = 128
    package static let addressesPerAccountMax = 1000
    package static let credentialsPerAccountMax = 100
    package static let subscriptionsPerAccountMax = 20_000
    package static let settingOctetsMax = 8192
    package static let verifierOctetsMax = 1024
    package static let labelOctetsMax = 128
    package static let displayNameOctetsMax = 255
    package static let appendMessagesMax = 1000
    package static let queueRecipientsMax = 1000
    /// Of sender, recipients and what comes with them, in one entry of the queue: below the limit of a record.
    package static let queueOctetsMax = 50_000
    /// Of the last reply, as an entry keeps it for each recipient; the log has all of it.
    package static let queueLastTextCharactersMax = 160
    /// Messages one COPY may copy, since it is one transaction (RFC 9051 section 6.4.7).
    package static let copyMessagesMax = 100_000
    /// Expunged messages one collection may name.
    package static let collectMessagesMax = 100_000
    package static let uidlOctetsMax = UniqueID.octetsMax
    /// UIDs that a source's UIDNEXT has to leave to a mailbox that takes it: one that leaves fewer would end it.
    package static let uidsLeftMin: UInt32 = 1 << 24
}
