import ArgumentParser
import Server

struct CheckConfig: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config", abstract: "Find every mistake in the configuration.")

    @OptionGroup var options: StoreOptions

    @Option(name: .customLong("listen"), help: ArgumentHelp("As for serve.", valueName: "name=address"))
    var listens: [String] = []

    @Flag(name: .customLong("print"), help: "Print every key with its value.")
    var prints = false

    func run() throws {
        let (configuration, file, mistakes) = options.sources(listens: listens).check()
        let printer = Printer(options.output)
        defer { printer.finish() }
        for mistake in mistakes {
            try printer.print(
                mistake.description,
                [
                    "source": .string(mistake.source), "line": mistake.line.map { .count($0) } ?? .null,
                    "key": .text(mistake.key), "text": .string(mistake.text),
                ], isAnswer: true)
        }
        guard mistakes.isEmpty else {
            let count = mistakes.count
            throw AdministrationFailure("the configuration has \(count) \(count == 1 ? "mistake" : "mistakes")")
        }
        if prints {
            for (key, value) in configuration.listing {
                try printer.print("\(key): \(value)", ["key": .string(key), "value": .string(value)], isAnswer: true)
            }
        }
        try printer.print("the configuration is good" + (file.map { ": \($0)" } ?? ""), ["file": .text(file)])
    }
}
