// COPY and MOVE (RFC 9051 sections 6.4.7 and 6.4.8). COPY is all or nothing; MOVE is so for each message (RFC 6851
// section 4.3). Messages that vanished meanwhile are left out (engine.md section 5, rule 14).
import IMAP
import MailCore
import MailEngine
import MailTypes

extension IMAPSession {
    func copy(_ set: SequenceSet, _ name: MailboxName, isUID: Bool) { transfer(set, name, isUID: isUID, moves: false) }

    func transfer(_ set: SequenceSet, _ name: MailboxName, isUID: Bool, moves: Bool) {
        guard let mailbox = selected else { return finish(.bad("No mailbox is selected")) }
        guard !moves || !mailbox.isReadOnly else {
            return finish(.no("The mailbox is open for reading", code: .readOnly))
        }
        guard let uids = mailbox.resolve(set, isUID: isUID) else { return finish(.bad("There is no such message")) }
        guard let destination = mailboxID(name, creatable: true) else { return }
        guard !uids.isEmpty else { return finish(.ok("Nothing to do")) }
        let copy = CopyMessages(source: mailbox.view.mailbox, destination: destination, uids: uids)
        change(moves ? .move(copy) : .copy(copy)) { [self] outcome in
            guard case .done(.copied(let validity, let source, let new), _) = outcome else {
                return finish(refusal(outcome, creatable: true))
            }
            guard !source.isEmpty else { return finish(.ok("Nothing is left of them")) }
            let code = IMAPResponseCode.copyUID(validity, source: source, destination: new)
            guard moves else { return finish(.ok("Copied", code: code)) }
            // RFC 6851 section 4.3: COPYUID stands in an untagged OK, before the messages go.
            write(.untagged(.ok("Moved", code: code)))
            finishTellingModSeq("Moved")
        }
    }
}
