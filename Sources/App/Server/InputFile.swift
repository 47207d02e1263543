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
}
