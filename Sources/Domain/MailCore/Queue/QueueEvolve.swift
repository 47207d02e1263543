// Queue events folded. A queue entry holds one reference to its body until it is removed.
import MailTypes

func foldQueue(_ event: Event, at context: EventContext, in state: any StateEditor) throws(StateFault) {
    switch event {
    case .queueAccepted(let event):
        let recipients = event.recipients.enumerated().map { index, address in
            QueueEntry.Recipient(
                address: address, notify: event.notify.indices.contains(index) ? event.notify[index] : [],
                original: event.originals.indices.contains(index) ? event.originals[index] : "")
        }
        let entry = QueueEntry(
            blob: event.blob, size: event.size, accepted: context.time,
            nextAttempt: event.wishes.holdUntil.map { max($0, context.time) } ?? context.time,
            mailFrom: event.mailFrom, recipients: recipients, wishes: event.wishes)
        try state.setQueueEntry(event.id, entry)
        try state.adjustReferences(event.blob, by: 1)
    case .queueAttempted(let result):
        try updateQueue(result, in: state) { $0.attempts += 1 }
    case .queueDelivered(let result):
        try updateQueue(result, in: state) { $0.state = .delivered }
    case .queueDeferred(let result):
        try updateQueue(result, in: state) { _ in }
    case .queueBounced(let result):
        try updateQueue(result, in: state) { $0.state = .bounced }
    case .queueRescheduled(let event):
        guard var entry = try state.queueEntry(event.id) else {
            throw .inconsistent("rescheduling of queue entry \(event.id.rawValue), which is not there")
        }
        entry.nextAttempt = event.nextAttempt
        entry.isHeld = event.isHeld
        try state.setQueueEntry(event.id, entry)
    case .queueRemoved(let id, _):
        guard let entry = try state.queueEntry(id) else {
            throw .inconsistent("removal of queue entry \(id.rawValue), which is not there")
        }
        try state.setQueueEntry(id, nil)
        try state.adjustReferences(entry.blob, by: -1)
    default:
        throw .inconsistent("not a queue event")
    }
}

private func updateQueue(
    _ result: QueueResult, in state: any StateEditor, _ change: (inout QueueEntry.Recipient) -> Void
) throws(StateFault) {
    guard var entry = try state.queueEntry(result.id) else {
        throw .inconsistent("event for queue entry \(result.id.rawValue), which is not there")
    }
    let lastText = String(result.text.prefix(DomainLimits.queueLastTextCharactersMax))
    for index in result.recipients {
        guard Int(index) < entry.recipients.count else {
            throw .inconsistent("recipient \(index) of queue entry \(result.id.rawValue), which is not there")
        }
        change(&entry.recipients[Int(index)])
        entry.recipients[Int(index)].lastCode = result.code
        entry.recipients[Int(index)].lastHost = result.remoteHost
        entry.recipients[Int(index)].lastText = lastText
    }
    if let next = result.nextAttempt, !entry.isHeld { entry.nextAttempt = next }
    try state.setQueueEntry(result.id, entry)
}
