import Logging
import MailTypes
import SMTP

extension SMTPSession {
    /// MAIL: of somebody who has logged in, whether the address is his; and what the filters say.
    func check(sender envelope: SMTPEnvelope) {
        if machine.configuration.dialect == .submission, let sender = envelope.reversePath {
            let verdict = verdict(on: sender)
            guard verdict == .accepted else { return machine.senderChecked(verdict, into: &actions) }
        }
        filterSender(of: envelope) { [self] reply in
            machine.senderChecked(reply.map { .refused($0) } ?? .accepted, into: &actions)
        }
    }

    private func verdict(on sender: Address) -> SenderVerdict {
        do {
            guard let account else { return .notYours }
            guard connection.gateway.sending.checksSender else { return .accepted }
            guard try directory.owner(of: sender) == account else {
                connection.counters.reject(.sender)
                connection.log.info("sender refused", metadata: ["client": "\(connection.client.description)"])
                return .notYours
            }
            return .accepted
        } catch {
            connection.log.error("the directory cannot be read", metadata: ["error": "\(error)"])
            connection.counters.reject(.temporary)
            return .tryLater
        }
    }
}
