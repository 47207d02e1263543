import IMAP
import MailTypes

extension IMAPSession {
    func startTLS() {}
    func startCompression() {}
}
