import CLMDB
import Glibc

/// Tells whether a directory is on a file system that keeps the promises a store lives on: a memory map that agrees
/// with the file, locks that exclude, and a flush that reaches the disk.
package enum FileSystemCheck {
    /// Magic numbers of statfs(2) that are refused. Everything else (ext4, xfs, btrfs, zfs, tmpfs ...) is accepted.
    private static let refused: [(magic: UInt32, name: String)] = [
        (0x0000_6969, "NFS"),
        (0x0000_517B, "SMB"),
        (0xFF53_4D42, "CIFS"),
        (0xFE53_4D42, "SMB2"),
        (0x794C_7630, "overlayfs"),
        (0x6573_5546, "FUSE"),
        (0x0102_1997, "9p"),
        (0x00C3_6400, "Ceph"),
        (0x5346_414F, "AFS"),
    ]

    /// Why a store must not live at `path`, or nil when it may. The path must exist.
    package static func refusal(path: String) -> String? {
        var status = statfs()
        guard statfs(path, &status) == 0 else {
            return "\(path): its file system cannot be examined: " + String(cString: strerror(errno))
        }
        // The field is signed and wider than the number.
        return refusal(magic: UInt32(truncatingIfNeeded: status.f_type)).map { "\(path): \($0)" }
    }

    /// Why a file system with this magic number is refused, or nil when it is not.
    package static func refusal(magic: UInt32) -> String? {
        guard let name = refused.first(where: { $0.magic == magic })?.name else { return nil }
        return "a store cannot live on \(name): locks and flushes are not dependable there"
    }
}
