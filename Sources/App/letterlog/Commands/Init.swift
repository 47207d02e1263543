import ArgumentParser
import Server

struct Init: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Create a store.")

    @OptionGroup var options: StoreOptions

    @Option(help: "The domain that a login name without @ gets.")
    var domain: String?

    func run() throws {
        let (store, _) = try options.resolve()
        let uuid = try StoreCreation.create(store, domain: domain)
        try Printer(options.output).print(
            "created the store \(store)", ["store": .string(store), "uuid": .string(uuid), "domain": .text(domain)])
    }
}
