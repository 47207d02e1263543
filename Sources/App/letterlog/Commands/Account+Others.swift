import ArgumentParser
import Server

extension Account {
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List accounts.")
        @OptionGroup var options: StoreOptions
        func run() throws { try options.run(AccountList()) }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one account.")
        @OptionGroup var options: StoreOptions
        @Argument var address: String
        func run() throws { try options.run(AccountShow(address: address)) }
    }

    struct Disable: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Refuse logins and deliveries; mail stays.")
        @OptionGroup var options: StoreOptions
        @Argument var address: String
        func run() throws { try options.run(AccountSetStatus(address: address, enabled: false)) }
    }

    struct Enable: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Undo disable.")
        @OptionGroup var options: StoreOptions
        @Argument var address: String
        func run() throws { try options.run(AccountSetStatus(address: address, enabled: true)) }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove an account: its addresses are free again, its history stays in the log.")
        @OptionGroup var options: StoreOptions
        @Argument var address: String
        func run() throws { try options.run(AccountRemove(address: address)) }
    }
}
