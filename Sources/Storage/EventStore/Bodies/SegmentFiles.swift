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
final class SegmentBody: BodyHandle {
    let size: Int
    private let file: OpenFile
    private let start: UInt64

    init(_ file: OpenFile, start: UInt64, size: Int) {
        self.file = file
        self.start = start
        self.size = size
    }

    func read(at offset: Int, count: Int, into bytes: inout [UInt8]) throws(StoreError) {
        guard offset >= 0, count > 0, offset < size else { return }
        let wanted = min(count, size - offset)
        let run: [UInt8]
        do throws(FileFault) {
            run = try file.read(wanted, at: start + UInt64(offset))
        } catch {
            throw error.storeError
        }
        guard run.count == wanted else { throw .damaged("\(file.path) ends within a body") }
        bytes.append(contentsOf: run)
    }
}
