import ArgumentParser
import Foundation
import Server

struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Run a node: listen, receive, hand out.",
        discussion: """
            Prints one line `ready` with every address once all listeners accept. SIGTERM lets sessions end and stops;
            SIGHUP reads the configuration again.
            """)

    @OptionGroup var options: StoreOptions

    @Option(
        name: .customLong("listen"),
        help: ArgumentHelp(
            "A listener in place of the configured ones; may be given several times.",
            discussion: "NAME is smtp, submission, submissions, lmtp, pop3, pop3s, imap, imaps or http. "
                + "ADDRESS is HOST:PORT, [::1]:PORT or unix:/path.",
            valueName: "name=address"))
    var listens: [String] = []

    func run() throws {
        let (store, _) = try options.resolve(listens: listens)
        let json = options.output.json
        try Serve.run(store: store, sources: options.sources(listens: listens)) { line in
            var text = line
            if json {
                let addresses = line.split(separator: " ").dropFirst().map { JSONValue.string(String($0)) }
                text = JSONValue.object(["ready": .array(addresses)]).text
            }
            FileHandle.standardOutput.write(Data((text + "\n").utf8))
        }
    }
}
