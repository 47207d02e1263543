// decide: reads the state and answers a command with events or a refusal. Total and read-only; the clock comes in.
import MailTypes

/// What decide may know beside the state.
package struct DecideContext: Sendable {
    package var account: AccountID
    package var now: Timestamp
    /// The bodies that came with the command.
    package var bodies: [BodyReference]
    package init(account: AccountID, now: Timestamp, bodies: [BodyReference] = []) {
        self.account = account
        self.now = now
        self.bodies = bodies
    }
}

extension DecideContext {
    /// The body a command names by its place; a place that is not there is the caller's mistake.
    func body(_ index: Int) throws(StateFault) -> BodyReference {
        guard bodies.indices.contains(index) else {
            throw .inconsistent("the command names body \(index) of \(bodies.count)")
        }
        return bodies[index]
    }
}

/// The events that do what `command` asks, for `evolve` to fold in this order.
package func decide(
    _ command: AccountCommand, _ context: DecideContext, _ state: any StateReader
) throws(DecideError) -> Decision {
    do {
        return try decision(command, context, state)
    } catch let refusal as Refusal {
        throw .refused(refusal)
    } catch let fault as StateFault {
        throw .fault(fault)
    } catch {
        throw .fault(.storage("\(error)"))
    }
}

private func decision(
    _ command: AccountCommand, _ context: DecideContext, _ state: any StateReader
) throws -> Decision {
    switch command {
    case .createAccount(let new): return try decideCreateAccount(new, context, state)
    case .openShard(let opened):
        return try state.head(.system) == nil ? Decision([.shardOpened(opened)]) : Decision([])
    case .enqueue(let enqueue): return try decideEnqueue(enqueue, context, state)
    case .recordAttempt(let attempt): return try decideAttempt(attempt, state)
    case .removeFromQueue(let id):
        guard try state.queueEntry(id) != nil else { throw Refusal.noSuchQueueEntry }
        return Decision([.queueRemoved(id, .operatorRequest)])
    case .retryQueued(let id), .holdQueued(let id), .releaseQueued(let id):
        return try decideRescheduling(command, of: id, context, state)
    default: break
    }
    guard let head = try state.head(context.account) else { throw Refusal.noSuchAccount }
    // What a removed account left behind is still collected.
    if case .collect(let mailbox, let uids) = command { return try decideCollect(mailbox, uids, context, state) }
    guard head.status != .removed else { throw Refusal.accountRemoved }
    switch command {
    case .setStatus, .removeAccount, .setCredential, .revokeCredential, .noteCredentialUse,
        .addAddress, .removeAddress, .setQuota,
        .setRetention, .setSetting, .openSession:
        return try decideAccount(command, context, head, state)
    case .createMailbox, .deleteMailbox, .renameMailbox, .setSubscription, .setSpecialUse, .bumpUIDValidity,
        .adoptUIDValidity, .raiseUIDNext, .claimRecent:
        return try decideMailbox(command, context, head, state)
    default:
        return try decideMessages(command, context, head, state)
    }
}
