import ArgumentParser
import Foundation
import Server

struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring mail in from elsewhere.", subcommands: [Mbox.self, Maildir.self, Imap.self])

    func run() throws { throw ValidationError("import needs mbox, maildir or imap") }

    struct Mbox: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Append the messages of an mbox file to a mailbox.",
            discussion: """
                Flags come from Status and X-Status headers, keywords from X-Keywords, dates from the From lines; UIDs where
                the file has them and the mailbox has given none of its own. Run again, it brings nothing twice.
                """)

        @OptionGroup var options: StoreOptions

        @Argument var account: String

        @Argument(help: "The mbox file. The process that owns the store reads it.")
        var file: String

        @Option(help: "Where to; it is created when it is missing.")
        var mailbox = "INBOX"

        @Option(
            help: """
                How the file protects lines that begin with From: mboxrd, mboxo or none. By default mboxrd, and none in \
                messages whose Content-Length leads to the next one.
                """)
        var form: MboxForm?

        func run() throws {
            try options.run(
                ImportMbox(address: account, file: absolute(file), mailbox: mailbox, quoting: form))
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

    struct Imap: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Copy the mail of accounts from another server, over IMAP.",
            discussion: """
                Every folder comes along with flags, keywords, dates, special uses and subscriptions; UIDs and UIDVALIDITY
                where the mailbox here has given no UID of its own. Nothing changes on the other server. Run again, it
                brings what is new and flags that changed there; run after an interruption, it goes on.

                One account: ACCOUNT, with --user where its name there is another. Many: --accounts FILE.csv, with
                account,user,password on each line; with a master user the password may be missing.
                """)

        @OptionGroup var options: StoreOptions

        @Argument(help: "The account here; not with --accounts.")
        var account: String?

        @Option(help: "The other server.")
        var host: String

        @Option(help: "Its port; by default 993, or 143 for starttls and none.")
        var port: Int?

        @Option(help: "tls, starttls or none.")
        var security = SourceSecurity.tls

        @Option(help: ArgumentHelp("Certificates to trust in the place of the system's, PEM.", valueName: "file"))
        var ca: String?

        @Option(help: "The user there; by default the account's address.")
        var user: String?

        @Option(help: ArgumentHelp("account,user,password on each line.", valueName: "file"))
        var accounts: String?

        @Option(help: "A user there who may read everybody's mail; the password asked for is this user's.")
        var masterUser: String?

        @Option(
            help: ArgumentHelp(
                "Joins user and master user in one login name, as in user*master. By default SASL names both.",
                valueName: "text"))
        var masterSeparator: String?

        @Option(help: "Connections for one account.")
        var connections = 3

        @Option(help: "Accounts whose mail is copied at the same time.")
        var accountsAtOnce = 2

        @Flag(help: "Read the password from the first line of standard input.")
        var passwordStdin = false

        func run() throws {
            guard (account == nil) != (accounts == nil) else {
                throw ValidationError("import imap needs an account, or --accounts FILE")
            }
            guard user == nil || accounts == nil else {
                throw ValidationError("--user names one account's user; in --accounts FILE it stands on each line")
            }
            var entries: [ImportImap.Entry]
            var password: String?
            if masterUser != nil || account != nil {
                password = String(
                    decoding: try PasswordInput.read(fromInput: passwordStdin, confirms: false), as: UTF8.self)
            }
            if let accounts {
                entries = try SourceAccountFile.read(path: accounts, needsPasswords: masterUser == nil)
            } else {
                let account = account ?? ""
                entries = [.init(address: account, user: user ?? account, password: password ?? "")]
            }
            var command = ImportImap(host: host, port: port, security: security, entries: entries)
            command.master = masterUser
            command.masterSeparator = masterSeparator
            command.masterPassword = masterUser == nil ? nil : password
            command.authorities = ca.map(absolute)
            command.connections = connections
            command.accountsAtOnce = accountsAtOnce
            try options.run(command)
        }
    }
}

extension SourceSecurity: ExpressibleByArgument {}
extension MboxForm: ExpressibleByArgument {}
