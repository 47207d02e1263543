// DELETE (RFC 9051 section 6.3.5). A name with mailboxes below it stays: HASCHILDREN.
import IMAP
import MailCore
import MailEngine
import MailTypes

extension IMAPSession {
    func delete(_ name: MailboxName) {
        guard let id = mailboxID(name) else { return }
        change(.deleteMailbox(id)) { [self] outcome in
            if case .done = outcome, selected?.view.mailbox == id {
                leaveMailbox()
                act { machine.mailboxClosed("The mailbox is no more", into: &actions) }
            }
            finish(refusal(outcome))
        }
    }
}
