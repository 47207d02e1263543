import MailCore
import SMTP

/// What one attempt brought for one recipient of an entry.
struct RecipientResult: Sendable {
    enum Fate: Sendable { case delivered, deferred, bounced }

    /// Into the entry's recipients.
    var index: UInt16
    var fate: Fate
    /// The next host's, or one of ours; nil when nothing was said.
    var reply: SMTPServerReply?
    var text: String
    var remoteHost: String
    /// That host lacks what the message needs; another may have it.
    var isIncapable = false
    /// What the host that took the message goes on with, and so is not ours to do.
    var relayed: SMTPRelayedDuties = []
    /// Into a mailbox of this node.
    var isHere = false

    init(_ index: UInt16, _ outcome: SMTPRecipientOutcome, remoteHost: String) {
        self.index = index
        self.remoteHost = remoteHost
        switch outcome {
        case .delivered(let reply): (fate, self.reply, text) = (.delivered, reply, reply.text)
        case .deferred(let reply): (fate, self.reply, text) = (.deferred, reply, reply.text)
        case .failed(let reply): (fate, self.reply, text) = (.bounced, reply, reply.text)
        case .incapable(let reply):
            (fate, self.reply, text) = (.bounced, reply, reply.text)
            isIncapable = true
        case .unanswered(let reason): (fate, reply, text) = (.deferred, nil, reason)
        }
    }

    /// Ours, without a next host.
    static func failed(_ index: UInt16, _ reply: SMTPServerReply) -> RecipientResult {
        RecipientResult(index, .failed(reply), remoteHost: "")
    }

    static func deferred(_ index: UInt16, _ text: String, remoteHost: String = "") -> RecipientResult {
        RecipientResult(index, .unanswered(text), remoteHost: remoteHost)
    }

    /// Another host may have a better answer.
    var leavesHope: Bool { fate == .deferred || isIncapable }
}

extension RecipientResult {
    /// Results that say the same go into one event.
    struct Kind: Hashable {
        let fate: Fate
        let code: UInt16
        let text: String
        let remoteHost: String
    }

    var kind: Kind {
        Kind(
            fate: fate, code: UInt16(reply?.code ?? 0), text: String(text.prefix(DeliveryLimits.reportFieldOctetsMax)),
            remoteHost: remoteHost)
    }
}
