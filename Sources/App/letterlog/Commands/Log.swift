import ArgumentParser
import Server

struct Log: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read the log of events.", subcommands: [Show.self, Tail.self, Why.self])

    func run() throws { throw ValidationError("log needs one of show, tail, why") }

    struct Filter: ParsableArguments {
        @Option(help: "An address, or #NUMBER for one that was removed.")
        var account: String?
        @Option(help: "A mailbox of the account, or #NUMBER for one that was deleted.")
        var mailbox: String?
        @Option(help: "A message of the mailbox.")
        var uid: UInt32?
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Print events in the order of the log.")
        @OptionGroup var options: StoreOptions
        @OptionGroup var filter: Filter
        @Option(help: ArgumentHelp("The first position to print.", valueName: "lsn"))
        var from: UInt64 = 1
        func run() throws {
            try options.run(LogShow(account: filter.account, mailbox: filter.mailbox, uid: filter.uid, from: from))
        }
    }

    struct Tail: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the last events, then new ones while the node runs.")
        @OptionGroup var options: StoreOptions
        @OptionGroup var filter: Filter
        @Option(name: [.customShort("n"), .long], help: "How many events of the past.")
        var count = 20
        @Flag(inversion: .prefixedNo, help: "Go on with new events.")
        var follow = true
        func run() throws {
            try options.run(
                LogTail(
                    account: filter.account, mailbox: filter.mailbox, uid: filter.uid, count: count, follows: follow),
                live: true)
        }
    }

    struct Why: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print every event that touched one message, from how it came in.")
        @OptionGroup var options: StoreOptions
        @Option var account: String
        @Option var mailbox: String
        @Option var uid: UInt32
        func run() throws { try options.run(LogWhy(account: account, mailbox: mailbox, uid: uid)) }
    }
}
