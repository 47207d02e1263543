// Who gets a message in the end: the recipients that the client has named, without those that filters have taken out and with
// those that they have added; and what the client hears of each that it has named.
import Logging
import MailCore
import MailTypes
import SMTP

struct Destinations {
    var recipients: [SMTPRecipient] = []
    /// Of each of these.
    var targets: [RecipientTarget] = []
    /// Of each recipient of the envelope, its place above; nil for one that a filter has taken out.
    var places: [Int?] = []
    /// Places of those that filters have added.
    var added: Range<Int> = 0..<0
    /// What became of those that were added in vain.
    var inVain: [DeliveryOutcome] = []
    /// Of the recipients elsewhere that filters have taken out, with nobody elsewhere instead: their places among all those
    /// elsewhere that the client has named.
    var uncounted: ArraySlice<Int> = []
    /// A filter wants it kept from its readers.
    var isQuarantined = false

    /// What the client hears of each of its recipients: one that was taken out has what those have that stand in for it, so that
    /// mail that a filter redirects is acknowledged when it is stored there, and not before.
    ///
    /// - Parameter outcomes: of each of `recipients`.
    func told(_ outcomes: [DeliveryOutcome], name: String) -> [DeliveryOutcome] {
        let standIns = outcomes[added] + inVain
        return places.map { place in
            if let place { return outcomes[place] }
            return standIns.isEmpty ? .stored(id: name) : .forAll(Array(standIns))
        }
    }
}

extension SMTPSession {
    func destinations(_ envelope: SMTPEnvelope) -> Destinations {
        var found = Destinations()
        let wishes = preface?.wishes ?? MilterChanges()
        let removed = Set(wishes.removed.map(\.directoryKey))
        var elsewhere = 0
        for (recipient, target) in zip(envelope.recipients, targets) {
            defer { elsewhere += target.isElsewhere ? 1 : 0 }
            guard !removed.contains(recipient.address.directoryKey) else {
                found.places.append(nil)
                if target.isElsewhere { found.uncounted.append(elsewhere) }
                continue
            }
            found.places.append(found.recipients.count)
            found.recipients.append(recipient)
            found.targets.append(target)
        }
        let first = found.recipients.count
        var known = Set(found.recipients.map(\.address.directoryKey))
        for added in wishes.added {
            // Who is to get it anyway gets it once.
            guard known.insert(added.address.directoryKey).inserted else { continue }
            let recipient = recipient(added, envelope)
            switch standIn(recipient, envelope) {
            case .success(let target):
                found.recipients.append(recipient)
                found.targets.append(target)
            case .failure(let failure):
                connection.log.warning(
                    "a recipient that a milter adds gets nothing", metadata: ["why": "\(failure.outcome)"])
                found.inVain.append(failure.outcome)
            }
        }
        found.added = first..<found.recipients.count
        // A filter that writes other addresses for those of the client is no way around the sender's hour.
        found.uncounted = found.uncounted.dropFirst(found.targets[found.added].count(where: \.isElsewhere))
        if wishes.quarantine != nil {
            found.isQuarantined = true
            found.targets = found.targets.map(quarantined)
        }
        return found
    }

    private func recipient(_ added: AddedRecipient, _ envelope: SMTPEnvelope) -> SMTPRecipient {
        let (recipient, passedOver) = machine.recipient(added.address, parameters: added.parameters, in: envelope)
        if !passedOver.isEmpty {
            connection.log.warning(
                "parameters of a recipient that a milter adds are passed over",
                metadata: ["message": "\(messageName)", "parameters": "\(passedOver.joined(separator: " "))"])
        }
        return recipient
    }

    private struct Vain: Error {
        let outcome: DeliveryOutcome
    }

    /// Where a recipient that a filter adds gets the message: filters are trusted as the site's configuration is, so that what is
    /// elsewhere goes into the queue.
    private func standIn(_ recipient: SMTPRecipient, _ envelope: SMTPEnvelope) -> Result<RecipientTarget, Vain> {
        do {
            switch try directory.look(up: recipient, octets: 0) {
            case .target(let target): return .success(place(recipient, at: target, in: envelope))
            case .refused(.relayDenied) where connection.gateway.sending.isOpen:
                return .success(.queue(QueuedRecipient(recipient, isElsewhere: true)))
            case .refused(let verdict): return .failure(Vain(outcome: .refused(verdict.reply)))
            }
        } catch {
            connection.log.error("the directory cannot be read", metadata: ["error": "\(error)"])
            return .failure(Vain(outcome: .temporaryFailure))
        }
    }

    /// The account's mailbox for junk, where it has one. What goes into the queue is held there.
    private func quarantined(_ target: RecipientTarget) -> RecipientTarget {
        guard case .here(let here) = target else { return target }
        do {
            let junk = try connection.gateway.engine.read { state in
                var found: MailboxID?
                try state.mailboxes(here.account) { mailbox, row in
                    if row.specialUse == .junk { found = mailbox }
                    return found == nil
                }
                return found
            }
            guard let junk else { return target }
            return .here(DeliveryTarget(account: here.account, mailbox: junk, address: here.address))
        } catch {
            connection.log.error("the mailboxes cannot be read", metadata: ["error": "\(error)"])
            return target
        }
    }
}
