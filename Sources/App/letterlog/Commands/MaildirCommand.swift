import ArgumentParser
import Server

struct MaildirCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "maildir", abstract: "Look after the Maildirs of two-way accounts.",
        subcommands: [Status.self, Confirm.self, Restore.self])

    func run() throws { throw ValidationError("maildir needs one of status, confirm, restore") }

    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what waits for a word, and what could not be taken.")
        @OptionGroup var options: StoreOptions
        @Argument var address: String
        func run() throws { try options.run(MaildirShowStatus(address: address)) }
    }

    struct Confirm: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Delete the messages whose files are gone.")
        @OptionGroup var options: StoreOptions
        @Argument var address: String
        func run() throws { try options.run(MaildirConfirm(address: address)) }
    }

    struct Restore: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Write the files that are gone again.")
        @OptionGroup var options: StoreOptions
        @Argument var address: String
        func run() throws { try options.run(MaildirRestore(address: address)) }
    }
}
