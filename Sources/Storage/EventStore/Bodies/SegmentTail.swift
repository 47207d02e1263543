// What is done at open to bytes that no seal covers: later records of the last segment, and later segments.
import EventFormat
import Glibc
import Octets

enum SegmentTail {
    /// `XXXXXXXX.seg`, the number in hexadecimal.
    static func path(_ directory: String, _ number: UInt32) -> String {
        directory + "/" + Hex.encode(number, width: 8) + ".seg"
    }

    /// Numbers of the segment files, ascending.
    static func segments(_ directory: String) -> [UInt32] {
        names(directory).compactMap { name in
            guard name.hasSuffix(".seg"), name.utf8.count == 12 else { return nil }
            return UInt32(name.dropLast(4), radix: 16)
        }.sorted()
    }

    static func names(_ directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            names.append(
                withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                })
        }
        return names
    }

    /// Removes segments behind the tail and zeros what is behind it in its own, so that nothing there looks like a
    /// record; the space stays allocated.
    static func cut(_ directory: String, _ tail: BodyTail) throws(StoreError) {
        var removed = false
        for number in segments(directory) where number > tail.segment || tail.offset == 0 {
            guard unlink(path(directory, number)) == 0 else { throw FileAccess.error(errno, path(directory, number)) }
            removed = true
        }
        if removed { try FileAccess.syncDirectory(directory) }
        guard tail.offset > 0 else { return }
        let file = try FileAccess.open(path(directory, tail.segment), O_RDWR)
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw FileAccess.error(errno, "segment \(tail.segment)") }
        guard UInt64(status.st_size) >= tail.offset else {
            throw .damaged("segment \(tail.segment) has \(status.st_size) octets, the log speaks of \(tail.offset)")
        }
        try zeroDirtyTail(file, from: tail.offset, to: UInt64(status.st_size))
    }

    /// Reads on from the tail while there is anything but zeros, and zeros it. A batch's bodies are at most some
    /// mebibytes, so one mebibyte of zeros says that nothing more was written.
    private static func zeroDirtyTail(_ file: Int32, from start: UInt64, to end: UInt64) throws(StoreError) {
        var position = start
        var dirtyEnd = start
        var run = [UInt8](repeating: 0, count: 1 << 20)
        while position < end {
            let result: Result<(Int, Int?), StoreError> = run.withUnsafeMutableBytes { bytes in
                do throws(StoreError) {
                    let count = try FileAccess.read(file, into: bytes, at: position)
                    return .success((count, bytes[..<count].lastIndex { $0 != 0 }))
                } catch { return .failure(error) }
            }
            let (count, last) = try result.get()
            if count == 0 { break }
            if let last { dirtyEnd = position + UInt64(last) + 1 }
            position += UInt64(count)
        }
        guard dirtyEnd > start else { return }
        try FileAccess.zero(file, from: start, to: dirtyEnd)
        try FileAccess.sync(file, "segment")
    }
}

/// Space set aside so that deletions can still be logged when the disk is full.
enum Ballast {
    static func fill(_ directory: String, octets: Int) throws(StoreError) {
        guard octets > 0 else { return }
        let fd = try FileAccess.open(directory + "/ballast", O_RDWR | O_CREAT)
        defer { close(fd) }
        let code = posix_fallocate(fd, 0, off_t(octets))
        guard code == 0 else { throw FileAccess.error(code, "ballast") }
    }

    /// Gives the space back; answers whether there was any.
    static func release(_ directory: String) -> Bool { unlink(directory + "/ballast") == 0 }
}
