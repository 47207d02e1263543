import Logging
import MailCore
import MailEngine
import MailTypes
import POP3

extension POP3Session {
    /// QUIT: all marked messages go in one request, which also tells whose session it was. Where they are more than one
    /// commit should hold up the others for, the session is told of first, and the engine removes them in parts: RFC 1939
    /// section 6 has an answer for the case that some could not be.
    func commitDeletes(of uids: UIDSet) {
        guard let drop else { return machine.deletesFinished(succeeded: false, into: &actions) }
        isCommitting = true
        let engine = connection.gateway.engine
        let session = SessionOpened(
            session: connection.id, gateway: .pop3, tls: connection.isSecure,
            clientAddress: connection.client.text ?? "", client: "")
        let expunge = Expunge(mailbox: drop.mailbox, uids: uids, onlyDeleted: false, reason: .pop3)
        let opened = Request.Item(drop.account, .openSession(session))
        var items = [Request.Item(drop.account, .expunge(expunge))]
        let origin = Origin(actor: drop.account, session: connection.id, gateway: .pop3)
        if uids.count <= engine.options.batchTouchesMax {
            items.insert(opened, at: 0)
        } else {
            engine.submit(Request([opened], origin: origin)) { _ in }
        }
        let answer = connection.answering { [self] (outcomes: [CommandOutcome]) in committed(outcomes) }
        engine.submit(Request(items, origin: origin), completion: answer)
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
