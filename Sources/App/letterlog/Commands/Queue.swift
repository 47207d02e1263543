import ArgumentParser
import Server

struct QueueCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "queue", abstract: "Look at mail that waits for other hosts, and act on it.",
        subcommands: [List.self, Show.self, Retry.self, Hold.self, Release.self, Remove.self])

    func run() throws { throw ValidationError("queue needs one of list, show, retry, hold, release, remove") }

    /// Which messages.
    struct FilterOptions: ParsableArguments {
        @Option(help: "Messages of this sender.")
        var sender: String?

        @Option(help: "Messages that wait for a recipient in this domain.")
        var domain: String?

        @Flag(help: "Messages that are held.")
        var held = false

        var filter: QueueFilter { QueueFilter(sender: sender, domain: domain, held: held) }
    }

    struct ChangeOptions: ParsableArguments {
        @Argument(help: "Identifiers, as list shows them.")
        var ids: [UInt64] = []

        @OptionGroup var filter: FilterOptions

        @Flag(help: "All messages.")
        var all = false

        @OptionGroup var options: StoreOptions

        func validate() throws {
            if ids.isEmpty, filter.filter.isEmpty, !all {
                throw ValidationError("which messages? Give identifiers, --sender, --domain, --held or --all")
            }
            if !ids.isEmpty, !filter.filter.isEmpty || all {
                throw ValidationError("give identifiers, or what messages have in common, not both")
            }
        }

        func run(_ work: QueueWork) throws {
            try options.run(QueueChange(work, ids: ids, filter: filter.filter, all: all))
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List messages and why they wait.")
        @OptionGroup var filter: FilterOptions
        @Option(help: "How many to show at most.")
        var limit = ServerLimits.queueListedDefault
        @OptionGroup var options: StoreOptions
        func run() throws { try options.run(QueueList(filter.filter, limit: limit)) }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one message: recipients, routes, last answers.")
        @Argument var id: UInt64
        @OptionGroup var options: StoreOptions
        func run() throws { try options.run(QueueShow(id: id)) }
    }

    struct Retry: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Try messages again now.")
        @OptionGroup var change: ChangeOptions
        func run() throws { try change.run(.retry) }
    }

    struct Hold: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Try messages no more until they are released.")
        @OptionGroup var change: ChangeOptions
        func run() throws { try change.run(.hold) }
    }

    struct Release: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Undo hold.")
        @OptionGroup var change: ChangeOptions
        func run() throws { try change.run(.release) }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Drop messages; nobody is told.")
        @OptionGroup var change: ChangeOptions
        func run() throws { try change.run(.remove) }
    }
}
