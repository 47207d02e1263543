import Glibc

/// Blocks that nobody needs, held so that they can be given back when the disk is full.
struct Ballast: Sendable {
    let path: String
    let octets: Int
    let disk: DiskCalls

    var isHeld: Bool {
        var status = stat()
        guard octets > 0 else { return true }
        return stat(path, &status) == 0 && status.st_size >= octets && Int(status.st_blocks) * 512 >= octets
    }

    func restore() throws(FileFault) {
        guard octets > 0, !isHeld else { return }
        let file = try OpenFile(path, flags: O_RDWR | O_CREAT, disk: disk)
        do throws(FileFault) {
            if !(try file.allocate(from: 0, to: UInt64(octets))) {
                try file.writeZeros(from: 0, to: UInt64(octets))
            }
            try file.flushAll()
        } catch {
            // The part that was had would be missing elsewhere.
            try? file.truncate(to: 0)
            throw error
        }
    }

    func release() throws(FileFault) {
        guard access(path, F_OK) == 0 else { return }
        let file = try OpenFile(path, flags: O_RDWR, disk: disk)
        try file.truncate(to: 0)
        // The blocks can be used by others once the journal has them.
        try file.flushAll()
    }
}
