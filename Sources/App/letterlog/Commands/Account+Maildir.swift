import ArgumentParser
import Server

extension Account {
    struct SetMaildir: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "maildir", abstract: "Show or set whether other programs may change an account's Maildir.")

        @OptionGroup var options: StoreOptions

        @Argument var address: String

        @Argument(help: "one-way, two-way or off; without it, what is set.")
        var mode: String?

        func run() throws { try options.run(AccountSetMaildir(address: address, mode: mode)) }
    }
}
