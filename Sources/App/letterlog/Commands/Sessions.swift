import ArgumentParser
import Server

/// Which sessions.
struct SessionOptions: ParsableArguments {
    @Option(help: "Sessions of this account.")
    var account: String?

    @Option(help: "The session of this identifier, as who and the log show it.")
    var session: String?

    @Option(help: ArgumentHelp("Sessions from an address or a network such as 192.0.2.0/24.", valueName: "network"))
    var from: String?

    @Option(name: .customLong("protocol"), help: "Sessions of this protocol.")
    var name: String?

    var filter: SessionFilter { SessionFilter(account: account, session: session, network: from, name: name) }
}

struct WhoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "who", abstract: "List the sessions of a running node.")
    @OptionGroup var sessions: SessionOptions
    @OptionGroup var options: StoreOptions
    func run() throws { try options.run(Who(sessions.filter)) }
}

struct KickCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kick", abstract: "End sessions of a running node; their clients may come again.")
    @OptionGroup var sessions: SessionOptions
    @OptionGroup var options: StoreOptions

    func validate() throws {
        if sessions.filter.isEmpty {
            throw ValidationError("kick needs --account, --session, --from or --protocol")
        }
    }

    func run() throws { try options.run(Kick(sessions.filter)) }
}
