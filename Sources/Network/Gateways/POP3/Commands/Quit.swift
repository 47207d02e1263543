import Logging
import MailCore
import MailEngine
import MailTypes
import POP3

extension POP3Session {
    /// QUIT: all marked messages go in one request, which also tells whose session it was.
    func commitDeletes(of uids: UIDSet) {
        guard let drop else { return machine.deletesFinished(succeeded: false, into: &actions) }
        isCommitting = true
        let session = SessionOpened(
            session: connection.id, gateway: .pop3, tls: connection.isSecure,
            clientAddress: connection.client.text ?? "", client: "")
        let expunge = Expunge(mailbox: drop.mailbox, uids: uids, onlyDeleted: false, reason: .pop3)
        let request = Request(
            [Request.Item(drop.account, .openSession(session)), Request.Item(drop.account, .expunge(expunge))],
            origin: Origin(actor: drop.account, session: connection.id, gateway: .pop3))
        let answer = connection.answering { [self] (outcomes: [CommandOutcome]) in committed(outcomes) }
        connection.gateway.engine.submit(request, completion: answer)
    }

    private func committed(_ outcomes: [CommandOutcome]) {
        isCommitting = false
        releaseMaildrop()
        var succeeded = false
        if case .done = outcomes.last {
            succeeded = true
        } else {
            connection.counters.reject(.temporary)
            connection.log.warning("deletions not done", metadata: ["why": "\(outcomes)"])
        }
        act { machine.deletesFinished(succeeded: succeeded, into: &actions) }
    }
}
