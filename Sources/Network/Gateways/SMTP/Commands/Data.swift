// DATA: a body with its trace in front, stored for every recipient in one request.
//
// Recipients that lead to the same account share one copy: the account gets the message once, and every RCPT that named
// it gets that copy's outcome.
import EventStore
import Logging
import MailCore
import MailEngine
import MailTypes
import NIOCore
import SMTP

extension SMTPSession {
    func startBody(_ envelope: SMTPEnvelope) {
        switch connection.gateway.admits() {
        case .open:
            let receiver = BodyReceiver(connection)
            messageCount += 1
            beginChecks(envelope, trace(envelope), receiver)
            body = receiver
            submission = machine.configuration.dialect == .submission ? beginSubmission() : nil
            // What people send has no host before us.
            repeated =
                machine.configuration.dialect == .submission
                ? nil : RepeatedMessage(identity: machine.forwarded.identity)
            machine.bodyStarted(.ready, into: &actions)
        case .queueFull:
            connection.counters.reject(.busy)
            machine.bodyStarted(.queueFull, into: &actions)
        case .stopped:
            connection.counters.reject(.temporary)
            machine.bodyStarted(.tryLater, into: &actions)
        }
    }

    /// Names the message in log lines and in our replies.
    var messageName: String { name(ofMessage: messageCount) }
    /// The name of the next one.
    var upcomingMessageName: String { name(ofMessage: messageCount + 1) }

    private func name(ofMessage number: Int) -> String {
        String(connection.id.rawValue, radix: 16) + "." + String(number)
    }

    private var gatewayKind: GatewayKind {
        switch machine.configuration.dialect {
        case .lmtp: .lmtp
        case .smtp: .smtp
        case .submission: .submission
        }
    }

    private func trace(_ envelope: SMTPEnvelope) -> SMTPTrace {
        let isHidden = machine.configuration.dialect == .submission && connection.gateway.sending.hidesClient
        return SMTPTrace(
            returnPath: envelope.reversePath, clientName: isHidden ? "localhost" : machine.clientName,
            clientAddress: isHidden ? nil : connection.client.text,
            hostName: machine.configuration.hostName,
            transmissionType: machine.transmissionType(
                isEncrypted: machine.isSecure, isAuthenticated: machine.isAuthenticated), id: messageName,
            date: MailDate.text(InternalDate(time: connection.gateway.engine.clock())))
    }

    func deliver() {
        let receiver = body
        body = nil
        guard let receiver else { return finish(all: .temporaryFailure) }
        submission?.finish(to: receiver)
        let refusal = submission?.refusal
        submission = nil
        if let refusal {
            receiver.abandon()
            return finish(all: refusal)
        }
        receiver.finish { [self] result in
            switch result {
            case .success(let source): prepare(source)
            case .failure(let failure):
                connection.log.warning("message not taken", metadata: ["error": "\(failure)"])
                act { finish(all: failure.outcome) }
            }
        }
    }

    func submit(_ source: any BodySource) {
        guard let envelope = preface?.envelope else { return finish(all: .temporaryFailure) }
        let isLMTP = machine.configuration.dialect == .lmtp
        let sender = envelope.reversePath?.description ?? ""
        let destinations = destinations(envelope)
        // Filters have left nobody.
        guard !destinations.recipients.isEmpty else { return settle([], [], destinations, envelope, source) }
        var repeated = repeated
        self.repeated = nil
        var items: [Request.Item] = []
        var itemOfAccount: [AccountID: Int] = [:]
        // Of each destination; nil for those that go into the queue.
        var itemOfRecipient: [Int?] = []
        var away: [QueuedRecipient] = []
        for recipient in destinations.targets {
            let target: DeliveryTarget
            switch recipient {
            case .here(let here): target = here
            case .queue(let queued):
                away.append(queued)
                itemOfRecipient.append(nil)
                continue
            }
            if let item = itemOfAccount[target.account] {
                itemOfRecipient.append(item)
                continue
            }
            let append = AppendMessages(
                mailbox: target.mailbox, messages: [NewMessage(body: 0)], origin: isLMTP ? .lmtp : .smtp,
                envelopeFrom: sender, envelopeTo: target.address)
            itemOfAccount[target.account] = items.count
            itemOfRecipient.append(items.count)
            let command = repeated?.command(from: sender, to: target.address)
            items.append(Request.Item(target.account, .append(append), repeats: command))
        }
        let first = items.count
        items += enqueueing(away, from: envelope, isHeld: destinations.isQuarantined).map { item in
            guard case .enqueue(let enqueue) = item.command else { return item }
            // What waits in the queue for a mailbox here may come again too.
            let command = repeated?.command(from: sender, to: enqueue.recipients.joined(separator: " "))
            return Request.Item(item.account, item.command, repeats: command)
        }
        // What goes into the queue is taken or refused together: the first tells.
        let places = itemOfRecipient.map { $0 ?? first }
        for index in destinations.uncounted { allowance?.giveBack(at: index) }
        allowance?.isSpent = true
        let origin = Origin(actor: account, session: connection.id, gateway: gatewayKind)
        let answer = connection.answering { [self] (outcomes: [CommandOutcome]) in
            act { settle(outcomes, places, destinations, envelope, source) }
        }
        connection.gateway.engine.submit(
            Request(items, bodies: [source], origin: origin), completion: answer)
    }

