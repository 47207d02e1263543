import ArgumentParser
import Foundation
import Server
import Synchronization

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure the engine on this machine.",
        discussion: """
            deliver: messages into the INBOXes of many accounts. append: into one. flags: one flag at a time. resync: a \
            view brought up to date after one change in a large mailbox. rebuild: the log replayed and compared.
            F is the median of 200 times a 4 KiB append and fdatasync on the store's file system.
            """)

    @Argument(help: "deliver, append, flags, resync or rebuild.")
    var kind: String

    @Option(
        help: ArgumentHelp(
            "Where; without it a fresh store in the directory for temporary files, removed afterwards.",
            valueName: "dir"))
    var store: String?

    @Option(help: ArgumentHelp("The configuration.", valueName: "file"))
    var config: String?

    @Option(name: [.customLong("connections"), .customLong("producers")], help: "Threads that ask at the same time.")
    var producers: Int?

    @Option(help: "How many messages or changes.")
    var messages: Int?

    @Option(help: ArgumentHelp("Of one message, such as 10KiB.", valueName: "octets"))
    var size: String?

    @Option var accounts: Int?

    @OptionGroup var output: OutputOptions

    func validate() throws {
        let names = EngineBench.Kind.allCases.map(\.rawValue).joined(separator: ", ")
        guard EngineBench.Kind(rawValue: kind) != nil else { throw ValidationError("\(kind) is none of \(names)") }
        if let size, ConfigurationValue.octets(size) == nil {
            throw ValidationError("--size takes a size such as 10KiB")
        }
        for (name, value) in [("--producers", producers), ("--messages", messages), ("--accounts", accounts)] {
            if let value, value < 1 { throw ValidationError("\(name) is at least 1") }
        }
    }

    func run() throws {
        guard let kind = EngineBench.Kind(rawValue: kind) else { return }
        let bench = EngineBench(
            kind: kind, producers: producers, messages: messages, size: size.flatMap(ConfigurationValue.octets),
            accounts: accounts)
        let configuration = try ConfigurationSources(
            file: config, environment: ProcessInfo.processInfo.environment, store: store
        ).configuration()
        let meter = Mutex<ProgressMeter?>(
            !output.quiet && !output.json && isatty(STDERR_FILENO) == 1 ? ProgressMeter() : nil)
        let fields = try bench.run(store: store.map(absolute), configuration: configuration) { done, total in
            meter.withLock { $0?.show(done, of: total) }
        }
        meter.withLock { $0?.clear() }
        let printer = Printer(output)
        defer { printer.finish() }
        let width = fields.map(\.key.count).max() ?? 0
        let lines = fields.map {
            $0.key + String(repeating: " ", count: width - $0.key.count + 2) + Self.text($0.value)
        }
        let value = JSONValue.object(Dictionary(fields.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 }))
        try printer.print(lines.joined(separator: "\n"), value, isAnswer: true)
    }

    private static func text(_ value: JSONValue) -> String {
        switch value {
        case .number(let number): String(format: number.magnitude < 10 ? "%.3f" : "%.1f", number)
        case .string(let text): text
        case .array(let values): values.map(text).joined(separator: " ")
        default: value.text
        }
    }
}
