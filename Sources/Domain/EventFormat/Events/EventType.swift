// The numbers of event types. A number is never used for another event.
import MailCore

package enum EventType: UInt16, CaseIterable, Sendable {
    case accountCreated = 0x0101
    case accountStatusSet = 0x0103
    case credentialSet = 0x0104
    case credentialRevoked = 0x0105
    case addressAdded = 0x0106
    case addressRemoved = 0x0107
    case quotaSet = 0x0108
    case sessionOpened = 0x010C
    case settingSet = 0x010D
    case retentionPolicySet = 0x010E
    case credentialUsed = 0x0113
    case mailboxCreated = 0x0201
    case mailboxRenamed = 0x0202
    case mailboxDeleted = 0x0203
    case subscriptionChanged = 0x0204
    case specialUseSet = 0x0205
    case uidValidityBumped = 0x0208
    case recentClaimed = 0x0209
    case keywordDefined = 0x020A
    case uidNextRaised = 0x020B
    case messageAppended = 0x0301
    case flagsChanged = 0x0302
    case messagesExpunged = 0x0303
    case messagesCopied = 0x0304
    case messagesMoved = 0x0305
    case messageRestored = 0x0306
    case messagesCollected = 0x0309
    case queueAccepted = 0x0401
    case queueAttempted = 0x0402
    case queueDelivered = 0x0403
    case queueDeferred = 0x0404
    case queueBounced = 0x0405
    case queueRemoved = 0x0406
    case queueRescheduled = 0x0407
    case shardOpened = 0x0F01
    case clockStepped = 0x0F07

    /// The newest version of its bytes, which is the one written.
    package var version: UInt16 { 1 }

    /// As in docs/formats and in the output of tools.
    package var name: String { "\(self)" }

    /// Whether an event of this type can be the MODSEQ of a mailbox or message.
    package var isMailVisible: Bool {
        switch self {
        case .mailboxCreated, .messageAppended, .flagsChanged, .messagesExpunged, .messagesCopied, .messagesMoved,
            .messageRestored:
            true
        default: false
        }
    }

    package init(of event: Event) {
        self =
            switch event {
            case .accountCreated: .accountCreated
            case .accountStatusSet: .accountStatusSet
            case .credentialSet: .credentialSet
            case .credentialRevoked: .credentialRevoked
            case .credentialUsed: .credentialUsed
            case .addressAdded: .addressAdded
            case .addressRemoved: .addressRemoved
            case .quotaSet: .quotaSet
            case .sessionOpened: .sessionOpened
            case .settingSet: .settingSet
            case .retentionPolicySet: .retentionPolicySet
            case .mailboxCreated: .mailboxCreated
            case .mailboxRenamed: .mailboxRenamed
            case .mailboxDeleted: .mailboxDeleted
            case .subscriptionChanged: .subscriptionChanged
            case .specialUseSet: .specialUseSet
            case .uidValidityBumped: .uidValidityBumped
            case .recentClaimed: .recentClaimed
            case .keywordDefined: .keywordDefined
            case .uidNextRaised: .uidNextRaised
            case .messageAppended: .messageAppended
            case .flagsChanged: .flagsChanged
            case .messagesExpunged: .messagesExpunged
            case .messagesCopied: .messagesCopied
            case .messagesMoved: .messagesMoved
            case .messageRestored: .messageRestored
            case .messagesCollected: .messagesCollected
            case .queueAccepted: .queueAccepted
            case .queueAttempted: .queueAttempted
            case .queueDelivered: .queueDelivered
            case .queueDeferred: .queueDeferred
            case .queueBounced: .queueBounced
            case .queueRemoved: .queueRemoved
            case .queueRescheduled: .queueRescheduled
            case .shardOpened: .shardOpened
            case .clockStepped: .clockStepped
            }
    }
}
