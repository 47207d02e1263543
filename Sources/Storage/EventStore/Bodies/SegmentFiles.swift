import Digests
import EventFormat
import Glibc
import Synchronization

/// Segments kept open for reading, the least recently used given up first. A file given up stays open for as long as
/// a body of it is.
final class SegmentFiles: Sendable {
    private let directory: SegmentDirectory
    private let cache = Mutex(Cache())

    private struct Cache {
        var files: [UInt32: (file: OpenFile, used: UInt64)] = [:]
        var uses: UInt64 = 0
    }

    init(_ directory: SegmentDirectory) { self.directory = directory }

    /// The segment, open for reading, its header checked.
    func file(_ segment: UInt32) throws(StoreError) -> OpenFile {
        if let file = cached(segment) { return file }
        // Opened outside the lock: a slow disk delays this reader alone. Two may open the same file; one is kept.
        let file = try directory.open(segment, flags: O_RDONLY)
        cache.withLock { cache in
            cache.uses += 1
            if cache.files.count >= BodyLimits.openSegmentsMax,
                let oldest = cache.files.min(by: { $0.value.used < $1.value.used })
            {
                cache.files[oldest.key] = nil
            }
            cache.files[segment] = (file, cache.uses)
        }
        return file
    }

    private func cached(_ segment: UInt32) -> OpenFile? {
        cache.withLock { cache in
            cache.uses += 1
            cache.files[segment]?.used = cache.uses
            return cache.files[segment]?.file
        }
    }

    /// Segments open now, those of open bodies that were given up not counted.
    var count: Int { cache.withLock { $0.files.count } }
}

/// One body of a segment. It holds the open file, so it can be read after the segment is deleted.
///
/// What it hands out has been checked: a chunk whose CRC does not match is an error, never bytes. For a part of a chunk
/// the whole is read again, some 15 us from the page cache: kept chunks would outlive an erasure.
final class SegmentBody: BodyHandle {
    let size: Int
    private let file: OpenFile
    private let start: UInt64
    /// One CRC for each chunk; empty before the first read.
    private let checksums = Mutex<[UInt32]>([])

    init(_ file: OpenFile, start: UInt64, size: Int) {
        self.file = file
        self.start = start
        self.size = size
    }

    func read(at offset: Int, count: Int, into bytes: inout [UInt8]) throws(StoreError) {
        guard offset >= 0, count > 0, offset < size else { return }
        let end = offset + min(count, size - offset)
        var position = offset
        while position < end {
            let number = position / SegmentFormat.chunkOctets
            let first = number * SegmentFormat.chunkOctets
            let length = min(SegmentFormat.chunkOctets, size - first)
            let next = min(end, first + length)
            let chunk = try chunk(number, length: length)
            bytes.append(contentsOf: chunk[(position - first)..<(next - first)])
            position = next
        }
    }

    private func chunk(_ number: Int, length: Int) throws(StoreError) -> [UInt8] {
        let checksum = try checksum(number)
        let bytes = try run(length, at: start + UInt64(number * SegmentFormat.chunkOctets))
        guard CRC32C.checksum(bytes) == checksum else {
            throw .damaged("\(file.path): CRC of chunk \(number) of the body at \(start)")
        }
        return bytes
    }

    private func checksum(_ number: Int) throws(StoreError) -> UInt32 {
        if let known = checksums.withLock({ $0.isEmpty ? nil : $0[number] }) { return known }
        let count = SegmentFormat.checksumCount(payload: size)
        let table = try run(4 * count, at: start + UInt64(size))
        let read = table.withUnsafeBytes { table in
            (0..<count).map { UInt32(littleEndian: table.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)) }
        }
        checksums.withLock { $0 = read }
        return read[number]
    }

    private func run(_ count: Int, at offset: UInt64) throws(StoreError) -> [UInt8] {
        let run: [UInt8]
        do throws(FileFault) {
            run = try file.read(count, at: offset)
        } catch {
            throw error.storeError
        }
        guard run.count == count else { throw .damaged("\(file.path) ends within a body") }
        return run
    }
}
