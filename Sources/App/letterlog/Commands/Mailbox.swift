import ArgumentParser
import Server

struct Mailbox: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Manage the mailboxes of an account.",
        subcommands: [List.self, Status.self, Create.self, Rename.self, Delete.self])

    func run() throws { throw ValidationError("mailbox needs one of list, status, create, rename, delete") }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the mailboxes of an account.")
        @OptionGroup var options: StoreOptions
        @Argument var account: String
        func run() throws { try options.run(MailboxList(address: account)) }
    }

    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one mailbox.")
        @OptionGroup var options: StoreOptions
        @Argument var account: String
        @Argument var mailbox: String
        func run() throws { try options.run(MailboxStatus(address: account, mailbox: mailbox)) }
    }

    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create a mailbox, and those above it that are missing.")
        @OptionGroup var options: StoreOptions
        @Argument var account: String
        @Argument var mailbox: String
        @Option(help: "drafts, sent, archive, junk, trash, all, flagged or important.")
        var specialUse: String?
        func run() throws {
            try options.run(MailboxCreate(address: account, mailbox: mailbox, specialUse: specialUse))
        }
    }

    struct Rename: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Rename a mailbox, with those below it.")
        @OptionGroup var options: StoreOptions
        @Argument var account: String
        @Argument var mailbox: String
        @Argument var newName: String
        func run() throws {
            try options.run(MailboxRename(address: account, mailbox: mailbox, newName: newName))
        }
    }

    struct Delete: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Delete a mailbox with its messages.")
        @OptionGroup var options: StoreOptions
        @Argument var account: String
        @Argument var mailbox: String
        func run() throws { try options.run(MailboxDelete(address: account, mailbox: mailbox)) }
    }
}
