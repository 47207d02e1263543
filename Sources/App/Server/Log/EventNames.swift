import MailCore

extension EventDescription {
    /// The event's name, as the log's documentation writes it.
    static func name(of event: Event) -> String {
        switch event {
        case .accountCreated: "AccountCreated"
        case .accountStatusSet: "AccountStatusSet"
        case .credentialSet: "CredentialSet"
        case .credentialRevoked: "CredentialRevoked"
        case .credentialUsed: "CredentialUsed"
        case .addressAdded: "AddressAdded"
        case .addressRemoved: "AddressRemoved"
        case .quotaSet: "QuotaSet"
        case .sessionOpened: "SessionOpened"
        case .settingSet: "SettingSet"
        case .retentionPolicySet: "RetentionPolicySet"
        case .mailboxCreated: "MailboxCreated"
        case .mailboxRenamed: "MailboxRenamed"
        case .mailboxDeleted: "MailboxDeleted"
        case .subscriptionChanged: "SubscriptionChanged"
        case .specialUseSet: "SpecialUseSet"
        case .uidValidityBumped: "UidValidityBumped"
        case .uidNextRaised: "UidNextRaised"
        case .recentClaimed: "RecentClaimed"
        case .keywordDefined: "KeywordDefined"
        case .messageAppended: "MessageAppended"
        case .flagsChanged: "FlagsChanged"
        case .messagesExpunged: "MessagesExpunged"
        case .messagesCopied: "MessagesCopied"
        case .messagesMoved: "MessagesMoved"
        case .messageRestored: "MessageRestored"
        case .messagesCollected: "MessagesCollected"
        case .queueAccepted: "QueueAccepted"
        case .queueAttempted: "QueueAttempted"
        case .queueDelivered: "QueueDelivered"
        case .queueDeferred: "QueueDeferred"
        case .queueBounced: "QueueBounced"
        case .queueRemoved: "QueueRemoved"
        case .queueRescheduled: "QueueRescheduled"
        case .shardOpened: "ShardOpened"
        case .clockStepped: "ClockStepped"
        }
    }
}
