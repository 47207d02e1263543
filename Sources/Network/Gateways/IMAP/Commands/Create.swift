// CREATE (RFC 9051 section 6.3.4, RFC 6154 section 3). Names above it that are missing are created with it.
import IMAP
import MailCore
import MailEngine
import MailTypes

extension IMAPSession {
    func create(_ name: MailboxName, _ uses: [SpecialUse]) {
        // RFC 6154 section 3: a server may refuse a combination that it cannot keep.
        guard uses.count <= 1 else { return finish(.no("One use for each mailbox", code: .useAttr)) }
        change(.createMailbox(NewMailbox(name: name, specialUse: uses.first))) { [self] outcome in
            guard case .done(.mailbox(let id, _), _) = outcome, let account else { return finish(refusal(outcome)) }
            finish(.ok("Created", code: .mailboxID(ObjectName.mailbox(account, id))))
        }
    }
}
