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
}

/// A recipient on its way into the queue.
struct QueuedRecipient: Hashable, Sendable {
    let address: String
    let notify: QueueNotify
    /// ORCPT as it came; empty for none.
    let original: String

    init(_ recipient: SMTPRecipient) {
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
    fileprivate init(_ envelope: SMTPEnvelope) {
        self.init(envelopeID: envelope.envelopeID?.encoded ?? "")
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
    fileprivate struct Hours {
        var hour: Int64 = 0
        var counts: [AccountID: Int] = [:]
    }
    private let hours = Mutex(Hours())

    /// Whether so many more are within the limit.
    func admits(_ count: Int, of account: AccountID, at now: Timestamp, max: Int) -> Bool {
        guard max > 0 else { return true }
        return hours.withLock { hours in
            hours.turn(now)
            return hours.counts[account, default: 0] + count <= max
        }
    }

    func count(_ count: Int, of account: AccountID, at now: Timestamp) {
        hours.withLock { hours in
            hours.turn(now)
            hours.counts[account, default: 0] += count
        }
    }
}

extension SendingRates.Hours {
    /// No more accounts are held than sent within the hour.
    fileprivate mutating func turn(_ now: Timestamp) {
        let current = now.seconds / 3600
        guard current != hour else { return }
        self = SendingRates.Hours(hour: current, counts: [:])
    }
}

extension SMTPSession {
    /// RCPT for an address elsewhere: whoever has logged in may write to it.
    func verdict(onOutside recipient: SMTPRecipient) -> RecipientVerdict {
        let sending = connection.gateway.options.sending
        guard machine.configuration.dialect == .submission, let account, sending.isOpen else { return .relayDenied }
        let waiting = targets.reduce(1) { if case .queue = $1 { $0 + 1 } else { $0 } }
        guard
            connection.gateway.rates.admits(
                waiting, of: account, at: connection.gateway.engine.clock(), max: sending.recipientsPerHourMax)
        else {
            connection.gateway.notices.say(
                .sendingLimit, connection.log, ["client": "\(connection.client.description)"])
            return .sendingLimit
        }
        targets.append(.queue(QueuedRecipient(recipient)))
        return .accepted
    }

    /// Where the copy of a recipient here goes. The queue delivers with a report, which is one transaction then, and at a
    /// later time (RFC 4865).
    func place(_ recipient: SMTPRecipient, at target: DeliveryTarget) -> RecipientTarget {
        let isOpen = connection.gateway.options.sending.isOpen
        let wantsReport = recipient.notify?.contains(.success) == true && machine.envelope?.reversePath != nil
        guard isOpen, wantsReport || machine.envelope?.hold != nil else { return .here(target) }
        return .queue(QueuedRecipient(recipient))
    }

    /// The items that put the message into the queue for `recipients`: one, but for very many long addresses.
    func enqueueing(
        _ recipients: [QueuedRecipient], from envelope: SMTPEnvelope, isHeld: Bool
    ) -> [Request.Item] {
        guard !recipients.isEmpty else { return [] }
        let enqueue = Enqueue(
            body: 0, mailFrom: envelope.reversePath?.description ?? "", recipients: recipients.map(\.address),
            wishes: QueueWishes(envelope), notify: recipients.map(\.notify), originals: recipients.map(\.original),
            isHeld: isHeld)
        return enqueue.parts.map { Request.Item(.queue, .enqueue($0)) }
    }
}
