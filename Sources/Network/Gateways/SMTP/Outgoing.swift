// What a session puts into the outbound queue, and how much each account may.
import MailCore
import MailEngine
import MailTypes
import SMTP
import Synchronization

/// Where a recipient's copy goes.
enum RecipientTarget: Hashable, Sendable {
    /// To a mailbox here, with the commit.
    case here(DeliveryTarget)
    /// Into the queue: to another host, or to a mailbox here with what its sender wants told or put off.
    case queue(QueuedRecipient)

    var isElsewhere: Bool {
        switch self {
        case .here: false
        case .queue(let queued): queued.isElsewhere
        }
    }
}

/// A recipient on its way into the queue.
struct QueuedRecipient: Hashable, Sendable {
    let address: String
    let notify: QueueNotify
    /// ORCPT as it came; empty for none.
    let original: String
    /// At another host, by the word of somebody who may say so.
    let isElsewhere: Bool

    init(_ recipient: SMTPRecipient, isElsewhere: Bool = false) {
        self.isElsewhere = isElsewhere
        address = recipient.address.description
        notify = QueueNotify(recipient.notify)
        original = recipient.originalRecipient?.parameter ?? ""
    }
}

extension QueueNotify {
    /// RFC 3461 section 4.1: NEVER is a word of its own.
    fileprivate init(_ notify: SMTPNotify?) {
        self = []
        guard let notify else { return }
        if notify.isEmpty { insert(.never) }
        if notify.contains(.success) { insert(.success) }
        if notify.contains(.failure) { insert(.failure) }
        if notify.contains(.delay) { insert(.delay) }
    }
}

extension QueueWishes {
    /// What the envelope asks for.
    fileprivate init(_ envelope: SMTPEnvelope, isInward: Bool) {
        self.init(envelopeID: envelope.envelopeID?.encoded ?? "")
        if isInward { flags.insert(.inward) }
        if envelope.requiresTLS { flags.insert(.requireTLS) }
        if envelope.isUTF8 { flags.insert(.utf8) }
        if envelope.bodyType == .binary { flags.insert(.binary) }
        switch envelope.returnedContent {
        case .full: flags.insert(.returnFull)
        case .headers: flags.insert(.returnHeaders)
        case nil: break
        }
        holdUntil = envelope.hold.map { Timestamp(seconds: Int64($0.release(at: envelope.began))) }
        if let deliverBy = envelope.deliverBy {
            self.deliverBy = Timestamp(seconds: Int64(envelope.began) + Int64(deliverBy.seconds))
            if deliverBy.mode == .return { flags.insert(.deliverByReturn) }
            if deliverBy.isTraced { flags.insert(.deliverByTrace) }
        }
    }
}

/// What people who have logged in may send.
package struct SendingOptions: Sendable {
    /// Recipients elsewhere are taken; the node has a queue for them.
    package var isOpen = false
    /// Envelope and From name addresses of whoever has logged in.
    package var checksSender = true
    /// `Received` does not tell where a message was handed in.
    package var hidesClient = false
    /// Recipients elsewhere of one account in an hour; 0 is no limit.
    package var recipientsPerHourMax = 0

    package init() {}
}

/// Counts what accounts send, by the hour.
final class SendingRates: Sendable {
    private struct Hours {
        var hour: Int64 = 0
        /// No more accounts than sent within the hour.
        var counts: [AccountID: Int] = [:]
    }
    private let hours = Mutex(Hours())

    /// Counts one recipient of an account, unless that were more than `max`.
    /// - Returns: the hour that it was counted in; nil when it is one too many.
    fileprivate func take(_ account: AccountID, at now: Timestamp, max: Int) -> Int64? {
        hours.withLock { hours in
            let current = now.seconds / 3600
            if current != hours.hour { hours = Hours(hour: current) }
            guard hours.counts[account, default: 0] < max else { return nil }
            hours.counts[account, default: 0] += 1
            return current
        }
    }

    fileprivate func giveBack(to account: AccountID, hour: Int64) {
        hours.withLock { hours in
            guard hour == hours.hour, let counted = hours.counts[account] else { return }
            hours.counts[account] = counted > 1 ? counted - 1 : nil
        }
    }
}

