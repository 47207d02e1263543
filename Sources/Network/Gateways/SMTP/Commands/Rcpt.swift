import SMTP

extension SMTPSession {
    /// RCPT: whether the address is ours, and where its mail goes; then what the filters say.
    func check(_ recipient: SMTPRecipient) {
        // A transaction that was reset took its recipients with it.
        let accepted = machine.envelope?.recipients.count ?? 0
        targets.removeLast(targets.count - min(accepted, targets.count))
        if targets.isEmpty { allowance = nil }
        let verdict = verdict(on: recipient)
        guard verdict == .accepted else { return machine.recipientChecked(verdict, into: &actions) }
        filter(recipient) { [self] reply in
            if reply != nil, targets.removeLast().isElsewhere { allowance?.takeBackLast() }
            machine.recipientChecked(reply.map { .refused($0) } ?? .accepted, into: &actions)
        }
    }

    private func verdict(on recipient: SMTPRecipient) -> RecipientVerdict {
        let answer: RecipientDirectory.Answer
        do {
            answer = try directory.look(up: recipient, octets: machine.envelope?.declaredOctets ?? 0)
        } catch {
            connection.log.error("the directory cannot be read", metadata: ["error": "\(error)"])
            connection.counters.reject(.temporary)
            return .tryLater("Cannot look up the recipient now, try again later")
        }
        switch answer {
        case .target(let target):
            guard connection.gateway.sending.isOpen || machine.envelope?.hold == nil else {
                connection.counters.reject(.temporary)
                return .tryLater("What is to wait is not taken any more")
            }
            targets.append(place(recipient, at: target, in: machine.envelope))
            return .accepted
        case .refused(let refusal):
            let verdict = refusal == .relayDenied ? verdict(onOutside: recipient) : refusal
            if verdict == .accepted { return verdict }
            if let reason = verdict.rejectReason { connection.counters.reject(reason) }
            connection.gateway.notices.say(
                .recipientRefused, connection.log,
                ["reason": "\(verdict)", "client": "\(connection.client.description)"])
            return verdict
        }
    }
}

extension RecipientVerdict {
    fileprivate var rejectReason: RejectReason? {
        switch self {
        case .accepted: nil
        case .unknownUser: .unknownUser
        case .relayDenied: .relay
        case .disabled: .disabled
        case .overQuota: .overQuota
        case .tryLater: .temporary
        case .sendingLimit: .relay
        case .refused: .milter
        }
    }
}
