// Where a configuration comes from: defaults, then the file, then the environment, then the command line, key by key.
import Foundation
import Gateways

package struct ConfigurationSources: Sendable {
    /// A file that was named must be there.
    package var file: String?
    package var environment: [String: String]
    /// `KEY=VALUE` of the command line, in order.
    package var settings: [String]
    /// `--store`.
    package var store: String?
    /// `--listen NAME=ADDRESS`: when there are any, they take the place of all other listeners.
    package var listens: [String]

    package init(
        file: String? = nil, environment: [String: String] = [:], settings: [String] = [], store: String? = nil,
        listens: [String] = []
    ) {
        self.file = file
        self.environment = environment
        self.settings = settings
        self.store = store
        self.listens = listens
    }

    /// The file read when none is named: `letterlog.yaml` in the store's directory.
    package static let fileName = "letterlog.yaml"
    /// Names the file as `--config` does.
    package static let fileVariable = "LETTERLOG_CONFIG"

    /// The configuration, and every mistake in it. With mistakes it is not to be used.
    package func load() -> (configuration: NodeConfiguration, file: String?, mistakes: [ConfigurationMistake]) {
        let (loading, path) = loaded()
        return (loading.configuration, path, loading.mistakes)
    }

    private func loaded() -> (Loading, file: String?) {
        var loading = Loading()
        let path = filePath
        if let path { loading.read(ConfigurationFile(path: path)) }
        for key in ConfigurationKey.all {
            guard let text = environment[key.variable] else { continue }
            loading.apply(key, .text(text), source: "environment", line: nil, shownKey: key.variable)
        }
        for setting in settings { loading.set(setting) }
        if let store, let key = ConfigurationKey.named("store") {
            loading.apply(key, .text(store), source: Loading.commandLine, line: nil, shownKey: "--store")
        }
        loading.listen(listens)
        return (loading, path)
    }

    /// The same, with what is wrong with the files that it names.
    package func check() -> (configuration: NodeConfiguration, file: String?, mistakes: [ConfigurationMistake]) {
        let (loading, path) = loaded()
        var mistakes = loading.mistakes
        let objections =
            CertificateFiles(loading.configuration.encryption).objections(at: systemSeconds())
            + loading.configuration.logins.objections()
        for (key, text) in objections {
            let place = loading.places[key]
            mistakes.append(
                ConfigurationMistake(
                    source: place?.source ?? "defaults", line: place?.line, key: place?.shownKey ?? key, text: text))
        }
        return (loading.configuration, path, mistakes)
    }

    /// The same, or the first mistake as a failure of usage.
    package func configuration() throws -> NodeConfiguration {
        let (configuration, _, mistakes) = load()
        guard let first = mistakes.first else { return configuration }
        let more = mistakes.count > 1 ? " (and \(mistakes.count - 1) more; see `letterlog check-config`)" : ""
        throw AdministrationFailure("\(first)\(more)", .usage)
    }

    private var filePath: String? {
        if let named = file ?? environment[Self.fileVariable] { return named }
        guard let directory = store ?? environment["LETTERLOG_STORE"] else { return nil }
        let path = directory + "/" + Self.fileName
        return FileManager.default.fileExists(atPath: path) ? path : nil
    }
}

private struct Loading {
    static let commandLine = "command line"
    var configuration = NodeConfiguration()
    var mistakes: [ConfigurationMistake] = []
    /// Where each key got its value.
    var places: [String: (source: String, line: Int?, shownKey: String)] = [:]

    mutating func read(_ file: ConfigurationFile) {
        mistakes += file.mistakes
        for entry in file.entries {
            apply(entry.key, entry.value, source: file.path, line: entry.line, shownKey: entry.key.name)
        }
        mistakes.sort { ($0.line ?? 0) < ($1.line ?? 0) }
    }

    mutating func apply(
        _ key: ConfigurationKey, _ value: ConfigurationValue, source: String, line: Int?, shownKey: String
    ) {
        do {
            // A key with nothing behind it leaves the default.
            if case .nothing = value, !key.name.hasPrefix("listeners.") { return }
            try key.apply(&configuration, value)
            places[key.name] = (source, line, shownKey)
        } catch {
            mistakes.append(ConfigurationMistake(source: source, line: line, key: shownKey, text: error.text))
        }
    }

    mutating func set(_ setting: String) {
        let parts = setting.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 else {
            return mistake(setting, "is not KEY=VALUE")
        }
        guard let key = ConfigurationKey.named(parts[0]) else {
            return mistake(parts[0], "is no key" + ConfigurationFile.suggestion(for: parts[0]))
        }
        apply(key, .text(parts[1]), source: Self.commandLine, line: nil, shownKey: key.name)
    }

    mutating func listen(_ listens: [String]) {
        guard !listens.isEmpty else { return }
        var listeners: [GatewayProtocol: [ListenAddress]] = [:]
        for listen in listens {
            let parts = listen.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, let gateway = GatewayProtocol(rawValue: parts[0]) else {
                let names = GatewayProtocol.allCases.map(\.rawValue).joined(separator: ", ")
                mistake("--listen \(listen)", "is not NAME=ADDRESS with a name of \(names)")
                continue
            }
            do {
                listeners[gateway, default: []].append(try listenAddress(parts[1]))
            } catch {
                mistake("--listen \(listen)", error.text)
            }
        }
        configuration.listeners = listeners
    }

    private mutating func mistake(_ key: String, _ text: String) {
        mistakes.append(ConfigurationMistake(source: Self.commandLine, line: nil, key: key, text: text))
    }
}