/// What the recipients of an open transaction took of their sender's hour. It goes back unless the message goes to the
/// engine: so whoever asks in many sessions at once gets no more, and whoever gives up loses nothing. What a filter refuses
/// or takes out goes back by itself.
final class SendingAllowance {
    private let rates: SendingRates
    private let account: AccountID
    /// In which hour each recipient elsewhere was counted, in their order; nil where it is not, or not any more.
    private var hours: [Int64?] = []
    /// The engine has the message; whoever goes before its answer has sent it all the same.
    var isSpent = false

    init(_ rates: SendingRates, _ account: AccountID) {
        self.rates = rates
        self.account = account
    }

    deinit { if !isSpent { giveBack() } }

    func giveBack() { for index in hours.indices { giveBack(at: index) } }

    /// - Parameter index: of a recipient, among those elsewhere.
    func giveBack(at index: Int) {
        guard hours.indices.contains(index), let hour = hours[index] else { return }
        hours[index] = nil
        rates.giveBack(to: account, hour: hour)
    }

    /// The recipient that was taken last is none after all.
    func takeBackLast() {
        giveBack(at: hours.count - 1)
        _ = hours.popLast()
    }

    /// - Parameter max: 0 is no limit.
    func takes(at now: Timestamp, max: Int) -> Bool {
        guard max > 0 else {
            hours.append(nil)
            return true
        }
        guard let hour = rates.take(account, at: now, max: max) else { return false }
        hours.append(hour)
        return true
    }
}

extension SMTPSession {
    /// RCPT for an address elsewhere: whoever has logged in may write to it.
    func verdict(onOutside recipient: SMTPRecipient) -> RecipientVerdict {
        let gateway = connection.gateway
        let sending = gateway.sending
        guard machine.configuration.dialect == .submission, let account, sending.isOpen else { return .relayDenied }
        let allowance = allowance ?? SendingAllowance(gateway.rates, account)
        guard allowance.takes(at: gateway.engine.clock(), max: sending.recipientsPerHourMax) else {
            gateway.notices.say(.sendingLimit, connection.log, ["client": "\(connection.client.description)"])
            return .sendingLimit
        }
        self.allowance = allowance
        targets.append(.queue(QueuedRecipient(recipient, isElsewhere: true)))
        return .accepted
    }

    /// Where the copy of a recipient here goes. The queue delivers with a report, which is one transaction then, and at a
    /// later time (RFC 4865).
    func place(_ recipient: SMTPRecipient, at target: DeliveryTarget, in envelope: SMTPEnvelope?) -> RecipientTarget {
        let isOpen = connection.gateway.sending.isOpen
        let wantsReport = recipient.notify?.contains(.success) == true && envelope?.reversePath != nil
        guard isOpen, wantsReport || envelope?.hold != nil else { return .here(target) }
        return .queue(QueuedRecipient(recipient))
    }

    /// The items that put the message into the queue for `recipients`: one, but for very many long addresses. Addresses here
    /// have one of their own, which leaves for no other host.
    func enqueueing(
        _ recipients: [QueuedRecipient], from envelope: SMTPEnvelope, isHeld: Bool
    ) -> [Request.Item] {
        enqueueing(recipients.filter { !$0.isElsewhere }, from: envelope, isHeld, isInward: true)
            + enqueueing(recipients.filter(\.isElsewhere), from: envelope, isHeld, isInward: false)
    }

    private func enqueueing(
        _ recipients: [QueuedRecipient], from envelope: SMTPEnvelope, _ isHeld: Bool, isInward: Bool
    ) -> [Request.Item] {
        guard !recipients.isEmpty else { return [] }
        let enqueue = Enqueue(
            body: 0, mailFrom: envelope.reversePath?.description ?? "", recipients: recipients.map(\.address),
            wishes: QueueWishes(envelope, isInward: isInward), notify: recipients.map(\.notify),
            originals: recipients.map(\.original), isHeld: isHeld)
        return enqueue.parts.map { Request.Item(.queue, .enqueue($0)) }
    }
}
