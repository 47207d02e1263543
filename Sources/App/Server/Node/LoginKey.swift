import Digests
import Glibc

/// The store's secret for challenges to names that nobody has: `login.key` in its directory, made when it is not there.
///
/// It opens nothing. Whoever has it can tell those names from real ones; with another key their salts change, which tells
/// it too, so it is kept.
enum LoginKey {
    private static let octets = 32

    static func read(_ directory: String) throws -> [UInt8] {
        let path = directory + "/login.key"
        if let key = contents(path) { return key }
        let key = randomBytes(count: octets)
        // Whole or not at all: under another name first.
        let new = path + ".new"
        unlink(new)
        let descriptor = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failure(path) }
        let isWritten = key.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) } == octets
        let isSynced = fsync(descriptor) == 0
        close(descriptor)
        guard isWritten, isSynced, rename(new, path) == 0 else { throw failure(path) }
        return key
    }

    /// Nil when there is none, or one that was cut short.
    private static func contents(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var key = [UInt8](repeating: 0, count: octets + 1)
        let count = key.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
        return count == octets ? Array(key.prefix(octets)) : nil
    }

    private static func failure(_ path: String) -> AdministrationFailure {
        AdministrationFailure("\(path) cannot be written: \(String(cString: strerror(errno)))")
    }
}
