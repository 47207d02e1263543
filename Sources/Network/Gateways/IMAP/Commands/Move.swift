import IMAP
import MailTypes

extension IMAPSession {
    /// MOVE (RFC 6851): COPY and the leaving of the source are one event.
    func move(_ set: SequenceSet, _ name: MailboxName, isUID: Bool) { transfer(set, name, isUID: isUID, moves: true) }
}
