// The node's log: one line for each entry on standard error, as text on a terminal and as JSON for a collector.
//
// What goes in is what the rooms hand over: no secret and no content of a message is ever handed over. Control
// characters are escaped, so that nothing a client sends can forge a line.
import Foundation
import Glibc
import Logging
import MailTypes
import Synchronization

package struct LineLogHandler: LogHandler {
    /// Shared by all loggers of the process; a reload changes it.
    package static let level = Mutex(Logger.Level.info)

    package var metadata: Logger.Metadata = [:]
    package var logLevel: Logger.Level {
        get { Self.level.withLock { $0 } }
        set { Self.level.withLock { $0 = newValue } }
    }
    private let label: String
    private let isJSON: Bool

    package init(label: String, isJSON: Bool) {
        self.label = label
        self.isJSON = isJSON
    }

    /// Makes this the log of the process. Once only.
    package static func install(_ log: NodeConfiguration.Log) {
        let isJSON = log.format == .auto ? isatty(STDERR_FILENO) == 0 : log.format == .json
        setLevel(log.level)
        LoggingSystem.bootstrap { LineLogHandler(label: $0, isJSON: isJSON) }
    }

    package static func setLevel(_ level: LogLevel) {
        let wanted = Logger.Level(rawValue: level.rawValue) ?? .info
        Self.level.withLock { $0 = wanted }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let level = event.level
        let message = event.message
        let extra = event.metadata
        let all = metadata.merging(extra ?? [:]) { $1 }
        let text = Self.line(
            at: .now, level: level, label: label, message: message.description, metadata: all, isJSON: isJSON)
        // One write for each line, so that lines of several threads do not mix.
        let bytes = Array(text.utf8)
        _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    static func line(
        at time: Timestamp, level: Logger.Level, label: String, message: String, metadata: Logger.Metadata,
        isJSON: Bool
    ) -> String {
        if isJSON {
            var fields = metadata.mapValues { JSONValue.string($0.description) }
            fields["time"] = .string(time.text)
            fields["level"] = .string(level.rawValue)
            fields["logger"] = .string(label)
            fields["message"] = .string(message)
            return JSONValue.object(fields).text + "\n"
        }
        let extra = metadata.sorted { $0.key < $1.key }.map { " \($0.key)=\(escaped($0.value.description))" }.joined()
        return "\(time.text) \(level.rawValue) \(escaped(message))\(extra)\n"
    }

    private static func escaped(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else { return text }
        return JSONValue.string(text).text
    }
}
