import IMAP

extension IMAPSession {
    func startTLS() {}
}
