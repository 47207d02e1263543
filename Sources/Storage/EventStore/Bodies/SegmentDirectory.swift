// Names and headers of segment files.
//
//     seg/00000001.seg ...   segments, numbered from 1 in hexadecimal
//     seg/spare              the next segment, allocated ahead; it gets its header and its name when it is needed
//     seg/ballast            blocks to give back when the disk is full
//     seg/aside-0001 ...     what an operator must look at
import EventFormat
import Glibc

/// A position in the sequence of segments: of a record, or the tail behind the last one.
package struct BodyLocation: Hashable, Comparable, Sendable {
    package var segment: UInt32
    /// Octets from the start of the file.
    package var offset: UInt64
    package init(segment: UInt32, offset: UInt64) {
        self.segment = segment
        self.offset = offset
    }
    package static func < (a: Self, b: Self) -> Bool { (a.segment, a.offset) < (b.segment, b.offset) }
}

struct SegmentDirectory: Sendable {
    let path: String
    /// 16 bytes.
    let storeUUID: [UInt8]
    let shard: UInt32
    let disk: DiskCalls

    var sparePath: String { path + "/spare" }
    var ballastPath: String { path + "/ballast" }
    func path(of segment: UInt32) -> String { "\(path)/\(Self.name(of: segment))" }

    /// Eight hexadecimal digits and `.seg`.
    static func name(of segment: UInt32) -> String {
        let digits = String(segment, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits + ".seg"
    }

    private static func number(of name: String) -> UInt32? {
        guard name.utf8.count == 12, name.hasSuffix(".seg"), let number = UInt32(name.dropLast(4), radix: 16),
            Self.name(of: number) == name
        else { return nil }
        return number
    }

    /// Makes the directory, durably, unless it is there.
    func create() throws(FileFault) {
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw FileFault("mkdir", path) }
        try OpenFile(path + "/..", flags: O_RDONLY | O_DIRECTORY, disk: disk).flushAll()
    }

    /// The numbers of all segments, ascending.
    func segments() throws(FileFault) -> [UInt32] {
        try names().compactMap(Self.number).sorted()
    }

    func names() throws(FileFault) -> [String] {
        guard let stream = opendir(path) else { throw FileFault("opendir", path) }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else { throw FileFault("readdir", path) }
                return names
            }
            names.append(
                withUnsafeBytes(of: entry.pointee.d_name) { text in
                    String(decoding: text.prefix { $0 != 0 }, as: UTF8.self)
                })
        }
    }

    /// Makes names that were added or removed durable.
    func flush() throws(FileFault) {
        try OpenFile(path, flags: O_RDONLY | O_DIRECTORY, disk: disk).flushAll()
    }

    func remove(_ path: String) throws(FileFault) {
        guard unlink(path) == 0 || errno == ENOENT else { throw FileFault("unlink", path) }
    }

    /// A new file of `octets`, all of them allocated and zero. With `prezero` the zeros are written, so that later
    /// flushes have no extents to convert (docs/decisions/0010).
    /// - Parameter isAbandoned: asked between steps of zeros.
    /// - Throws: with `ECANCELED` once it is; no file is left then.
    func allocate(
        _ path: String, octets: UInt64, prezero: Bool, isAbandoned: () -> Bool = { false }
    ) throws(FileFault) -> OpenFile {
        let file = try OpenFile(path, flags: O_RDWR | O_CREAT | O_TRUNC, disk: disk)
        do throws(FileFault) {
            let allocated = try file.allocate(from: 0, to: octets)
            if prezero || !allocated {
                try file.writeZeros(
                    from: 0, to: octets, flushingEvery: UInt64(BodyLimits.zeroStepOctets), isAbandoned: isAbandoned)
            }
        } catch {
            // Half a file would keep the blocks that are short.
            unlink(path)
            throw error
        }
        return file
    }

    /// Gives the file the header and the name of `segment`, durably.
    func adopt(_ file: OpenFile, as segment: UInt32) throws(FileFault) -> OpenFile {
        let header = SegmentFormat.FileHeader(storeUUID: storeUUID, shard: shard, segment: segment)
        try file.write(header.encode(), at: 0)
        try file.flushData()
        let target = path(of: segment)
        guard access(target, F_OK) != 0 else { throw FileFault("rename to", target, code: EEXIST) }
        guard rename(file.path, target) == 0 else { throw FileFault("rename", file.path) }
        try flush()
        return OpenFile(file, renamedTo: target)
    }

    /// Opens a segment and checks that it is the one of that number of this store.
    func open(_ segment: UInt32, flags: Int32) throws(StoreError) -> OpenFile {
        let path = path(of: segment)
        let file: OpenFile
        let start: [UInt8]
        do throws(FileFault) {
            file = try OpenFile(path, flags: flags, disk: disk)
            start = try file.read(SegmentFormat.headerOctets, at: 0)
        } catch {
            if error.code == ENOENT { throw .damaged("\(path) is missing") }
            throw error.storeError
        }
        let wanted = SegmentFormat.FileHeader(storeUUID: storeUUID, shard: shard, segment: segment)
        guard let header = start.withUnsafeBytes({ try? SegmentFormat.FileHeader.decode($0) }) else {
            throw .damaged("\(path) has no valid header")
        }
        guard header == wanted else { throw .damaged("\(path) belongs to another store or has another number") }
        return file
    }
}
