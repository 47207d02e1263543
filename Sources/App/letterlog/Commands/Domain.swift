import ArgumentParser
import Server

struct Domain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Manage the domains that are ours.", subcommands: [Add.self, List.self, Remove.self, DKIM.self])

    func run() throws { throw ValidationError("domain needs one of add, list, remove, dkim") }

    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Name a domain of ours that has no address yet.")
        @OptionGroup var options: StoreOptions
        @Argument var domain: String
        func run() throws { try options.run(DomainAdd(domain: domain)) }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List our domains and why they are ours.")
        @OptionGroup var options: StoreOptions
        func run() throws { try options.run(DomainList()) }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Undo add.")
        @OptionGroup var options: StoreOptions
        @Argument var domain: String
        func run() throws { try options.run(DomainRemove(domain: domain)) }
    }
}
