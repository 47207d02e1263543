// SUBSCRIBE and UNSUBSCRIBE (RFC 9051 sections 6.3.7 and 6.3.8): a name can be subscribed to before it exists.
import IMAP
import MailCore
import MailEngine
import MailTypes

extension IMAPSession {
    func subscribe(_ name: MailboxName, _ on: Bool) {
        change(.setSubscription(name, on)) { [self] outcome in finish(refusal(outcome)) }
    }
}
