// Queue commands as table rows, and what an entry keeps while it waits.
import EventStore
import MailCore
import MailTypes
import Testing

private func accepted(_ id: UInt64, _ recipients: [String], blob: UInt64 = 9) -> QueueAccepted {
    QueueAccepted(
        id: QueueID(id), blob: BlobNumber(blob), size: 100, hash: ContentHash(blob, 0, 0, 0), mailFrom: "a@x.test",
        recipients: recipients)
}

private func enqueue(_ recipients: [String]) -> AccountCommand {
    .enqueue(Enqueue(body: 0, mailFrom: "a@x.test", recipients: recipients))
}

private func result(_ id: UInt64, _ recipients: [UInt16], code: UInt16 = 250) -> QueueResult {
    QueueResult(id: QueueID(id), recipients: recipients, code: code)
}

private func attempt(_ result: QueueResult, _ outcome: QueueAttempt.Outcome) -> AccountCommand {
    .recordAttempt(QueueAttempt(result: result, outcome: outcome))
}

private let two = [Event.queueAccepted(accepted(1, ["b@y.test", "c@y.test"]))]
private let later = Timestamp(seconds: noon.seconds + 600)

private let held = Event.queueRescheduled(
    QueueRescheduled(id: QueueID(1), nextAttempt: QueueEntry.never, isHeld: true))
private let now = Event.queueRescheduled(QueueRescheduled(id: QueueID(1), nextAttempt: noon, isHeld: false))

let queueRows: [Row] = [
    Row(
        "the first entry", account: .queue, bodies: [body(9)], when: enqueue(["b@y.test"]),
        then: .eventsAnswering([.queueAccepted(accepted(1, ["b@y.test"]))], .queued(QueueID(1)))),
    Row(
        "an entry that waits for an operator's word", account: .queue, bodies: [body(9)],
        when: .enqueue(Enqueue(body: 0, mailFrom: "a@x.test", recipients: ["b@y.test"], isHeld: true)),
        then: .eventsAnswering([.queueAccepted(accepted(1, ["b@y.test"])), held], .queued(QueueID(1)))),
    Row(
        "an entry's number is its position", account: .queue,
        given: two + [.queueRemoved(QueueID(1), .operatorRequest)],
        bodies: [body(9)], when: enqueue(["b@y.test"]),
        then: .eventsAnswering([.queueAccepted(accepted(3, ["b@y.test"]))], .queued(QueueID(3)))),
    Row("nobody to send to", account: .queue, bodies: [body(9)], when: enqueue([]), then: .refused(.limit(""))),
    Row(
        "too many to send to", account: .queue, bodies: [body(9)],
        when: enqueue((0...1000).map { "r\($0)@y.test" }), then: .refused(.limit(""))),
    Row(
        "one of two is delivered", account: .queue, given: two, when: attempt(result(1, [1]), .delivered),
        then: .events([.queueAttempted(result(1, [1])), .queueDelivered(result(1, [1]))])),
    Row(
        "a recipient named twice is tried once", account: .queue, given: two,
        when: attempt(result(1, [1, 1]), .delivered),
        then: .events([.queueAttempted(result(1, [1])), .queueDelivered(result(1, [1]))])),
    Row(
        "the last answer removes the entry", account: .queue, given: two + [.queueDelivered(result(1, [1]))],
        when: attempt(result(1, [0], code: 550), .bounced),
        then: .events([
            .queueAttempted(result(1, [0], code: 550)), .queueBounced(result(1, [0], code: 550)),
            .queueRemoved(QueueID(1), .done),
        ])),
    Row(
        "a deferral says when to try again", account: .queue, given: two,
        when: attempt(result(1, [0, 1], code: 451), .deferred(until: later)),
        then: .events([
            .queueAttempted(result(1, [0, 1], code: 451)),
            .queueDeferred(QueueResult(id: QueueID(1), recipients: [0, 1], code: 451, nextAttempt: later)),
        ])),
    Row(
        "a recipient that has its answer", account: .queue, given: two + [.queueDelivered(result(1, [1]))],
        when: attempt(result(1, [1]), .bounced), then: .refused(.noSuchQueueEntry)),
    Row(
        "a recipient that is not there", account: .queue, given: two, when: attempt(result(1, [2]), .delivered),
        then: .refused(.noSuchQueueEntry)),
    Row(
        "an attempt for nobody", account: .queue, given: two, when: attempt(result(1, []), .delivered),
        then: .refused(.noSuchQueueEntry)),
    Row(
        "an entry that is not there", account: .queue, given: two, when: attempt(result(2, [0]), .delivered),
        then: .refused(.noSuchQueueEntry)),
    Row(
        "the operator removes", account: .queue, given: two, when: .removeFromQueue(QueueID(1)),
        then: .events([.queueRemoved(QueueID(1), .operatorRequest)])),
    Row(
        "addresses too long for one record", account: .queue, bodies: [body(9)],
        when: enqueue((0..<300).map { "\($0)" + String(repeating: "x", count: 200) + "@y.test" }),
        then: .refused(.limit(""))),
    Row(
        "wishes come along", account: .queue, bodies: [body(9)],
        when: .enqueue(
            Enqueue(
                body: 0, mailFrom: "a@x.test", recipients: ["b@y.test", "c@y.test"],
                wishes: QueueWishes(flags: .requireTLS, envelopeID: "E"), notify: [[], .never],
                originals: ["", ""])),
        then: .eventsAnswering(
            [
                .queueAccepted(
                    QueueAccepted(
                        id: QueueID(1), blob: BlobNumber(9), size: body(9).size, hash: body(9).hash,
                        mailFrom: "a@x.test", recipients: ["b@y.test", "c@y.test"],
                        wishes: QueueWishes(flags: .requireTLS, envelopeID: "E"), notify: [[], .never]))
            ], .queued(QueueID(1)))),
    Row(
        "the operator holds", account: .queue, given: two, when: .holdQueued(QueueID(1)),
        then: .events([held])),
    Row("what is held is held", account: .queue, given: two + [held], when: .holdQueued(QueueID(1)), then: .events([])),
    Row(
        "what is held is not tried", account: .queue, given: two + [held], when: .retryQueued(QueueID(1)),
        then: .events([])),
    Row(
        "the operator releases", account: .queue, given: two + [held], when: .releaseQueued(QueueID(1)),
        then: .events([now])),
    Row(
        "what is not held is not released", account: .queue, given: two, when: .releaseQueued(QueueID(1)),
        then: .events([])),
    Row(
        "the operator wants a try", account: .queue,
        given: two + [
            .queueDeferred(QueueResult(id: QueueID(1), recipients: [0, 1], code: 451, nextAttempt: later))
        ], when: .retryQueued(QueueID(1)), then: .events([now])),
    Row(
        "the operator holds nothing", account: .queue, when: .holdQueued(QueueID(1)),
        then: .refused(.noSuchQueueEntry)),
    Row(
        "the operator removes nothing", account: .queue, when: .removeFromQueue(QueueID(1)),
        then: .refused(.noSuchQueueEntry)),
]

