// EXPUNGE and UID EXPUNGE (RFC 9051 sections 6.4.3 and 6.4.9). The sync point that follows says what went, others'
// expunges with it.
//
// The view has just been brought up to date, so what it has as `\Deleted` is what goes: the engine is not asked about
// every message of the mailbox.
import IMAP
import MailCore
import MailEngine
import MailTypes

extension IMAPSession {
    func expunge(_ set: SequenceSet?) {
        guard let mailbox = selected else { return finish(.bad("No mailbox is selected")) }
        guard !mailbox.isReadOnly else { return finish(.no("The mailbox is open for reading", code: .readOnly)) }
        let deleted = mailbox.view.uids.deleted
        let uids = set.flatMap { mailbox.resolve($0, isUID: true) }?.intersection(deleted) ?? deleted
        guard !uids.isEmpty else { return finishTellingModSeq("Expunged") }
        let expunge = Expunge(mailbox: mailbox.view.mailbox, uids: uids, onlyDeleted: true, reason: .expunge)
        change(.expunge(expunge)) { [self] outcome in
            guard case .done = outcome else { return finish(refusal(outcome)) }
            // Rule 9 of engine.md section 5: the tagged OK says how far the client has come, once all is told.
            finishTellingModSeq("Expunged")
        }
    }
}
