// Queue commands decided: accept, record what an attempt brought, remove when every recipient has a final answer.
import MailTypes

func decideEnqueue(_ enqueue: Enqueue, _ context: DecideContext, _ state: any StateReader) throws -> Decision {
    guard (1...DomainLimits.queueRecipientsMax).contains(enqueue.recipients.count) else {
        throw Refusal.limit("a queue entry has 1 to \(DomainLimits.queueRecipientsMax) recipients")
    }
    guard enqueue.octets <= DomainLimits.queueOctetsMax else {
        throw Refusal.limit("the addresses of a queue entry have over \(DomainLimits.queueOctetsMax) octets")
    }
    guard [0, enqueue.recipients.count].contains(enqueue.notify.count),
        [0, enqueue.recipients.count].contains(enqueue.originals.count),
        enqueue.notify.allSatisfy({ $0.isSubset(of: .all) }), enqueue.wishes.flags.isSubset(of: .all)
    else { throw StateFault.inconsistent("the wishes of a queue entry do not match its recipients") }
    let head = try state.head(.queue) ?? AccountHead()
    let body = try context.body(enqueue.body)
    // The position this event will take is used by nothing else, so it names the entry.
    let id = QueueID(head.aseq.next.rawValue)
    let event = QueueAccepted(
        id: id, blob: body.blob, size: body.size, hash: body.hash, mailFrom: enqueue.mailFrom,
        recipients: enqueue.recipients, wishes: enqueue.wishes,
        notify: enqueue.notify.allSatisfy(\.isEmpty) ? [] : enqueue.notify,
        originals: enqueue.originals.allSatisfy(\.isEmpty) ? [] : enqueue.originals)
    guard enqueue.isHeld else { return Decision([.queueAccepted(event)], .queued(id)) }
    let held = QueueRescheduled(id: id, nextAttempt: QueueEntry.never, isHeld: true)
    return Decision([.queueAccepted(event), .queueRescheduled(held)], .queued(id))
}

func decideAttempt(_ attempt: QueueAttempt, _ state: any StateReader) throws -> Decision {
    guard let entry = try state.queueEntry(attempt.result.id) else { throw Refusal.noSuchQueueEntry }
    let touched = Set(attempt.result.recipients.map(Int.init))
    var result = attempt.result
    result.recipients = touched.sorted().map { UInt16($0) }
    result.nextAttempt = nil
    guard !touched.isEmpty,
        touched.allSatisfy({ $0 < entry.recipients.count && entry.recipients[$0].state == .waiting })
    else { throw Refusal.noSuchQueueEntry }
    var events: [Event] = [.queueAttempted(result)]
    switch attempt.outcome {
    case .deferred(let until):
        result.nextAttempt = until
        events.append(.queueDeferred(result))
        return Decision(events)
    case .delivered: events.append(.queueDelivered(result))
    case .bounced: events.append(.queueBounced(result))
    }
    let waiting = entry.recipients.indices.contains { entry.recipients[$0].state == .waiting && !touched.contains($0) }
    if !waiting { events.append(.queueRemoved(result.id, .done)) }
    return Decision(events)
}

/// What is so already is no event.
func decideRescheduling(
    _ command: AccountCommand, of id: QueueID, _ context: DecideContext, _ state: any StateReader
) throws -> Decision {
    guard let entry = try state.queueEntry(id) else { throw Refusal.noSuchQueueEntry }
    let event: QueueRescheduled
    switch command {
    case .holdQueued where !entry.isHeld:
        event = QueueRescheduled(id: id, nextAttempt: QueueEntry.never, isHeld: true)
    case .releaseQueued where entry.isHeld, .retryQueued where !entry.isHeld && entry.nextAttempt > context.now:
        event = QueueRescheduled(id: id, nextAttempt: context.now, isHeld: false)
    default: return Decision([])
    }
    return Decision([.queueRescheduled(event)])
}
