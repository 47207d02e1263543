// A mark beside the database that its last commit failed.
//
// When the write of a meta page fails, the library puts the page's old number back over the new trees, so that the commit
// is not seen. On the disk that looks the same as a newest meta page whose number was damaged, behind which acknowledged
// mail would be lost. The mark tells the two apart. A disk that does not even take the mark is one for an operator.
import Glibc
import LMDB

enum FailedCommit {
    private static func path(_ shard: String) -> String { shard + "/commit-failed" }

    /// Leaves the mark, as durably as the disk allows.
    static func mark(_ shard: String) {
        for (path, flags) in [(path(shard), O_WRONLY | O_CREAT), (shard, O_RDONLY | O_DIRECTORY)] {
            let descriptor = open(path, flags | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { return }
            fsync(descriptor)
            close(descriptor)
        }
    }

    /// Checks the meta pages; the mark goes when they no longer need it.
    static func check(_ shard: String) throws {
        guard access(path(shard), F_OK) == 0 else {
            return try StructureCheck.checkMetas(directory: shard, afterFailedCommit: false)
        }
        do {
            try StructureCheck.checkMetas(directory: shard, afterFailedCommit: false)
        } catch {
            return try StructureCheck.checkMetas(directory: shard, afterFailedCommit: true)
        }
        unlink(path(shard))
    }
}
