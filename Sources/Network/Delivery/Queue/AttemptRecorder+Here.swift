// Recipients whose address is ours, by the time of the attempt: a copy in a mailbox here.
import EventStore
import MailCore
import MailEngine
import MailTypes
import NIOPosix
import SMTP

/// What this node makes of a recipient.
package enum LocalRecipient: Sendable {
    case mailbox(AccountID, MailboxID)
    /// The domain is ours; the address takes no mail, now or for good.
    case refused(SMTPServerReply)
    case elsewhere
}

extension AttemptRecorder {
    /// Delivers to a recipient whose address is ours, in one transaction with the record of it and the report that the
    /// sender wants.
    /// - Returns: nil where it was not ours to deal with.
    func deliverHere(_ message: QueuedMessage, _ index: UInt16, _ original: Original) async -> Recording? {
        let recipient = message.recipient(index).address
        let local: LocalRecipient
        do {
            local = try inbox(recipient)
        } catch {
            return await record(message, [.deferred(index, "the directory cannot be read now")], original)
        }
        switch local {
        case .elsewhere:
            guard message.entry.wishes.flags.contains(.inward) else { return nil }
            // It was taken to stay here. A stranger's would be relayed, anybody else's would go to whoever has the domain now.
            let reply = SMTPServerReply(550, .init(5, 1, 2), lines: ["mail for this domain is not taken here any more"])
            return await record(message, [.failed(index, reply)], original)
        case .refused(let reply):
            let outcome: SMTPRecipientOutcome = reply.isPermanent ? .failed(reply) : .deferred(reply)
            return await record(message, [RecipientResult(index, outcome, remoteHost: "")], original)
        case .mailbox(let account, let mailbox):
            return await deliver(message, index, to: account, mailbox, original)
        }
    }

    private func deliver(
        _ message: QueuedMessage, _ index: UInt16, to account: AccountID, _ mailbox: MailboxID, _ original: Original
    ) async -> Recording {
        guard let reference = try? engine.read({ try $0.body(message.entry.blob) }) else {
            return await record(message, [.deferred(index, "the message cannot be read here now")], nil)
        }
        let stored = StoredBody(original.body, reference)
        let append = AppendMessages(
            mailbox: mailbox, messages: [NewMessage(body: 0)], origin: .smtp,
            envelopeFrom: message.entry.mailFrom, envelopeTo: message.recipient(index).address)
        var result = RecipientResult(
            index, .delivered(SMTPServerReply(250, .init(2, 1, 5), lines: ["delivered here"])), remoteHost: "")
        result.isHere = true
        let now = engine.clock()
        var written = item(message, result.kind, [result], now)
        written.needsPrevious = true
        let outcomes = await perform(
            [Request.Item(account, .append(append)), written], bodies: [stored], reportingOn: [result], of: message,
            original, now)
        if case .refused(let refusal)? = outcomes.first {
            // The mailbox filled, or its account went, between the question and the commit.
            let reply = SMTPServerReply(451, .init(4, 2, 0), lines: ["not taken by the mailbox: \(refusal)"])
            return await record(message, [RecipientResult(index, .deferred(reply), remoteHost: "")], original)
        }
        return recording(outcomes)
    }
}

/// A stored body as the source of a copy.
final class StoredBody: BodySource {
    let count: Int
    let hash: ContentHash
    private let handle: any BodyHandle

    init(_ handle: any BodyHandle, _ reference: BodyReference) {
        self.handle = handle
        count = Int(reference.size)
        hash = reference.hash
    }

    func read(_ body: (UnsafeRawBufferPointer) throws(StoreError) -> Void) throws(StoreError) {
        var offset = 0
        while offset < count {
            var octets: [UInt8] = []
            try handle.read(at: offset, count: min(BodyLimits.runOctetsMax, count - offset), into: &octets)
            guard !octets.isEmpty else { throw .damaged("a queued body ends at \(offset) of \(count) octets") }
            offset += octets.count
            try octets.lend(body)
        }
    }

    func read(at offset: Int, count: Int, into bytes: inout [UInt8]) throws(StoreError) {
        try handle.read(at: offset, count: count, into: &bytes)
    }
}
