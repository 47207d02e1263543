// The system calls of the body store, each with its retries, and the errors they give.
//
// Invariants
// - A write is complete or it throws: short writes are continued, EINTR is tried again.
// - A failed flush is reported once and never repeated here: the kernel may have dropped the pages, and a second call
//   would answer that all is well.
// - The descriptor lives as long as the object, so whoever holds the object can read on after the file is unlinked.
import CFile
import Glibc

/// A system call that failed on a file of the store.
struct FileFault: Error, Equatable, Sendable, CustomStringConvertible {
    var operation: String
    var path: String
    /// An `errno`.
    var code: Int32

    init(_ operation: String, _ path: String, code: Int32 = errno) {
        self.operation = operation
        self.path = path
        self.code = code
    }

    /// The disk or the owner's share of it is full, and nothing is lost but the space. A flush that says so has lost
    /// something.
    var isNoSpace: Bool { (code == ENOSPC || code == EDQUOT) && operation != "fdatasync" && operation != "fsync" }

    var description: String { "\(operation) \(path): \(String(cString: strerror(code)))" }

    var storeError: StoreError {
        if isNoSpace { return .full }
        switch code {
        case EACCES, EPERM, EROFS, ENOTDIR, EMFILE, ENFILE: return .unusable(description)
        default: return .failed(description)
        }
    }
}

/// The calls that can fail half-way on a good system: passed in, so that a test can make them fail. Each sets `errno`
/// and answers -1 as the call of that name does.
package struct DiskCalls: Sendable {
    package var write: @Sendable (_ file: Int32, _ bytes: UnsafeRawPointer, _ count: Int, _ offset: Int) -> Int = {
        pwrite($0, $1, $2, $3)
    }
    package var flushData: @Sendable (_ file: Int32) -> Int32 = { fdatasync($0) }
    package var flushAll: @Sendable (_ file: Int32) -> Int32 = { fsync($0) }
    package var allocate: @Sendable (_ file: Int32, _ mode: Int32, _ offset: Int, _ count: Int) -> Int32 = {
        fallocate($0, $1, $2, $3)
    }
    package init() {}
    package static let system = DiskCalls()
}

/// One open file. Reading and writing are positional, so threads may share it.
final class OpenFile: Sendable {
    let path: String
    private let handle: Descriptor
    private let disk: DiskCalls
    private var descriptor: Int32 { handle.number }

    /// Closes the descriptor when the last object that shares it goes.
    private final class Descriptor: Sendable {
        let number: Int32
        init(_ number: Int32) { self.number = number }
        deinit { close(number) }
    }

    /// - Parameter flags: as for open(2); O_CLOEXEC is added. New files get mode 0600.
    init(_ path: String, flags: Int32, disk: DiskCalls) throws(FileFault) {
        var file: Int32
        repeat { file = Glibc.open(path, flags | O_CLOEXEC, 0o600) } while file < 0 && errno == EINTR
        guard file >= 0 else { throw FileFault("open", path) }
        handle = Descriptor(file)
        self.path = path
        self.disk = disk
    }

