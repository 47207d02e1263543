import ArgumentParser
import Server

extension Account {
    struct SetCapabilities: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "capabilities",
            abstract: "Show or set what of IMAP an account is not offered.",
            discussion: "For clients that cannot cope with a capability. It holds from the next login on.")

        @OptionGroup var options: StoreOptions

        @Argument var address: String

        @Option(
            help: ArgumentHelp(
                "Capabilities to leave out, separated by commas, such as QRESYNC,COMPRESS=DEFLATE.", valueName: "names")
        )
        var without: String?

        @Flag(help: "Offer all of them again.")
        var all = false

        func validate() throws {
            guard without == nil || !all else { throw ValidationError("--without and --all exclude each other") }
        }

        func run() throws {
            let names = all ? [] : without?.split(whereSeparator: { $0 == "," || $0 == " " }).map(String.init)
            try options.run(AccountSetCapabilities(address: address, without: names))
        }
    }
}
