import Glibc

/// Why a store could not be locked.
package enum StoreLockError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Another process (or another lock of this one) has it. The pid is what the last holder wrote, if it did.
    case held(path: String, pid: Int32?)
    /// The lock file could not be opened or locked.
    case system(path: String, code: Int32)

    package var description: String {
        switch self {
        case .held(let path, let pid):
            "\(path) is held by another process" + (pid.map { " (pid \($0))" } ?? "")
        case .system(let path, let code):
            "\(path) cannot be locked: " + String(cString: strerror(code))
        }
    }
}

/// The exclusive right of one process to a store: an advisory lock on a file of its own.
///
/// The lock goes with the open file, so it ends with this object or with the process, whatever way that ends. The file
/// stays: removing it would let two processes lock two files of the same name. It must be on a local file system and
/// must hold nothing else, because the holder's pid is written into it.
package final class StoreLock: Sendable {
    package let path: String
    private let descriptor: Int32

    /// Takes the lock, or fails at once.
    package init(path: String) throws(StoreLockError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .system(path: path, code: errno) }
        guard Self.lock(descriptor) else {
            let code = errno
            let pid = Self.readPID(descriptor)
            close(descriptor)
            if code == EWOULDBLOCK { throw .held(path: path, pid: pid) }
            throw .system(path: path, code: code)
        }
        // Who holds it is information only: on a full disk the lock must be had all the same.
        _ = Self.writePID(descriptor)
        self.path = path
        self.descriptor = descriptor
    }

    deinit {
        // An empty file tells the next reader that nobody announced itself.
        _ = ftruncate(descriptor, 0)
        // Closing alone would leave the lock with a child that has been forked and has not yet called exec.
        _ = flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    private static func lock(_ descriptor: Int32) -> Bool {
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            if errno != EINTR { return false }
        }
        return true
    }

    private static func writePID(_ descriptor: Int32) -> Bool {
        let text = Array("\(getpid())\n".utf8)
        guard ftruncate(descriptor, 0) == 0 else { return false }
        return text.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) } == text.count
    }

    private static func readPID(_ descriptor: Int32) -> Int32? {
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        guard count > 0 else { return nil }
        let digits = bytes.prefix(count).prefix { (0x30...0x39).contains($0) }
        return Int32(String(decoding: digits, as: UTF8.self))
    }
}
