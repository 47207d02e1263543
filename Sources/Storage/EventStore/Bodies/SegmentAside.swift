// Keeps what lies behind a tail that cannot be trusted, in a directory of its own.
//
// The part of the tail's segment is copied to the same offsets of a file of the same name, behind a copy of the
// segment's header, so that what was put aside is a segment like any other. Later segments are renamed. Only when all
// that is on stable storage is anything cut off; a crash before leaves the segments as they were or a later one moved,
// and moving goes on at the next try.
import EventFormat
import Glibc

struct SegmentAside {
    private let directory: SegmentDirectory
    private let tail: BodyLocation

    init(_ directory: SegmentDirectory, tail: (segment: UInt32, offset: UInt64)) {
        self.directory = directory
        self.tail =
            tail.segment == 0
            ? BodyLocation(segment: 1, offset: UInt64(SegmentFormat.headerOctets))
            : BodyLocation(segment: tail.segment, offset: tail.offset)
    }

    func move(reason: String) throws(FileFault) -> String? {
        let numbers = try directory.segments()
        let later = numbers.filter { $0 > tail.segment }
        var last: OpenFile?
        if numbers.contains(tail.segment) {
            last = try OpenFile(directory.path(of: tail.segment), flags: O_RDWR, disk: directory.disk)
        }
        let hasRest = try last.map { file throws(FileFault) in try holdsBytes(file) } ?? false
        guard hasRest || !later.isEmpty else { return nil }
        let target = try makeTarget()
        try write(reason, to: target + "/reason")
        if hasRest, let last { try copy(last, to: target) }
        for number in later {
            let name = SegmentDirectory.name(of: number)
            guard rename(directory.path(of: number), "\(target)/\(name)") == 0 else { throw FileFault("rename", name) }
        }
        try OpenFile(target, flags: O_RDONLY | O_DIRECTORY, disk: directory.disk).flushAll()
        try directory.flush()
        if hasRest, let last {
            try last.clear(from: tail.offset, keeping: try last.count)
            try last.flushAll()
        }
        return target
    }

    private func holdsBytes(_ file: OpenFile) throws(FileFault) -> Bool {
        var position = tail.offset
        while true {
            let run = try file.read(BodyLimits.runOctetsMax, at: position)
            if run.isEmpty { return false }
            if !isZero(run) { return true }
            position += UInt64(run.count)
        }
    }

    /// A new directory `aside-0001`, or the next number that is free.
    private func makeTarget() throws(FileFault) -> String {
        for number in 1...asideDirectoriesMax {
            let digits = String(number)
            let path = "\(directory.path)/aside-" + String(repeating: "0", count: 4 - digits.count) + digits
            if mkdir(path, 0o700) == 0 { return path }
            guard errno == EEXIST else { throw FileFault("mkdir", path) }
        }
        throw FileFault("mkdir", directory.path + "/aside-…", code: EEXIST)
    }

    private func write(_ text: String, to path: String) throws(FileFault) {
        let file = try OpenFile(path, flags: O_WRONLY | O_CREAT | O_EXCL, disk: directory.disk)
        try file.write(Array((text + "\n").utf8), at: 0)
        try file.flushAll()
    }

    private func copy(_ source: OpenFile, to target: String) throws(FileFault) {
        let path = target + "/" + SegmentDirectory.name(of: tail.segment)
        let file = try OpenFile(path, flags: O_WRONLY | O_CREAT | O_EXCL, disk: directory.disk)
        try file.write(try source.read(SegmentFormat.headerOctets, at: 0), at: 0)
        var position = tail.offset
        while true {
            let run = try source.read(BodyLimits.runOctetsMax, at: position)
            if run.isEmpty { break }
            // Runs of zeros are left out and take no blocks.
            if !isZero(run) { try file.write(run, at: position) }
            position += UInt64(run.count)
        }
        try file.flushAll()
    }
}

/// Directories of segments put aside, in four digits.
private let asideDirectoriesMax = 9999