    /// The same open file under the name it has been given.
    init(_ other: OpenFile, renamedTo path: String) {
        handle = other.handle
        disk = other.disk
        self.path = path
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(FileFault) {
        guard let base = bytes.baseAddress else { return }
        var done = 0
        while done < bytes.count {
            let written = disk.write(descriptor, base + done, bytes.count - done, Int(offset) + done)
            if written > 0 {
                done += written
            } else if written == 0 {
                throw FileFault("write", path, code: EIO)
            } else if errno != EINTR {
                throw FileFault("write", path)
            }
        }
    }

    func write(_ bytes: [UInt8], at offset: UInt64) throws(FileFault) {
        var fault: FileFault?
        bytes.withUnsafeBytes { run in
            do throws(FileFault) { try write(run, at: offset) } catch { fault = error }
        }
        if let fault { throw fault }
    }

    /// Reads until `bytes` is full or the file ends.
    /// - Parameter offset: any; a damaged row may name one that no file can have, and nothing is there.
    /// - Returns: octets read.
    func read(into bytes: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(FileFault) -> Int {
        guard let base = bytes.baseAddress, offset <= UInt64(Int.max - bytes.count) else { return 0 }
        var done = 0
        while done < bytes.count {
            let got = pread(descriptor, base + done, bytes.count - done, Int(offset) + done)
            if got == 0 { break }
            if got > 0 {
                done += got
            } else if errno != EINTR {
                throw FileFault("read", path)
            }
        }
        return done
    }

    /// Up to `count` octets from `offset`; fewer only at the end of the file.
    func read(_ count: Int, at offset: UInt64) throws(FileFault) -> [UInt8] {
        var fault: FileFault?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { room, filled in
            do throws(FileFault) {
                filled = try read(into: UnsafeMutableRawBufferPointer(room), at: offset)
            } catch {
                fault = error
            }
        }
        if let fault { throw fault }
        return bytes
    }

    /// Gives the file blocks for `offset..<end` and makes it at least `end` octets long.
    /// - Returns: false when the file system cannot; nothing has changed then.
    func allocate(from offset: UInt64, to end: UInt64) throws(FileFault) -> Bool {
        guard end > offset else { return true }
        return try adjust(mode: 0, "allocate", offset, end)
    }

    /// Gives the blocks of `offset..<end` back; the range reads as zeros afterwards.
    /// - Returns: false when the file system cannot; nothing has changed then.
    func punch(from offset: UInt64, to end: UInt64) throws(FileFault) -> Bool {
        guard end > offset else { return true }
        return try adjust(mode: FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, "punch", offset, end)
    }

    private func adjust(
        mode: Int32, _ operation: String, _ offset: UInt64, _ end: UInt64
    ) throws(FileFault) -> Bool {
        while disk.allocate(descriptor, mode, Int(offset), Int(end - offset)) != 0 {
            if errno == EOPNOTSUPP || errno == ENOSYS { return false }
            if errno != EINTR { throw FileFault(operation, path) }
        }
        return true
    }

    /// Overwrites `offset..<end` with zeros.
    /// - Parameters:
    ///   - step: octets after which what was written is flushed; nil leaves it to the kernel.
    ///   - isAbandoned: asked after each flush; ends it with `ECANCELED`.
    func writeZeros(
        from offset: UInt64, to end: UInt64, flushingEvery step: UInt64? = nil, isAbandoned: () -> Bool = { false }
    ) throws(FileFault) {
        var position = offset
        var unflushed: UInt64 = 0
        while position < end {
            let count = min(UInt64(zeros.count), end - position)
            try write(count == UInt64(zeros.count) ? zeros : Array(zeros.prefix(Int(count))), at: position)
            position += count
            unflushed += count
            if let step, unflushed >= step {
                try flushData()
                unflushed = 0
                if position < end, isAbandoned() { throw FileFault("write zeros", path, code: ECANCELED) }
            }
        }
    }

    func truncate(to count: UInt64) throws(FileFault) {
        while ftruncate(descriptor, Int(count)) != 0 {
            if errno != EINTR { throw FileFault("truncate", path) }
        }
    }

    /// Returns when the data, and what is needed to read it back, is on stable storage.
    func flushData() throws(FileFault) {
        while disk.flushData(descriptor) != 0 {
            if errno != EINTR { throw FileFault("fdatasync", path) }
        }
    }

    /// The same with all metadata, and for a directory its entries.
    func flushAll() throws(FileFault) {
        while disk.flushAll(descriptor) != 0 {
            if errno != EINTR { throw FileFault("fsync", path) }
        }
    }

    var count: UInt64 {
        get throws(FileFault) {
            var status = stat()
            guard fstat(descriptor, &status) == 0 else { throw FileFault("stat", path) }
            return UInt64(status.st_size)
        }
    }
}

/// Whether all octets are zero; true for none. By memcmp, as whole segments are looked through at open.
func isZero(_ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { run in
        guard let base = run.baseAddress, let first = run.first else { return true }
        return first == 0 && memcmp(base, base + 1, run.count - 1) == 0
    }
}

private let zeros = [UInt8](repeating: 0, count: 256 << 10)
