import MailTypes
import SMTP
import Testing

private let toBody = "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: x\r\n"

/// A machine that has been brought to a question, without a handler that answers.
private func machine(_ input: String) -> (SMTPServerMachine, [SMTPAction], consumed: Int) {
    var machine = SMTPServerMachine(Site().configuration)
    var actions: [SMTPAction] = []
    machine.start(into: &actions)
    actions = []
    let consumed = Array(input.utf8).withUnsafeBytes { machine.receive($0, into: &actions) }
    return (machine, actions, consumed)
}

@Suite struct LifecycleTests {
    @Test func timeOutBetweenCommands() {
        var session = Session()
        session.tell { $0.timedOut(into: &$1) }
        #expect(session.record.lines.last == "421 4.4.2 Timed out, closing")
        #expect(session.record.closed == .timedOut)
    }

    @Test func timeOutWithinABody() {
        var session = Session()
        session.send(toBody)
        session.tell { $0.timedOut(into: &$1) }
        #expect(session.record.discarded == 1)
        #expect(session.record.closed == .timedOut)
        session.send(".\r\nNOOP\r\n")
        #expect(session.record.lines.last == "421 4.4.2 Timed out, closing")
    }

    @Test func shutdownBetweenCommands() {
        var session = Session()
        session.send("EHLO c\r\n")
        session.tell { $0.shuttingDown(into: &$1) }
        #expect(session.record.lines.last == "421 4.3.2 Shutting down, try again later")
        #expect(session.record.closed == .shuttingDown)
    }

    @Test func shutdownLetsAMessageFinish() {
        var session = Session()
        session.send(toBody)
        session.tell { $0.shuttingDown(into: &$1) }
        #expect(session.record.closed == nil)
        session.send(".\r\nNOOP\r\n")
        #expect(session.record.lines.suffix(2).map { $0.prefix(9) } == ["250 2.6.0", "421 4.3.2"])
        #expect(session.record.messages.count == 1)
        #expect(session.record.closed == .shuttingDown)
    }

    @Test func disconnectionWithinABodyDiscardsIt() {
        var session = Session()
        session.send(toBody)
        session.tell { $0.disconnected(into: &$1) }
        #expect(session.record.discarded == 1)
        #expect(session.record.closed == .disconnected)
    }

    @Test func refusedBodyIsDiscardedOnce() {
        var session = Session()
        session.send(toBody + "\nbare\r\n")
        session.tell { $0.disconnected(into: &$1) }
        #expect(session.record.discarded == 1)
    }

    @Test func tooManyConnections() {
        var session = Session(greeted: false)
        session.tell { $0.refuseConnection(into: &$1) }
        #expect(session.record.lines == ["421 4.7.0 Too many connections, try again later"])
        #expect(session.record.closed == .tooManyConnections)
    }

    @Test func nothingIsTakenWhileAnAnswerIsAwaited() {
        let input = "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nQUIT\r\n"
        var (machine, actions, consumed) = machine(input)
        #expect(machine.isWaiting)
        #expect(consumed == input.utf8.count - 6)
        #expect(actions.last == .checkRecipient(SMTPRecipient(Address("a@b")!)))
        actions = []
        let more = Array("QUIT\r\n".utf8).withUnsafeBytes { machine.receive($0, into: &actions) }
        #expect(more == 0 && actions.isEmpty)
        machine.timedOut(into: &actions)
        #expect(actions.isEmpty, "it is the client who waits")
        machine.recipientChecked(.relayDenied, into: &actions)
        #expect(!machine.isWaiting)
    }

    @Test func shutdownWhileAnAnswerIsAwaited() {
        var (machine, actions, _) = machine("EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n")
        actions = []
        machine.shuttingDown(into: &actions)
        #expect(actions.isEmpty)
        machine.recipientChecked(.accepted, into: &actions)
        #expect(actions.last == .close(.shuttingDown))
        #expect(actions.count == 3)
    }

    @Test func lateAnswersArePassedOver() {
        var (machine, actions, _) = machine("EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n")
        machine.recipientChecked(.accepted, into: &actions)
        _ = Array("DATA\r\n".utf8).withUnsafeBytes { machine.receive($0, into: &actions) }
        actions = []
        machine.disconnected(into: &actions)
        #expect(actions == [.discardBody, .close(.disconnected)])
        actions = []
        machine.bodyStarted(.ready, into: &actions)
        machine.deliveryFinished([], into: &actions)
        machine.recipientChecked(.accepted, into: &actions)
        #expect(actions.isEmpty)
    }

    /// What SMTP says when its recipients fare differently: success only for all, else what makes the sender try again.
    @Test(arguments: [
        ([DeliveryOutcome.stored(id: "1"), .stored(id: "1")], "250 2.6.0"),
        ([.stored(id: "1"), .overQuota], "452 4.2.2"),
        ([.overQuotaForGood, .temporaryFailure, .stored(id: "1")], "451 4.3.0"),
        ([.stored(id: "1"), .unknownUser], "550 5.1.1"),
        ([.overQuotaForGood, .overQuotaForGood], "552 5.2.2"),
        ([.queueFull], "451 4.3.1"), ([.storageFull], "452 4.3.1"), ([.disabled], "550 5.2.1"),
        ([.tooManyHops], "554 5.4.6"),
    ])
    func oneReplyForAll(_ outcomes: [DeliveryOutcome], _ reply: String) {
        var site = Site()
        var recipients = ""
        for (index, outcome) in outcomes.enumerated() {
            site.outcomes["u\(index)@example.test"] = outcome
            recipients += "RCPT TO:<u\(index)@example.test>\r\n"
        }
        let record = Session.run("EHLO c\r\nMAIL FROM:<>\r\n" + recipients + "DATA\r\n.\r\n", site: site)
        #expect(record.lines.last!.prefix(9) == reply)
    }
}
