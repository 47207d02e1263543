// Receiving a body: in memory while it is small, in an unlinked file beyond, hashed on the way.
import Digests
import EventFormat
import Glibc
import MailTypes

/// Collects one body. Used by one session at a time; an unfinished one leaves nothing behind.
package final class BodySpool {
    private let directory: String
    private let thresholdOctets: Int
    private let octetsMax: Int
    private var memory: [UInt8] = []
    private var file: SpoolFile?
    private var hasher = SHA256Hasher()
    /// Octets so far.
    package private(set) var count = 0

    package init(directory: String, thresholdOctets: Int, octetsMax: Int) {
        self.directory = directory
        self.thresholdOctets = thresholdOctets
        self.octetsMax = octetsMax
    }

    /// - Throws: `.full` when the spool's disk is, `.failed` over `octetsMax` and for the system's errors.
    package func append(_ bytes: UnsafeRawBufferPointer) throws(StoreError) {
        guard count + bytes.count <= octetsMax else { throw .failed("body over \(octetsMax) octets") }
        if file == nil, memory.count + bytes.count > thresholdOctets { file = try SpoolFile(directory) }
        if let file {
            if !memory.isEmpty {
                let result: Result<Void, StoreError> = memory.withUnsafeBytes { held in
                    do throws(StoreError) { return .success(try file.append(held)) } catch { return .failure(error) }
                }
                try result.get()
                memory = []
            }
            try file.append(bytes)
        } else {
            memory.append(contentsOf: bytes)
        }
        hasher.update(bytes)
        count += bytes.count
    }

    /// The finished body. The spool is empty afterwards.
    package func finish() throws(StoreError) -> any BodySource {
        let hash = ContentHash(hasher.finalize())
        defer {
            memory = []
            file = nil
        }
        if let file { return SpooledBody(file, hash) }
        return BufferedBody(memory, hash)
    }
}

/// A body in memory.
package final class BufferedBody: BodySource {
    private let bytes: [UInt8]
    package let hash: ContentHash
    package var count: Int { bytes.count }

    init(_ bytes: [UInt8], _ hash: ContentHash) {
        self.bytes = bytes
        self.hash = hash
    }

    package convenience init(_ bytes: [UInt8]) {
        var hasher = SHA256Hasher()
        hasher.update(bytes)
        self.init(bytes, ContentHash(hasher.finalize()))
    }

    package func read(_ body: (UnsafeRawBufferPointer) throws(StoreError) -> Void) throws(StoreError) {
        var start = 0
        while start < bytes.count {
            let end = min(start + 1 << 20, bytes.count)
            let result: Result<Void, StoreError> = bytes.withUnsafeBytes { all in
                do throws(StoreError) {
                    return .success(try body(UnsafeRawBufferPointer(rebasing: all[start..<end])))
                } catch { return .failure(error) }
            }
            try result.get()
            start = end
        }
    }
}

/// A temporary file without a name.
final class SpoolFile: @unchecked Sendable {
    // Written by one session, then read by one thread; never both.
    let fd: Int32
    private(set) var octets = 0

    init(_ directory: String) throws(StoreError) {
        let unnamed = open(directory, O_RDWR | 0o20000000 | O_DIRECTORY | O_CLOEXEC, 0o600)
        if unnamed >= 0 {
            fd = unnamed
            return
        }
        // A file system without O_TMPFILE: a name that is gone at once.
        var template = Array((directory + "/spool-XXXXXX").utf8CString)
        let named = mkstemp(&template)
        guard named >= 0 else { throw FileAccess.error(errno, directory) }
        unlink(template)
        _ = fcntl(named, F_SETFD, FD_CLOEXEC)
        fd = named
    }

    deinit { close(fd) }

    func append(_ bytes: UnsafeRawBufferPointer) throws(StoreError) {
        try FileAccess.write(fd, bytes, at: UInt64(octets))
        octets += bytes.count
    }
}

/// A body in a spool file.
package final class SpooledBody: BodySource {
    private let file: SpoolFile
    package let hash: ContentHash
    package var count: Int { file.octets }

    init(_ file: SpoolFile, _ hash: ContentHash) {
        self.file = file
        self.hash = hash
    }

    package func read(_ body: (UnsafeRawBufferPointer) throws(StoreError) -> Void) throws(StoreError) {
        var run = [UInt8](repeating: 0, count: min(1 << 20, max(1, count)))
        var position = 0
        while position < count {
            let wanted = min(run.count, count - position)
            let result: Result<Int, StoreError> = run.withUnsafeMutableBytes { bytes in
                let part = UnsafeMutableRawBufferPointer(rebasing: bytes[..<wanted])
                do throws(StoreError) {
                    let read = try FileAccess.read(file.fd, into: part, at: UInt64(position))
                    guard read == wanted else { throw .failed("spool file ends early") }
                    try body(UnsafeRawBufferPointer(part))
                    return .success(read)
                } catch { return .failure(error) }
            }
            position += try result.get()
        }
    }
}
