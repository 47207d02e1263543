import Foundation
import Glibc

/// A file that a person named, opened for reading.
package enum InputFile {
    /// - Throws: a failure that names the file and the system's reason.
    package static func open(_ path: String) throws(AdministrationFailure) -> FileHandle {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw AdministrationFailure("\(path): \(String(cString: strerror(errno)))")
        }
        return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    /// All that a file holds.
    /// - Throws: a failure that names the file, also when it holds more than `octetsMax`.
    package static func octets(_ path: String, octetsMax: Int) throws -> Data {
        let data = try open(path).read(upToCount: octetsMax + 1) ?? Data()
        guard data.count <= octetsMax else { throw AdministrationFailure("\(path) is larger than \(octetsMax) octets") }
        return data
    }

    /// What a file holds that has one secret in it, without the line end.
    /// - Throws: a failure that names the file and repeats nothing of it.
    static func secret(_ path: String) throws -> String {
        let data = try open(path).read(upToCount: ServerLimits.secretOctetsMax + 1) ?? Data()
        guard data.count <= ServerLimits.secretOctetsMax, let text = String(data: data, encoding: .utf8) else {
            throw AdministrationFailure("\(path) holds no secret: too long, or not UTF-8")
        }
        return text.trimmingCharacters(in: .newlines)
    }

    /// Hands out the octets of a file in pieces, each good for the length of the call.
    /// - Throws: a failure with the system's reason, or what `take` throws.
    static func read(
        _ path: String, into buffer: inout [UInt8], _ take: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw AdministrationFailure(String(cString: strerror(errno))) }
        defer { Glibc.close(descriptor) }
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw AdministrationFailure(String(cString: strerror(errno))) }
            if count == 0 { return }
            try buffer.withUnsafeBytes { try take(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
    }
}
