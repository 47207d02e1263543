import EventStore

/// How far the tree is on stable storage, in `.letterlog/checkpoint` under the root. Four lines of text:
///
///     letterlog maildir 1
///     store <UUID, or ->
///     cursor <number>
///     host <host part of names>
struct MaildirCheckpoint: Equatable {
    private static let fileName = "checkpoint"
    private static let firstLine = "letterlog maildir 1"

    var cursor: Cursor
    var store: String
    var host: String

    /// Nil when there is none that this version understands; the tree is then compared with the state as a whole.
    static func load(_ directory: String, _ disk: MaildirDisk) throws -> MaildirCheckpoint? {
        let bytes = try disk.read("\(directory)/\(fileName)", limit: MaildirLimits.listTailOctets)
        return bytes.flatMap { String(validating: $0, as: UTF8.self) }.flatMap { MaildirCheckpoint(text: $0) }
    }

    init(cursor: Cursor, store: String, host: String) {
        self.cursor = cursor
        self.store = store
        self.host = host
    }

    init?(text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard lines.count == 5, lines[0] == Self.firstLine, lines[4].isEmpty, let store = Self.value(lines[1], "store"),
            let cursor = Self.value(lines[2], "cursor").flatMap({ UInt64($0) }), let host = Self.value(lines[3], "host")
        else { return nil }
        self.init(cursor: Cursor(cursor), store: store, host: host)
    }

    var text: String { "\(Self.firstLine)\nstore \(store)\ncursor \(cursor.rawValue)\nhost \(host)\n" }

    func store(in directory: String, _ disk: MaildirDisk) throws {
        try disk.replaceDurably(directory, Self.fileName, with: text)
    }

    private static func value(_ line: String, _ key: String) -> String? {
        line.hasPrefix(key + " ") ? String(line.dropFirst(key.count + 1)) : nil
    }
}
