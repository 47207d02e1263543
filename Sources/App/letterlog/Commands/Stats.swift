import ArgumentParser
import Server

struct Stats: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print what the store holds and has done.")
    @OptionGroup var options: StoreOptions
    func run() throws { try options.run(StoreStats()) }
}
