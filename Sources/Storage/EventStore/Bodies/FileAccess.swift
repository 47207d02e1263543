// System calls with the two things every caller must not forget: EINTR and short transfers.
import Glibc

enum FileAccess {
    /// The store's word for an errno.
    static func error(_ code: Int32, _ what: String) -> StoreError {
        code == ENOSPC || code == EDQUOT ? .full : .failed("\(what): \(String(cString: strerror(code)))")
    }

    static func open(_ path: String, _ flags: Int32) throws(StoreError) -> Int32 {
        let fd = Glibc.open(path, flags | O_CLOEXEC, 0o600)
        guard fd >= 0 else { throw error(errno, path) }
        return fd
    }

    static func write(_ fd: Int32, _ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(StoreError) {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = pwrite(fd, rest.baseAddress, rest.count, off_t(offset) + off_t(done))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw error(count < 0 ? errno : EIO, "write") }
            done += count
        }
    }

    /// Reads until `bytes` is full or the file ends; returns how many.
    static func read(_ fd: Int32, into bytes: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(StoreError) -> Int {
        var done = 0
        while done < bytes.count {
            let count = pread(fd, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(offset) + off_t(done))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw error(errno, "read") }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// Zeros from `start` to `end`, written so that later flushes need no change of the file's extents.
    static func zero(_ fd: Int32, from start: UInt64, to end: UInt64) throws(StoreError) {
        let run = [UInt8](repeating: 0, count: 1 << 20)
        var position = start
        while position < end {
            let count = Int(min(UInt64(run.count), end - position))
            let result: Result<Void, StoreError> = run.withUnsafeBytes { bytes in
                do throws(StoreError) {
                    return .success(try write(fd, UnsafeRawBufferPointer(rebasing: bytes[..<count]), at: position))
                } catch { return .failure(error) }
            }
            try result.get()
            position += UInt64(count)
        }
    }

    static func sync(_ fd: Int32, _ what: String) throws(StoreError) {
        guard fdatasync(fd) == 0 else { throw .failed("\(what): \(String(cString: strerror(errno)))") }
    }

    static func syncDirectory(_ path: String) throws(StoreError) {
        let fd = try open(path, O_RDONLY | O_DIRECTORY)
        defer { Glibc.close(fd) }
        guard fsync(fd) == 0 else { throw .failed("\(path): \(String(cString: strerror(errno)))") }
    }
}
