// RENAME (RFC 9051 section 6.3.6).
import IMAP
import MailCore
import MailEngine
import MailTypes

extension IMAPSession {
    func rename(_ name: MailboxName, to newName: MailboxName) {
        guard let id = mailboxID(name) else { return }
        guard !name.isInbox else { return renameInbox(id, to: newName) }
        change(.renameMailbox(id, to: newName)) { [self] outcome in
            guard case .refused(.inbox) = outcome else { return finish(refusal(outcome)) }
            finish(.no("There is an INBOX", code: .alreadyExists))
        }
    }

    /// INBOX stays, and its messages move to the new name (RFC 9051 section 6.3.6). What comes in meanwhile stays in
    /// INBOX; a crash in between leaves two mailboxes that are both right.
    private func renameInbox(_ inbox: MailboxID, to name: MailboxName) {
        change(.createMailbox(NewMailbox(name: name))) { [self] outcome in
            guard case .done(.mailbox(let id, _), _) = outcome, let account else { return finish(refusal(outcome)) }
            guard let next = snapshot({ try $0.mailbox(account, inbox)?.uidNext }), let next, next > 1 else {
                return finish(.ok("Renamed"))
            }
            let all = UIDSet(UID(1)...UID(next - 1))
            change(.move(CopyMessages(source: inbox, destination: id, uids: all))) { [self] outcome in
                finish(refusal(outcome))
            }
        }
    }

    /// The mailbox of that name; nil when the command has been answered.
    func mailboxID(_ name: MailboxName, creatable: Bool = false) -> MailboxID? {
        guard let account, let found = snapshot({ try $0.mailboxID(account, named: name) }) else { return nil }
        guard let id = found else {
            finish(.no("There is no such mailbox", code: creatable ? .tryCreate : .nonExistent))
            return nil
        }
        return id
    }
}
