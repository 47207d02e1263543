import Glibc
import MailTypes

/// One import by IMAP into an account at a time: two would take each other's messages for their own.
struct ImportLock {
    private let descriptor: Int32

    init(directory: String, account: AccountID) throws(AdministrationFailure) {
        let folder = ImportJournal.folder(directory, account)
        descriptor = open(folder + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw AdministrationFailure("\(folder)/lock: \(String(cString: strerror(errno)))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw AdministrationFailure("another import into the account is running", .tryAgain)
        }
    }

    func release() { close(descriptor) }
}
