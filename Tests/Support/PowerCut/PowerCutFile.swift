import Glibc

/// A file of an image while it is built, and the few folder operations that the builder needs.
struct PowerCutFile: ~Copyable {
    private static let chunkOctets = 1 << 20
    // Linux values; Glibc's module does not export these macros everywhere.
    private static let seekData: Int32 = 3
    private static let seekHole: Int32 = 4

    private let descriptor: Int32
    private let path: String
    private let bytes: [UInt8]

    /// Opens or makes the file; `bytes` are those that payload ranges refer to.
    init(_ path: String, bytes: [UInt8]) throws(PowerCutTraceError) {
        descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        self.path = path
        self.bytes = bytes
        if descriptor < 0 { throw .image(call: "open", path: path, errno: errno) }
    }

    deinit { _ = Glibc.close(descriptor) }

    var size: Int { Int(lseek(descriptor, 0, SEEK_END)) }

    func apply(_ change: PowerCutFileChange.Kind) throws(PowerCutTraceError) {
        switch change {
        case .write(let offset, let payload): try write(bytes, payload, at: offset)
        case .truncate(let size): try setSize(size)
        case .allocate(let offset, let length, let keepsSize, let zeroes):
            let end = offset + length
            if !keepsSize, end > size { try setSize(end) }
            if zeroes {
                let zeroed = max(0, min(end, size) - offset)
                try write([UInt8](repeating: 0, count: zeroed), 0..<zeroed, at: offset)
            }
        case .times(let seconds, let nanoseconds):
            try setTimes(timespec(tv_sec: seconds, tv_nsec: nanoseconds))
        }
    }

    private func setSize(_ size: Int) throws(PowerCutTraceError) {
        if ftruncate(descriptor, off_t(size)) != 0 { throw .image(call: "ftruncate", path: path, errno: errno) }
    }

    private func setTimes(_ time: timespec) throws(PowerCutTraceError) {
        let times = [time, time]
        if futimens(descriptor, times) != 0 { throw .image(call: "futimens", path: path, errno: errno) }
    }

    private func write(_ source: [UInt8], _ range: Range<Int>, at offset: Int) throws(PowerCutTraceError) {
        var done = 0
        while done < range.count {
            let n = source.withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress! + range.lowerBound + done, range.count - done, off_t(offset + done))
            }
            if n <= 0 { throw .image(call: "pwrite", path: path, errno: errno) }
            done += n
        }
    }

    // MARK: Whole files and folders

    static func read(_ path: String) throws(PowerCutTraceError) -> [UInt8] {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .unreadable(path: path, errno: errno) }
        defer { _ = Glibc.close(descriptor) }
        let size = max(0, Int(lseek(descriptor, 0, SEEK_END)))
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            while count < size {
                let n = pread(descriptor, buffer.baseAddress! + count, size - count, off_t(count))
                if n <= 0 { break }
                count += n
            }
        }
    }

    /// Copies the parts of a file that hold data; holes stay holes, and the time of change is the same.
    static func copySparse(from source: String, to target: String) throws(PowerCutTraceError) {
        let input = Glibc.open(source, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw .unreadable(path: source, errno: errno) }
        defer { _ = Glibc.close(input) }
        let size = Int(lseek(input, 0, SEEK_END))
        let output = try PowerCutFile(target, bytes: [])
        try output.setSize(0)
        try output.setSize(size)
        var buffer = [UInt8](repeating: 0, count: min(chunkOctets, max(1, size)))
        var at = Int(lseek(input, 0, seekData))
        while at >= 0, at < size {
            let end = Int(lseek(input, off_t(at), seekHole))
            while at < end {
                let n = pread(input, &buffer, min(buffer.count, end - at), off_t(at))
                guard n > 0 else { throw .unreadable(path: source, errno: errno) }
                try output.write(buffer, 0..<n, at: at)
                at += n
            }
            at = Int(lseek(input, off_t(end), seekData))
        }
        var status = stat()
        guard fstat(input, &status) == 0 else { throw .unreadable(path: source, errno: errno) }
        try output.setTimes(status.st_mtim)
    }

    static func makeDirectory(_ path: String) throws(PowerCutTraceError) {
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw .image(call: "mkdir", path: path, errno: errno) }
    }

    static func link(_ path: String, _ other: String) throws(PowerCutTraceError) {
        if Glibc.link(path, other) != 0 { throw .image(call: "link", path: other, errno: errno) }
    }

    static func symbolicLink(_ target: String, _ path: String) throws(PowerCutTraceError) {
        if symlink(target, path) != 0 { throw .image(call: "symlink", path: path, errno: errno) }
    }

    /// Nil for what is no symbolic link.
    static func linkTarget(_ path: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes {
            readlink(path, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
        }
        return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
    }

    static func number(_ path: String) -> UInt64? {
        var status = stat()
        return lstat(path, &status) == 0 ? UInt64(status.st_ino) : nil
    }

    static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    static func names(in directory: String) throws(PowerCutTraceError) -> [String] {
        guard let stream = opendir(directory) else { throw .unreadable(path: directory, errno: errno) }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Removes a folder with all that is in it; that it is not there is no error.
    static func removeTree(_ path: String) {
        if isDirectory(path) {
            for name in (try? names(in: path)) ?? [] { removeTree("\(path)/\(name)") }
            rmdir(path)
        } else {
            unlink(path)
        }
    }
}
