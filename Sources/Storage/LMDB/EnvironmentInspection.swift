// Numbers about an environment, and copies of it.

import CLMDB
import Glibc

extension Environment {
    /// Pages, readers and sizes at this moment.
    package func info() throws(LMDBError) -> EnvironmentInfo {
        var raw = MDB_envinfo()
        var stat = MDB_stat()
        try LMDBError.check(withHandle { mdb_env_info($0, &raw) }, "info")
        try LMDBError.check(withHandle { mdb_env_stat($0, &stat) }, "info")
        let readers = readers()
        let last = Int(raw.me_last_txnid)
        return EnvironmentInfo(
            pageOctets: Int(stat.ms_psize), mapOctets: raw.me_mapsize, pagesUsed: raw.me_last_pgno + 1,
            lastTransaction: last, readersMax: Int(raw.me_maxreaders), readers: readers.count,
            oldestReaderLag: readers.oldest.map { max(0, last - $0) } ?? 0, dataFileOctets: dataFileBytes)
    }

    /// Rows, depth and pages of a database at the last commit.
    package func statistics(of db: Database) throws -> DatabaseStatistics {
        try read { try $0.statistics(of: db) }
    }

    /// The number of the last committed write transaction.
    package var lastTransaction: Int {
        var raw = MDB_envinfo()
        // Fails only for a null argument.
        _ = withHandle { mdb_env_info($0, &raw) }
        return Int(raw.me_last_txnid)
    }

    /// Octets of the data file; 0 when it cannot be examined.
    package var dataFileBytes: Int {
        var status = stat()
        return stat(directory + "/data.mdb", &status) == 0 ? Int(status.st_size) : 0
    }

    /// Frees the reader slots of processes that are gone. Returns how many.
    @discardableResult
    package func clearDeadReaders() throws(LMDBError) -> Int {
        var dead: Int32 = 0
        try LMDBError.check(withHandle { mdb_reader_check($0, &dead) }, "check the readers")
        return Int(dead)
    }

    /// Writes a compact copy of the last commit to `directory`/data.mdb (0600), flushed when this returns.
    ///
    /// Holds a reader for as long as it takes, beside running writers. The directory is made (0700) if need be.
    /// - Throws: EEXIST when there is a data file already; on any later error the unfinished copy is removed.
    package func copyCompact(to directory: String) throws(LMDBError) {
        if mkdir(directory, 0o700) != 0, errno != EEXIST { throw LMDBError.failure(errno, "make the directory") }
        let path = directory + "/data.mdb"
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw LMDBError.failure(errno, "make the copy") }
        var code = withHandle { mdb_env_copyfd2($0, file, UInt32(MDB_CP_COMPACT)) }
        if code == MDB_SUCCESS, fsync(file) != 0 { code = errno }
        if close(file) != 0, code == MDB_SUCCESS { code = errno }
        if code == MDB_SUCCESS { code = Self.syncDirectory(directory) }
        guard code == MDB_SUCCESS else {
            unlink(path)
            throw LMDBError.failure(code, "copy")
        }
    }

    private static func syncDirectory(_ path: String) -> Int32 {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        return fsync(descriptor) == 0 ? 0 : errno
    }

    private struct Readers {
        var count = 0
        var oldest: Int?
    }

    /// The reader table. The library gives it as text only: "pid thread txnid", with "-" for a slot without a view.
    private func readers() -> Readers {
        var readers = Readers()
        withUnsafeMutablePointer(to: &readers) { pointer in
            _ = withHandle { env in
                mdb_reader_list(
                    env,
                    { text, context in
                        guard let text, let readers = context?.assumingMemoryBound(to: Readers.self) else { return 0 }
                        let fields = String(cString: text).split(whereSeparator: { $0 == " " || $0 == "\n" })
                        guard fields.count == 3, Int(fields[0]) != nil else { return 0 }
                        readers.pointee.count += 1
                        if let seen = Int(fields[2]) {
                            readers.pointee.oldest = min(readers.pointee.oldest ?? seen, seen)
                        }
                        return 0
                    }, UnsafeMutableRawPointer(pointer))
            }
        }
        return readers
    }
}

extension Environment {
    /// Octets of the data file in use as of the last commit: page size times the highest page number, plus one.
    package var usedOctets: Int {
        withHandle { handle in
            var info = MDB_envinfo()
            var stat = MDB_stat()
            mdb_env_info(handle, &info)
            mdb_env_stat(handle, &stat)
            return (info.me_last_pgno + 1) * Int(stat.ms_psize)
        }
    }

    /// Fills the data file with zeros from its end up to `octets`, behind every page in use, so that a later commit
    /// neither runs out of blocks nor has to change the file's extents at its flush. Only while no one writes.
    /// - Throws: `isNoSpace` when there is no room; nothing that is in use is changed then.
    package func extend(octets: Int) throws(LMDBError) {
        var descriptor: Int32 = -1
        try LMDBError.check(withHandle { mdb_env_get_fd($0, &descriptor) }, "find the data file")
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw LMDBError.failure(errno, "look at the data file") }
        let start = max(Int(status.st_size), usedOctets)
        var position = start
        let zeros = [UInt8](repeating: 0, count: 1 << 20)
        while position < octets {
            let count = pwrite(descriptor, zeros, min(zeros.count, octets - position), position)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw LMDBError.failure(errno == EDQUOT ? ENOSPC : errno, "extend the data file")
            }
            position += count
        }
        guard position > start else { return }
        // A failed flush is left to the commit, which flushes the same file and stops the store.
        _ = fdatasync(descriptor)
        // Runs this long lie in the page cache as large folios, and each later write of one page would walk all of
        // its folio's blocks. Out of the cache, the file comes back page by page.
        _ = posix_fadvise(descriptor, start, position - start, Int32(POSIX_FADV_DONTNEED))
    }
}
