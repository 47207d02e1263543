// Bodies on their way to the store: small ones in memory, large ones in a file without a name.
//
// A gateway appends what it receives to a `BodySpool`, which hashes on the way, and hands the result to the store. What
// a body takes of memory is bounded by `BodyLimits.memoryBodyOctetsMax` whatever its size. The file is gone with its
// descriptor, so a crash leaves nothing behind.
import Digests
import EventFormat
import Glibc
import MailTypes
import Synchronization

/// A body held in memory.
package final class MemoryBody: BodySource {
    package let count: Int
    package let hash: ContentHash
    /// None is empty or over `BodyLimits.runOctetsMax`.
    private let chunks: [[UInt8]]

    package convenience init(_ bytes: [UInt8]) {
        let size = BodyLimits.runOctetsMax
        let chunks = stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<min($0 + size, bytes.count)]) }
        self.init(chunks: chunks, count: bytes.count, hash: ContentHash(SHA256Digest.of(bytes)))
    }

    fileprivate init(chunks: [[UInt8]], count: Int, hash: ContentHash) {
        self.chunks = chunks
        self.count = count
        self.hash = hash
    }

    package func read(_ body: (UnsafeRawBufferPointer) throws(StoreError) -> Void) throws(StoreError) {
        for chunk in chunks { try chunk.lend(body) }
    }

    package func read(at offset: Int, count: Int, into bytes: inout [UInt8]) throws(StoreError) {
        var position = 0
        for chunk in chunks {
            let start = max(offset - position, 0)
            let end = min(offset + count - position, chunk.count)
            if start < end { bytes.append(contentsOf: chunk[start..<end]) }
            position += chunk.count
            if position >= offset + count { return }
        }
    }
}

/// A body in a file without a name.
package final class SpooledBody: BodySource {
    package let count: Int
    package let hash: ContentHash
    private let file: OpenFile

    fileprivate init(_ file: OpenFile, count: Int, hash: ContentHash) {
        self.file = file
        self.count = count
        self.hash = hash
    }

    package func read(_ body: (UnsafeRawBufferPointer) throws(StoreError) -> Void) throws(StoreError) {
        var position = 0
        while position < count {
            let run: [UInt8]
            do throws(FileFault) {
                run = try file.read(min(BodyLimits.runOctetsMax, count - position), at: UInt64(position))
            } catch {
                throw error.storeError
            }
            guard !run.isEmpty else { throw .failed("a spooled body ends at \(position) of \(count) octets") }
            try run.lend(body)
            position += run.count
        }
    }

    package func read(at offset: Int, count wanted: Int, into bytes: inout [UInt8]) throws(StoreError) {
        let end = min(offset + wanted, count)
        var position = offset
        while position < end {
            let run: [UInt8]
            do throws(FileFault) {
                run = try file.read(min(BodyLimits.runOctetsMax, end - position), at: UInt64(position))
            } catch {
                throw error.storeError
            }
            guard !run.isEmpty else { throw .failed("a spooled body ends at \(position) of \(count) octets") }
            bytes += run
            position += run.count
        }
    }
}

