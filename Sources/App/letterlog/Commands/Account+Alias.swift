import ArgumentParser
import Server

extension Account {
    struct Alias: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Further addresses of an account.", subcommands: [Add.self, Remove.self])

        func run() throws { throw ValidationError("alias needs add or remove") }

        struct Add: ParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "Let an account receive for another address; *@domain takes what no other does.")
            @OptionGroup var options: StoreOptions
            @Argument var address: String
            @Argument var alias: String
            func run() throws { try options.run(AccountAlias(address: address, alias: alias, adds: true)) }
        }

        struct Remove: ParsableCommand {
            static let configuration = CommandConfiguration(abstract: "Take such an address away.")
            @OptionGroup var options: StoreOptions
            @Argument var address: String
            @Argument var alias: String
            func run() throws { try options.run(AccountAlias(address: address, alias: alias, adds: false)) }
        }
    }
}
