import Glibc

/// A Unix socket in a directory, also where the path is longer than `sun_path` takes (107 octets, unix(7)): it is then
/// named through the open directory, `/proc/self/fd/N/NAME`.
struct UnixSocketPath {
    let directory: String
    let name: String

    var path: String { directory + "/" + name }

    /// Calls `body` (bind or connect) with the address.
    /// - Returns: what `body` answered; -1 with errno set when the directory cannot be opened.
    func withAddress(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        var text = path
        var descriptor: Int32 = -1
        if text.utf8.count >= capacity {
            descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard descriptor >= 0 else { return -1 }
            text = "/proc/self/fd/\(descriptor)/\(name)"
        }
        defer { if descriptor >= 0 { close(descriptor) } }
        guard text.utf8.count < capacity else {
            errno = ENAMETOOLONG
            return -1
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(text.utf8)) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
