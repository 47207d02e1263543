import ArgumentParser
import Server

struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring mail in from elsewhere.", subcommands: [Mbox.self, Maildir.self])

    func run() throws { throw ValidationError("import needs mbox or maildir") }

    struct Mbox: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Append the messages of an mbox file to a mailbox.",
            discussion: "Flags come from Status and X-Status headers, dates from the From lines.")

        @OptionGroup var options: StoreOptions

        @Argument var account: String

        @Argument(help: "The mbox file. The process that owns the store reads it.")
        var file: String

        @Option(help: "Where to; it is created when it is missing.")
        var mailbox = "INBOX"

        func run() throws {
            try options.run(ImportMbox(address: account, file: absolute(file), mailbox: mailbox))
        }
    }

    struct Maildir: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Bring in a Maildir tree with its folders.",
            discussion: """
                Flags, keywords, dates and subscriptions come along, and UIDs where Dovecot's or Courier's lists have
                them and the mailbox has given none of its own. Run again, it goes on where it stopped.
                """)

        @OptionGroup var options: StoreOptions

        @Argument var account: String

        @Argument(help: "The Maildir. The process that owns the store reads it.")
        var directory: String

        func run() throws { try options.run(ImportMaildir(address: account, directory: absolute(directory))) }
    }
}