    /// Where some recipients have a submitted message and others refused it, a single reply can tell neither: those go into
    /// the queue, where each gets another try or a report of its own, and the reply waits for that.
    private func settle(
        _ outcomes: [CommandOutcome], _ itemOfRecipient: [Int], _ destinations: Destinations,
        _ envelope: SMTPEnvelope, _ source: any BodySource
    ) {
        let isMixed = outcomes.contains { $0.isStored } && !outcomes.allSatisfy { $0.isStored }
        guard isMixed, machine.configuration.dialect == .submission, connection.gateway.sending.isOpen else {
            return delivered(outcomes, itemOfRecipient, destinations)
        }
        let left = destinations.targets.indices.filter { !outcomes[itemOfRecipient[$0]].isStored }.map { index in
            if case .queue(let queued) = destinations.targets[index] { return queued }
            return QueuedRecipient(destinations.recipients[index])
        }
        let origin = Origin(actor: account, session: connection.id, gateway: .submission)
        let answer = connection.answering { [self] (second: [CommandOutcome]) in
            let failed = second.first { !$0.isStored }
            let merged = outcomes.map { $0.isStored ? $0 : failed ?? second[0] }
            act { delivered(merged, itemOfRecipient, destinations) }
        }
        connection.gateway.engine.submit(
            Request(
                enqueueing(left, from: envelope, isHeld: destinations.isQuarantined), bodies: [source], origin: origin),
            completion: answer)
    }

    private func delivered(
        _ outcomes: [CommandOutcome], _ itemOfRecipient: [Int], _ destinations: Destinations
    ) {
        let name = messageName
        let told = outcomes.map { outcome in
            let told = outcome.told(id: name)
            if case .stored = told { connection.counters.deliveries.add() } else { note(told, outcome) }
            return told
        }
        if !outcomes.contains(where: \.isStored) { allowance?.giveBack() }
        allowance = nil
        connection.log.debug("message stored", metadata: ["message": "\(name)", "copies": "\(told.count)"])
        targets = []
        machine.deliveryFinished(
            destinations.told(itemOfRecipient.map { told[$0] }, name: name), into: &actions)
    }

    private func note(_ told: DeliveryOutcome, _ outcome: CommandOutcome) {
        connection.counters.reject(told.rejectReason)
        connection.log.warning("message not stored", metadata: ["message": "\(messageName)", "why": "\(outcome)"])
    }

    func finish(all outcome: DeliveryOutcome) {
        if case .stored = outcome {} else { connection.counters.reject(outcome.rejectReason) }
        let count = machine.envelope?.recipients.count ?? 0
        targets = []
        allowance = nil
        machine.deliveryFinished(Array(repeating: outcome, count: count), into: &actions)
    }
}

extension EngineFailure {
    fileprivate var outcome: DeliveryOutcome {
        switch self {
        case .busy: .queueFull
        case .full: .storageFull
        case .stopped, .fault, .tooLarge: .temporaryFailure
        }
    }
}

extension CommandOutcome {
    fileprivate var isStored: Bool {
        switch self {
        case .done, .duplicate: true
        case .refused, .failed: false
        }
    }

    fileprivate func told(id: String) -> DeliveryOutcome {
        switch self {
        case .done, .duplicate: return .stored(id: id)
        case .failed(let failure): return failure.outcome
        case .refused(let refusal):
            switch refusal {
            case .overQuota: return .overQuota
            case .accountDisabled: return .disabled
            case .noSuchAccount, .accountRemoved, .noSuchMailbox: return .unknownUser
            default: return .temporaryFailure
            }
        }
    }
}

extension DeliveryOutcome {
    fileprivate var rejectReason: RejectReason {
        switch self {
        case .overQuota, .overQuotaForGood: .overQuota
        case .storageFull: .storageFull
        case .queueFull: .busy
        case .unknownUser: .unknownUser
        case .disabled: .disabled
        case .stored, .temporaryFailure: .temporary
        case .tooManyHops, .headerTooLarge, .noAuthor: .message
        case .notTheirAddress: .sender
        case .refusedByDomain, .tooManyAuthors: .policy
        case .refused: .milter
        }
    }
}
