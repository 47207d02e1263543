import ArgumentParser
import Server

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check every invariant; exit 1 with the first counter-example.")

    @OptionGroup var options: StoreOptions

    @Option(help: "Only this account.")
    var account: String?

    @Option(help: ArgumentHelp("Only records behind this position of the log.", valueName: "lsn"))
    var since: UInt64?

    @Option(help: ArgumentHelp("How many of the bodies are read and hashed.", valueName: "percent"))
    var blobs = 100

    @Flag(help: "Compare the Maildirs too.")
    var maildir = false

    func validate() throws {
        guard (0...100).contains(blobs) else { throw ValidationError("--blobs takes a percentage, 0 to 100") }
    }

    func run() throws {
        try options.run(StoreVerify(account: account, since: since, blobsPercent: blobs, maildir: maildir))
    }
}
