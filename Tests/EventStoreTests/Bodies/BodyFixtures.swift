import Digests
import EventFormat
import EventStore
import Glibc
import MailTypes

/// A directory of its own for one test, removed with the object.
final class ScratchDirectory {
    let path: String

    init() {
        var template = Array("/var/tmp/bodies-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress, let made = mkdtemp(base) else {
                preconditionFailure("no scratch directory: \(String(cString: strerror(errno)))")
            }
            return String(cString: made)
        }
    }

    deinit { removeTree(path) }
}

/// Removes a directory and what is in it.
func removeTree(_ path: String) {
    for name in names(in: path) {
        let child = "\(path)/\(name)"
        if unlink(child) != 0, errno == EISDIR || errno == EPERM { removeTree(child) }
    }
    rmdir(path)
}

/// The names in a directory, sorted, without `.` and `..`.
func names(in path: String) -> [String] {
    guard let stream = opendir(path) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
        names.append(
            withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
    }
    return names.filter { $0 != "." && $0 != ".." }.sorted()
}

func status(of path: String) -> stat {
    var result = stat()
    guard stat(path, &result) == 0 else { preconditionFailure("\(path) is not there") }
    return result
}

/// Octets that differ from place to place and from seed to seed, and are never zero.
func octets(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    var words = [UInt64](repeating: 0, count: (count + 7) / 8)
    for index in words.indices {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        words[index] = (state ^ state >> 29) | 0x0101_0101_0101_0101
    }
    return words.withUnsafeBytes { [UInt8]($0.prefix(count)) }
}

/// A store of bodies that can be closed and opened again.
struct BodyPlace {
    static let uuid = [UInt8](0..<16)
    let path: String
    var options: SegmentOptions

    init(_ scratch: ScratchDirectory, segmentOctets: Int = 1 << 20, ballastOctets: Int = 0) {
        self.init(directory: scratch.path, segmentOctets: segmentOctets, ballastOctets: ballastOctets)
    }

    init(directory: String, segmentOctets: Int, ballastOctets: Int = 0) {
        path = directory + "/seg"
        options = SegmentOptions(segmentOctets: segmentOctets, ballastOctets: ballastOctets)
    }

    func create(disk: DiskCalls = .system) throws(StoreError) {
        try SegmentStore.create(directory: path, storeUUID: Self.uuid, shard: 0, options: options, disk: disk)
    }

    func open(
        tail: (segment: UInt32, offset: UInt64) = (0, 0), nextBlob: UInt64 = 1, disk: DiskCalls = .system
    ) throws(StoreError) -> SegmentStore {
        try SegmentStore.open(
            directory: path, storeUUID: Self.uuid, shard: 0, options: options, tail: tail, nextBlob: nextBlob,
            disk: disk)
    }

    func made(disk: DiskCalls = .system) throws(StoreError) -> SegmentStore {
        try create(disk: disk)
        return try open(disk: disk)
    }

    func segment(_ number: UInt32) -> String { "\(path)/0000000\(number).seg" }
}

extension StagedBody {
    var location: BodyLocation { BodyLocation(segment: segment, offset: offset) }

    /// The row a database would have for it.
    var row: BlobRow {
        BlobRow(
            segment: segment, offset: offset, storedOctets: UInt64(reference.size), rawOctets: UInt64(reference.size),
            references: 1, hash: reference.hash)
    }
}

extension SegmentStore {
    /// Stages `bytes` as one body.
    func stage(_ bytes: [UInt8]) throws(StoreError) -> StagedBody { try stage(MemoryBody(bytes)) }

    /// All of a body, read in pieces of `step`.
    func contents(_ body: StagedBody, step: Int = 100_000) throws(StoreError) -> [UInt8] {
        let handle = try open(body.row)
        var bytes: [UInt8] = []
        while bytes.count < handle.size {
            let before = bytes.count
            try handle.read(at: bytes.count, count: step, into: &bytes)
            if bytes.count == before { break }
        }
        return bytes
    }

    /// The digest of a body as it is read back.
    func digest(_ body: StagedBody) throws(StoreError) -> SHA256Digest { SHA256Digest.of(try contents(body)) }

    /// Places of all records, in order.
    func places() throws(StoreError) -> (places: [BodyLocation], blobs: [UInt64], gaps: [SegmentGap]) {
        var places: [BodyLocation] = []
        var blobs: [UInt64] = []
        let gaps = try scan { place, header in
            places.append(place)
            blobs.append(header.blob.rawValue)
            return true
        }
        return (places, blobs, gaps)
    }
}

/// All octets of a file from `offset` on.
func contents(of path: String, from offset: UInt64 = 0) -> [UInt8] {
    let file = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    defer { close(file) }
    let count = max(0, Int(status(of: path).st_size) - Int(offset))
    return [UInt8](unsafeUninitializedCapacity: count) { room, filled in
        filled = max(0, pread(file, room.baseAddress, count, Int(offset)))
    }
}

/// Compared as a whole, which is quick without optimisation too.
func isZero(_ bytes: [UInt8]) -> Bool { bytes == [UInt8](repeating: 0, count: bytes.count) }

/// Whether a file holds only zeros from `offset` on.
func isZero(_ path: String, from offset: UInt64) -> Bool { isZero(contents(of: path, from: offset)) }

/// What expectations on bodies compare, so that one that fails does not print megabytes.
func digest(_ bytes: [UInt8]) -> SHA256Digest { SHA256Digest.of(bytes) }

/// Turns one bit of a file.
func flipBit(_ path: String, at offset: UInt64) {
    let file = Glibc.open(path, O_RDWR | O_CLOEXEC)
    defer { close(file) }
    var octet: UInt8 = 0
    precondition(pread(file, &octet, 1, Int(offset)) == 1)
    octet ^= 0x10
    precondition(pwrite(file, &octet, 1, Int(offset)) == 1)
}

/// Puts bytes over what a file has.
func overwrite(_ path: String, at offset: UInt64, _ bytes: [UInt8]) {
    let file = Glibc.open(path, O_RDWR | O_CLOEXEC)
    defer { close(file) }
    precondition(pwrite(file, bytes, bytes.count, Int(offset)) == bytes.count)
}

/// What a call threw.
func failure<R>(_ body: () throws(StoreError) -> R) -> StoreError? {
    do throws(StoreError) {
        _ = try body()
        return nil
    } catch {
        return error
    }
}
