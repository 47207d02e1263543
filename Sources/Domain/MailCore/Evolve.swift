// evolve: one event folded into the state. Live commits and rebuilds run exactly this, so it reads nothing but the
// event, its context and the state; it never looks at a clock, a random source or a setting.
//
// It throws only when the log contradicts itself or the store fails: what a client may not do was refused by decide.
import MailTypes

/// Folds `event` into `state` and moves the account's head to its position.
package func evolve(_ event: Event, at context: EventContext, in state: any StateEditor) throws(StateFault) {
    var head: AccountHead
    if let existing = try state.head(context.account) {
        head = existing
    } else {
        switch event {
        case .accountCreated, .shardOpened: head = AccountHead()
        // The queue's account begins with its first entry.
        case .queueAccepted where context.account == .queue: head = AccountHead()
        default: throw .inconsistent("event of account \(context.account.rawValue), which does not exist")
        }
    }
    head.aseq = context.aseq
    try fold(event, at: context, head: &head, in: state)
    try state.setHead(context.account, head)
}

private func fold(
    _ event: Event, at context: EventContext, head: inout AccountHead, in state: any StateEditor
) throws(StateFault) {
    switch event {
    case .accountCreated, .accountStatusSet, .credentialSet, .credentialRevoked, .credentialUsed, .addressAdded,
        .addressRemoved, .quotaSet, .sessionOpened, .settingSet, .retentionPolicySet:
        try foldAccount(event, at: context, head: &head, in: state)
    case .mailboxCreated, .mailboxRenamed, .mailboxDeleted, .subscriptionChanged, .specialUseSet, .uidValidityBumped,
        .uidNextRaised, .recentClaimed, .keywordDefined:
        try foldMailbox(event, at: context, head: &head, in: state)
    case .messageAppended(let event): try foldAppended(event, at: context, head: &head, in: state)
    case .flagsChanged(let event): try foldFlags(event, at: context, in: state)
    case .messagesExpunged(let event):
        try foldGone(event.mailbox, event.uids, movedOut: false, at: context, head: &head, in: state)
    case .messagesCopied(let event): try foldCopied(event, at: context, head: &head, in: state)
    case .messagesMoved(let event): try foldMoved(event, at: context, head: &head, in: state)
    case .messageRestored(let event): try foldRestored(event, at: context, head: &head, in: state)
    case .messagesCollected(let event): try foldCollected(event, at: context, in: state)
    case .queueAccepted, .queueAttempted, .queueDelivered, .queueDeferred, .queueBounced, .queueRemoved,
        .queueRescheduled:
        try foldQueue(event, at: context, in: state)
    case .shardOpened:
        if try state.nextAccount() < .firstPersonal { try state.setNextAccount(.firstPersonal) }
    case .clockStepped: break
    }
}
