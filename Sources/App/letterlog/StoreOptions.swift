import ArgumentParser
import Foundation
import Server

/// How much is printed, and in which form.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print JSON, one value a line.")
    var json = false

    @Flag(name: .shortAndLong, help: "Print nothing but what was asked for.")
    var quiet = false
}

/// Which store, and how it is configured.
struct StoreOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The store's directory; LETTERLOG_STORE does the same.", valueName: "dir"))
    var store: String?

    @Option(
        help: ArgumentHelp(
            "The configuration; by default letterlog.yaml in the store, when it is there.", valueName: "file"))
    var config: String?

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp(
            "Sets a key of the configuration, over file and environment.", valueName: "key=value"))
    var settings: [String] = []

    @OptionGroup var output: OutputOptions

    func sources(listens: [String] = []) -> ConfigurationSources {
        ConfigurationSources(
            file: config, environment: ProcessInfo.processInfo.environment, settings: settings, store: store,
            listens: listens)
    }

    /// The configuration and the directory it names.
    func resolve(listens: [String] = []) throws -> (store: String, configuration: NodeConfiguration) {
        let configuration = try sources(listens: listens).configuration()
        guard let store = configuration.store else {
            throw ValidationError("which store? Give --store DIR, or set LETTERLOG_STORE")
        }
        return (absolute(store), configuration)
    }
}

/// A path that means the same in another process.
func absolute(_ path: String) -> String {
    guard !path.hasPrefix("/") else { return path }
    let base = FileManager.default.currentDirectoryPath
    return path == "." ? base : base + "/" + (path.hasPrefix("./") ? String(path.dropFirst(2)) : path)
}
