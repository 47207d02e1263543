// DIR/STORE: what the directory is, in JSON, so that a person can read it. Replaced atomically, never edited.
import Glibc
import Octets

package struct StoreManifest: Equatable, Sendable {
    /// The newest format this program writes and reads. In format 1 the rows always are folded through the log's end;
    /// since 2 the database says up to where; since 3 rows of messages may be of version 2; since 4 there are rows of UIDLs
    /// and the event uidNextRaised (docs/formats/event-log.md).
    package static let formatNewest = 4
    static let octetsMax = 4096

    /// 16 bytes that name the store for ever.
    package var uuid: [UInt8]
    package var shards: Int
    var format = StoreManifest.formatNewest
    var hasFoldMark: Bool { format >= 2 }

    var text: String {
        """
        {
          "format": \(format),
          "store": "\(Hex.encode(uuid))",
          "shards": \(shards),
          "features": []
        }

        """
    }

    func write(_ directory: String) throws(StoreError) {
        let path = directory + "/STORE"
        let temporary = path + ".new"
        let fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard fd >= 0 else { throw Self.failure(temporary) }
        var bytes = Array(text.utf8)
        let written = Glibc.write(fd, &bytes, bytes.count)
        let synced = fsync(fd)
        Glibc.close(fd)
        guard written == bytes.count, synced == 0, rename(temporary, path) == 0 else { throw Self.failure(path) }
        let parent = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard parent >= 0 else { throw Self.failure(directory) }
        defer { Glibc.close(parent) }
        guard fsync(parent) == 0 else { throw Self.failure(directory) }
    }

    static func read(_ directory: String) throws(StoreError) -> StoreManifest {
        let path = directory + "/STORE"
        let fd = open(path, O_RDONLY | O_CLOEXEC)
        guard fd >= 0 else { throw failure(path) }
        defer { Glibc.close(fd) }
        var bytes = [UInt8](repeating: 0, count: octetsMax)
        let count = Glibc.read(fd, &bytes, bytes.count)
        guard count >= 0 else { throw failure(path) }
        return try parse(String(decoding: bytes[..<count], as: UTF8.self), path)
    }

    /// Reads the few fields there are; anything else in the file is left to newer versions, which raise the format.
    static func parse(_ text: String, _ path: String) throws(StoreError) -> StoreManifest {
        guard let format = field("format", text).flatMap({ Int($0) }), format > 0 else {
            throw .incompatible("\(path) is no store manifest")
        }
        guard format <= formatNewest else {
            throw .incompatible(
                "\(path) has format \(format); this program reads up to \(formatNewest). Use the newer version that made it"
            )
        }
        guard let uuid = field("store", text).flatMap({ Hex.decode($0) }), uuid.count == 16,
            let shards = field("shards", text).flatMap({ Int($0) })
        else { throw .incompatible("\(path) lacks a field") }
        guard shards == 1 else { throw .incompatible("\(path) has \(shards) shards; this program opens one") }
        return StoreManifest(uuid: uuid, shards: shards, format: format)
    }

    private static func field(_ name: String, _ text: String) -> String? {
        let parts = text.split(separator: "\"\(name)\"", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        let value = parts[1].drop { $0 == ":" || $0.isWhitespace }
        let quoted = value.first == "\""
        let end = value.dropFirst(quoted ? 1 : 0).prefix { quoted ? $0 != "\"" : $0.isNumber }
        return String(end)
    }

    private static func failure(_ path: String) -> StoreError {
        .unusable("\(path): \(String(cString: strerror(errno)))")
    }
}