/// Takes a body piece by piece, in memory up to a threshold and in a file beyond it. One thread at a time.
package final class BodySpool {
    private let directory: String
    private let thresholdOctets: Int
    private let octetsMax: Int
    private let disk: DiskCalls
    private var hasher = SHA256Hasher()
    /// What has not gone to the file.
    private var chunks: [[UInt8]] = []
    private var octetsInMemory = 0
    private var file: OpenFile?
    private var octetsInFile: UInt64 = 0
    /// Octets taken so far.
    package private(set) var count = 0

    /// - Parameters:
    ///   - directory: where the file is made, if it comes to that.
    ///   - thresholdOctets: a body larger than this goes to a file.
    ///   - octetsMax: the largest body taken; at most 4 GiB - 1.
    package init(
        directory: String, thresholdOctets: Int = BodyLimits.memoryBodyOctetsMax,
        octetsMax: Int = FormatLimits.bodyOctetsMax, disk: DiskCalls = .system
    ) {
        self.directory = directory
        self.thresholdOctets = thresholdOctets
        self.octetsMax = min(octetsMax, FormatLimits.bodyOctetsMax)
        self.disk = disk
    }

    /// Octets that can still be taken.
    package var room: Int { octetsMax - count }

    /// Whether the body has gone to a file.
    package var isInFile: Bool { file != nil }

    /// Takes the next octets of the body.
    /// - Throws: `.unusable` when there is no `room` for them, and nothing of them was taken; `.full` and `.failed`
    ///   from writing the file, after which the spool is of no more use.
    package func append(_ bytes: UnsafeRawBufferPointer) throws(StoreError) {
        guard bytes.count <= room else { throw .unusable("a body over \(octetsMax) octets") }
        guard bytes.count > 0 else { return }
        hasher.update(bytes)
        count += bytes.count
        var rest = bytes
        while rest.count > 0 {
            let part = UnsafeRawBufferPointer(rebasing: rest.prefix(BodyLimits.spoolRunOctets))
            keep(part)
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(part.count))
            try writeWhenDue()
        }
    }

    /// The body. The spool takes no more after this.
    package func finish() throws(StoreError) -> any BodySource {
        let hash = ContentHash(hasher.finalize())
        defer {
            chunks = []
            file = nil
        }
        guard file != nil else { return MemoryBody(chunks: chunks, count: count, hash: hash) }
        try write()
        guard let file else { throw .failed("the spool has been finished") }
        return SpooledBody(file, count: count, hash: hash)
    }

    private func keep(_ bytes: UnsafeRawBufferPointer) {
        octetsInMemory += bytes.count
        // A chunk grows in place; many small chunks would cost more than they hold.
        if let last = chunks.indices.last, chunks[last].count + bytes.count <= BodyLimits.memoryChunkOctets {
            chunks[last].append(contentsOf: bytes)
        } else {
            chunks.append([UInt8](bytes))
        }
    }

    private func writeWhenDue() throws(StoreError) {
        guard file != nil || count > thresholdOctets else { return }
        if file == nil {
            do throws(FileFault) {
                file = try OpenFile.unnamed(in: directory, disk: disk)
            } catch {
                throw error.storeError
            }
            try write()
        } else if octetsInMemory >= BodyLimits.spoolRunOctets {
            try write()
        }
    }

    private func write() throws(StoreError) {
        guard let file else { return }
        do throws(FileFault) {
            for chunk in chunks {
                try file.write(chunk, at: octetsInFile)
                octetsInFile += UInt64(chunk.count)
            }
        } catch {
            throw error.storeError
        }
        chunks.removeAll(keepingCapacity: true)
        octetsInMemory = 0
    }
}

extension [UInt8] {
    /// Calls `body` with these bytes, as a source of a body does with each run.
    package func lend(_ body: (UnsafeRawBufferPointer) throws(StoreError) -> Void) throws(StoreError) {
        var failure: StoreError?
        withUnsafeBytes { bytes in
            do throws(StoreError) { try body(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}

extension OpenFile {
    /// A file in `directory` that has no name, or loses it at once where the file system has no such files.
    fileprivate static func unnamed(in directory: String, disk: DiskCalls) throws(FileFault) -> OpenFile {
        do throws(FileFault) {
            return try OpenFile(directory, flags: O_RDWR | temporaryFile | O_DIRECTORY, disk: disk)
        } catch {
            guard error.code == EOPNOTSUPP || error.code == EISDIR || error.code == ENOENT else { throw error }
        }
        while true {
            let number = spoolNumber.wrappingAdd(1, ordering: .relaxed).newValue
            let path = "\(directory)/spool-\(getpid())-\(number)"
            do throws(FileFault) {
                let file = try OpenFile(path, flags: O_RDWR | O_CREAT | O_EXCL, disk: disk)
                unlink(path)
                return file
            } catch {
                // A file that a process of the same number left behind.
                guard error.code == EEXIST else { throw error }
            }
        }
    }
}

/// Tells the spool files of this process apart.
private let spoolNumber = Atomic<UInt64>(0)

/// Linux, asm-generic/fcntl.h: __O_TMPFILE, a macro that is not seen from Swift. O_TMPFILE is this with O_DIRECTORY.
private let temporaryFile: Int32 = 0o20000000
