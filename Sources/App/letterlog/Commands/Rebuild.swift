import ArgumentParser
import Server

struct Rebuild: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a projection anew from the log, or check that it would come out the same.")

    @OptionGroup var options: StoreOptions

    @Option(help: "state, maildir, cache or all.")
    var projection = "all"

    @Flag(help: "Rebuild beside the live one and compare; exit 1 on the first difference.")
    var check = false

    func validate() throws {
        guard StoreRebuild.Projection(rawValue: projection) != nil else {
            throw ValidationError("--projection takes state, maildir, cache or all, not \(projection)")
        }
    }

    func run() throws {
        let command = StoreRebuild(projection: StoreRebuild.Projection(rawValue: projection) ?? .all, check: check)
        try options.run(command, repairs: !check && [.state, .all].contains(command.projection))
    }
}
