import ArgumentParser
import Server

struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write mail out for other programs.", subcommands: [Mbox.self, Maildir.self])

    func run() throws { throw ValidationError("export needs mbox or maildir") }

    struct Mbox: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write mailboxes as mbox files, one each.",
            discussion: "Flags, keywords and UIDs stand in header fields, as mbox programs and Dovecot keep them.")

        @OptionGroup var options: StoreOptions

        @Argument var account: String

        @Argument(help: "The directory for the files. The process that owns the store writes there.")
        var directory: String

        @Option(help: "Only this mailbox.")
        var mailbox: String?

        func run() throws {
            try options.run(ExportMbox(address: account, directory: absolute(directory), mailbox: mailbox))
        }
    }

    struct Maildir: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write an account as a Maildir tree, as Dovecot reads it.",
            discussion: "Run again, it brings the tree up to date.")

        @OptionGroup var options: StoreOptions

        @Argument var account: String

        @Argument(
            help: "The directory of the tree, not the projection's own. The process that owns the store writes there.")
        var directory: String

        @Option(help: "Only this mailbox, into a directory that is not there yet.")
        var mailbox: String?

        func run() throws {
            try options.run(ExportMaildir(address: account, directory: absolute(directory), mailbox: mailbox))
        }
    }
}