@Suite struct QueueTests {
    @Test(arguments: queueRows) func decision(_ row: Row) throws { try row.check() }

    @Test func anEntryHoldsItsBodyUntilItIsRemoved() throws {
        let world = try World()
        try world.fold(two, .queue)
        #expect(world.state.references(BlobNumber(9)) == 1)
        try world.run(attempt(result(1, [0]), .deferred(until: later)), .queue)
        let entry = try #require(world.state.queueEntry(QueueID(1)))
        #expect(entry.nextAttempt == later)
        #expect(entry.recipients.map(\.attempts) == [1, 0])
        try world.run(attempt(result(1, [0]), .delivered), .queue)
        try world.run(attempt(result(1, [1]), .delivered), .queue)
        #expect(world.state.queueEntry(QueueID(1)) == nil)
        #expect(world.state.references(BlobNumber(9)) == 0)
    }

    @Test func entriesComeByTheirNextAttempt() throws {
        let world = try World()
        try world.fold(two + [.queueAccepted(accepted(2, ["b@y.test"]))], .queue)
        try world.run(attempt(result(1, [0]), .deferred(until: later)), .queue)
        var order: [QueueID] = []
        world.state.queue { id, _ in
            order.append(id)
            return true
        }
        #expect(order == [QueueID(2), QueueID(1)])
    }

    @Test("a deferral that comes after the operator's word leaves the message held")
    func deferralOfHeld() throws {
        let world = try World()
        try world.fold(two, .queue)
        try world.run(.holdQueued(QueueID(1)), .queue)
        try world.run(attempt(result(1, [0], code: 451), .deferred(until: later)), .queue)
        let entry = try #require(world.state.queueEntry(QueueID(1)))
        #expect(entry.isHeld)
        #expect(entry.nextAttempt == QueueEntry.never)
        #expect(entry.recipients[0].lastCode == 451)
    }

    @Test func futureReleaseWaits() throws {
        let world = try World()
        var event = accepted(1, ["b@y.test"])
        event.wishes.holdUntil = later
        try world.fold([.queueAccepted(event)], .queue)
        #expect(world.state.queueEntry(QueueID(1))?.nextAttempt == later)
    }

    @Test("many long addresses become several entries, each within the limits")
    func parts() {
        let recipients = (0..<1_200).map { "\($0)" + String(repeating: "x", count: 90) + "@y.test" }
        var whole = Enqueue(body: 0, mailFrom: "a@x.test", recipients: recipients)
        whole.notify = recipients.indices.map { $0.isMultiple(of: 2) ? .never : [] }
        let parts = whole.parts
        #expect(parts.count > 1)
        #expect(parts.flatMap(\.recipients) == recipients)
        #expect(parts.flatMap(\.notify) == whole.notify)
        for part in parts {
            #expect(part.octets <= DomainLimits.queueOctetsMax)
            #expect(part.notify.count == part.recipients.count)
        }
        #expect(Enqueue(body: 0, mailFrom: "", recipients: (0..<1_001).map { "\($0)@y" }).parts.count == 2)
        #expect(Enqueue(body: 0, mailFrom: "", recipients: ["b@y.test"]).parts.count == 1)
    }
}
