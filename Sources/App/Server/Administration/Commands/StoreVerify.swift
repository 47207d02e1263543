import EventStore
import MailEngine
import MailTypes

/// `verify`: every invariant of the store, or the first counter-example to one.
package struct StoreVerify: AdministrationCommand {
    package static let words = "verify"

    package var account: String?
    /// Only records behind this position of the log.
    package var since: UInt64?
    /// How many of the bodies are read and hashed, 0...100 percent.
    package var blobsPercent: Int
    package var maildir: Bool

    package init(account: String? = nil, since: UInt64? = nil, blobsPercent: Int = 100, maildir: Bool = false) {
        self.account = account
        self.since = since
        self.blobsPercent = blobsPercent
        self.maildir = maildir
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        throw AdministrationFailure("verify is not built yet")
    }
}
