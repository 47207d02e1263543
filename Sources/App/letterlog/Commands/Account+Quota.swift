import ArgumentParser
import Server

extension Account {
    struct SetQuota: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "quota", abstract: "Show or set what an account may hold.")

        @OptionGroup var options: StoreOptions

        @Argument var address: String

        @Option(help: ArgumentHelp("Mail in all, such as 2GB; 0 is no limit.", valueName: "octets"))
        var size: String?

        @Option(help: ArgumentHelp("Messages in all; 0 is no limit.", valueName: "count"))
        var messages: UInt64?

        func run() throws {
            let octets = try size.map { text in
                guard let octets = ConfigurationValue.octets(text) else {
                    throw ValidationError("--size takes a size such as 500MB or 2GiB, not \(text)")
                }
                return UInt64(octets)
            }
            try options.run(AccountSetQuota(address: address, octets: octets, messages: messages))
        }
    }
}
