import Glibc
import LMDB

/// A real directory for one test, removed with everything in it when the test ends.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/letterlog-lmdb-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw LMDBError(code: errno, operation: "mkdtemp") }
        path = String(cString: made)
    }

    deinit {
        removeTree(path)
    }

    /// An environment in it, small enough for a test.
    func environment(_ options: Environment.Options = .init(mapBytes: 64 << 20)) throws -> Environment {
        try Environment(directory: path, options: options)
    }
}

private func removeTree(_ path: String) {
    if let directory = opendir(path) {
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name == "." || name == ".." { continue }
            removeTree(path + "/" + name)
        }
        closedir(directory)
    }
    remove(path)
}

/// A number as eight octets, highest first: keys in the order of their numbers.
func key(_ number: Int) -> [UInt8] {
    withUnsafeBytes(of: UInt64(number).bigEndian) { [UInt8]($0) }
}

func number(_ bytes: UnsafeRawBufferPointer) -> Int {
    bytes.reduce(0) { $0 << 8 | Int($1) }
}

extension Transaction {
    /// All keys from `start` on, as numbers.
    func numbers(_ db: Database, from start: [UInt8] = []) throws -> [Int] {
        var found: [Int] = []
        try scan(db, from: start) { key, _ in
            found.append(number(key))
            return true
        }
        return found
    }

    func numbersBackward(_ db: Database, from start: [UInt8]?) throws -> [Int] {
        var found: [Int] = []
        try scanBackward(db, from: start) { key, _ in
            found.append(number(key))
            return true
        }
        return found
    }
}

/// Runs `body` on a thread of its own and waits for it.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    final class Work {
        let body: @Sendable (Int) -> Void
        let index: Int
        init(_ body: @escaping @Sendable (Int) -> Void, _ index: Int) {
            self.body = body
            self.index = index
        }
    }
    let threads = (0..<count).map { index in
        var thread = pthread_t()
        let work = Unmanaged.passRetained(Work(body, index)).toOpaque()
        pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let work = Unmanaged<Work>.fromOpaque(argument).takeRetainedValue()
                work.body(work.index)
                return nil
            }, work)
        return thread
    }
    for thread in threads { pthread_join(thread, nil) }
}

/// What this process has open, by /proc/self/fd.
func openFiles() -> [(descriptor: Int32, path: String)] {
    (0..<65_536).compactMap { descriptor in
        var target = [UInt8](repeating: 0, count: 4_096)
        let count = target.withUnsafeMutableBytes {
            guard let start = $0.bindMemory(to: CChar.self).baseAddress else { return 0 }
            return readlink("/proc/self/fd/\(descriptor)", start, $0.count)
        }
        return count > 0 ? (Int32(descriptor), String(decoding: target.prefix(count), as: UTF8.self)) : nil
    }
}
