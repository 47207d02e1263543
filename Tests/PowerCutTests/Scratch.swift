import Foundation
import PowerCutSupport

/// A folder of one test, on a memory file system where there is one, removed with the value.
final class Scratch {
    let path: String

    init() throws {
        let memory = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
        path = "\(memory)/letterlog-powercut-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }
}

/// A C program of this folder, compiled when first asked for.
func program(_ name: String, libraries: [String] = ["-lpthread"]) throws -> String {
    let source = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Programs/\(name).c")
    return try PowerCutPreload.compile(source, libraries: libraries)
}

/// Every file below a folder with its content, folders with nil.
func tree(_ root: String) throws -> [String: Data?] {
    var result: [String: Data?] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: root) {
        var isDirectory: ObjCBool = false
        _ = FileManager.default.fileExists(atPath: "\(root)/\(name)", isDirectory: &isDirectory)
        result[name] = .some(isDirectory.boolValue ? nil : try Data(contentsOf: URL(filePath: "\(root)/\(name)")))
    }
    return result
}
