import MailCore

/// `import mbox`.
package struct ImportMbox: AdministrationCommand {
    package static let words = "import mbox"

    package var address: String
    /// An absolute path: the process that owns the store reads it.
    package var file: String
    package var mailbox: String

    package init(address: String, file: String, mailbox: String) {
        self.address = address
        self.file = file
        self.mailbox = mailbox
    }

    package func run(in session: AdministrationSession) throws -> AdministrationResult? {
        throw AdministrationFailure("import is not built yet")
    }
}
