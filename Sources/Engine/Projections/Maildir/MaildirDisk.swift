// The system calls of the projection, each with the path in its error, and the named points between them at which a
// test can stop it. Used by one thread.
//
// Every step may be done again: what must be there is created when it is absent, what must be gone may be gone already.
import Glibc

/// What has just been done; a test may stop the projection there.
package enum MaildirStep: String, CaseIterable, Sendable {
    case accountClaimed, folderCreated, folderParked, folderMoved, folderEmptied, folderRemoved
    case temporaryWritten, filePlaced, fileRenamed, fileRemoved
    case listAppended, listWritten, listPlaced, smallFilePlaced
    case synced, checkpointWritten
    /// Two-way accounts: a folder was listed, and nothing of what it showed has been done.
    case treeScanned
    /// Two-way accounts: the octets of a file of another program are on stable storage; then it is in the log, but not yet
    /// ours in the tree; then it is ours, or put away.
    case foreignSynced, adoptionCommitted, foreignAdopted, foreignRemoved
    /// Two-way accounts: changes of another program are in the log, and not yet remembered as agreed.
    case importCommitted
    /// Two-way accounts: how far the tree is, for a node that comes back on the same running system.
    case markWritten
    /// Two-way accounts: a tree is about to be made as the state has it, and what is missing until then was not deleted.
    case rebuildNoted
    case fileSetAside

    /// Those that only two-way accounts pass.
    package static let twoWay: Set<MaildirStep> = [
        .treeScanned, .foreignSynced, .adoptionCommitted, .foreignAdopted, .foreignRemoved, .importCommitted,
        .markWritten, .rebuildNoted, .fileSetAside,
    ]
}

/// A system call that failed.
package struct MaildirFailure: Error, Equatable, Sendable, CustomStringConvertible {
    package var operation: String
    package var path: String
    /// The errno.
    package var code: Int32
    package init(operation: String, path: String, code: Int32) {
        self.operation = operation
        self.path = path
        self.code = code
    }
    package var description: String { "\(operation) \(path): \(String(cString: strerror(code)))" }
}

/// Something in the tree belongs to somebody else and is in the way; it is not touched.
package struct ForeignMaildir: Error, Equatable, Sendable, CustomStringConvertible {
    package var path: String
    package var description: String {
        "\(path) has a \(UIDList.fileName) that another program made; give the projection a directory of its own"
    }
}

final class MaildirDisk {
    /// Called after each step; what it throws stops the projection as a crash would.
    let reached: (MaildirStep) throws -> Void
    /// Message files written.
    private(set) var filesWritten: UInt64 = 0
    /// Octets of message files written.
    private(set) var octetsWritten: UInt64 = 0
    /// Changes of any kind since the last `syncFileSystem`.
    private(set) var changes: UInt64 = 0
    /// The number that tells a file from others, made of the system's: another one for tests with copies of a disk.
    let fileNumber: (UInt64) -> UInt64

    init(reached: @escaping (MaildirStep) throws -> Void, fileNumber: @escaping (UInt64) -> UInt64 = { $0 }) {
        self.reached = reached
        self.fileNumber = fileNumber
    }

    private func failure(_ operation: String, _ path: String) -> MaildirFailure {
        MaildirFailure(operation: operation, path: path, code: errno)
    }

    private func did(_ step: MaildirStep) throws {
        changes += 1
        try reached(step)
    }

    // MARK: Directories

    /// - Returns: false when it was there.
    @discardableResult
    func makeDirectory(_ path: String) throws -> Bool {
        if mkdir(path, 0o700) == 0 {
            changes += 1
            return true
        }
        guard errno == EEXIST else { throw failure("mkdir", path) }
        return false
    }

    /// - Returns: false when it is not empty; one that is not there counts as removed.
    @discardableResult
    func removeDirectory(_ path: String) throws -> Bool {
        if rmdir(path) == 0 {
            changes += 1
            return true
        }
        if errno == ENOTEMPTY || errno == EEXIST { return false }
        guard errno == ENOENT else { throw failure("rmdir", path) }
        return true
    }

    /// Calls `body` with every name in the directory until it answers false.
    /// - Returns: false when there is no such directory.
    @discardableResult
    func list(_ path: String, _ body: (String) throws -> Bool) throws -> Bool {
        guard let directory = opendir(path) else {
            guard errno == ENOENT || errno == ENOTDIR else { throw failure("opendir", path) }
            return false
        }
        defer { closedir(directory) }
        while true {
            errno = 0
            guard let entry = readdir(directory) else {
                guard errno == 0 else { throw failure("readdir", path) }
                return true
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name == "." || name == ".." { continue }
            guard try body(name) else { return true }
        }
    }

    func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Octets of a file; nil when it is not there.
    func size(_ path: String) throws -> Int? { try status(path).map { Int($0.st_size) } }

    /// Nil when nothing is there.
    func status(_ path: String) throws -> stat? {
        var status = stat()
        if lstat(path, &status) == 0 { return status }
        guard errno == ENOENT || errno == ENOTDIR else { throw failure("stat", path) }
        return nil
    }

    // MARK: Names

    /// - Returns: false when there is nothing under the old name.
    @discardableResult
    func rename(_ old: String, to new: String, _ step: MaildirStep) throws -> Bool {
        guard Glibc.rename(old, new) == 0 else {
            guard errno == ENOENT, !exists(old) else { throw failure("rename", "\(old) to \(new)") }
            return false
        }
        try did(step)
        return true
    }

    /// - Returns: false when it was not there.
    @discardableResult
    func remove(_ path: String) throws -> Bool {
        guard unlink(path) == 0 else {
            guard errno == ENOENT || errno == ENOTDIR else { throw failure("unlink", path) }
            return false
        }
        changes += 1
        return true
    }

    /// - Returns: false when it was not there.
    @discardableResult
    func removeMessage(_ path: String, _ step: MaildirStep = .fileRemoved) throws -> Bool {
        guard try remove(path) else { return false }
        try reached(step)
        return true
    }

    func makeLink(_ path: String, to target: String) throws {
        guard symlink(target, path) == 0 || errno == EEXIST else { throw failure("symlink", path) }
        changes += 1
    }

    /// The target of a symbolic link; nil when there is none.
    func linkTarget(_ path: String) throws -> String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink(path, &buffer, buffer.count - 1)
        guard count >= 0 else {
            guard errno == ENOENT || errno == EINVAL else { throw failure("readlink", path) }
            return nil
        }
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    // MARK: Files

    /// Writes a whole file at `path` through `body`, which calls the closure it gets with each run of octets.
    /// - Parameter modified: seconds since 1970 for the file's times; nil leaves them.
    func write(
        _ path: String, modified: Int64?, _ body: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failure("open", path) }
        changes += 1
        var isOpen = true
        defer { if isOpen { Glibc.close(descriptor) } }
        try body { try self.writeAll(descriptor, $0, path) }
        if let modified {
            let moment = timespec(tv_sec: Int(modified), tv_nsec: 0)
            guard
                withUnsafePointer(
                    to: (moment, moment),
                    { pair in
                        pair.withMemoryRebound(to: timespec.self, capacity: 2) { futimens(descriptor, $0) == 0 }
                    })
            else { throw failure("futimens", path) }
        }
        isOpen = false
        guard Glibc.close(descriptor) == 0 else { throw failure("close", path) }
    }

    /// A message file in `tmp/`.
    func writeMessage(
        _ path: String, octets: UInt32, modified: Int64,
        _ body: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        try write(path, modified: modified, body)
        filesWritten += 1
        octetsWritten += UInt64(octets)
        try reached(.temporaryWritten)
    }

    private func writeAll(_ descriptor: Int32, _ run: UnsafeRawBufferPointer, _ path: String) throws {
        var rest = run
        while rest.count > 0 {
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("write", path)
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Appends to a file that must be there.
    /// - Returns: false when it is not.
    func append(_ path: String, _ text: [UInt8]) throws -> Bool {
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            guard errno == ENOENT else { throw failure("open", path) }
            return false
        }
        defer { Glibc.close(descriptor) }
        try text.withUnsafeBytes { try writeAll(descriptor, $0, path) }
        try did(.listAppended)
        return true
    }

    /// Puts a small file in place through `temporary`, when its text differs from what is there.
    /// - Parameter text: nil removes the file.
    func replace(_ path: String, through temporary: String, with text: String?) throws {
        guard let text else {
            if try remove(path) { try reached(.smallFilePlaced) }
            return
        }
        if try read(path, limit: MaildirLimits.smallFileOctetsMax) == Array(text.utf8) { return }
        try write(temporary, modified: nil) { put in
            try Array(text.utf8).withUnsafeBytes { try put($0) }
        }
        try rename(temporary, to: path, .smallFilePlaced)
    }

    /// Up to `limit` octets from `offset`; nil when the file is not there.
    func read(_ path: String, from offset: Int = 0, limit: Int) throws -> [UInt8]? {
        // Others may write here: no link is followed, and no pipe is waited for.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else {
            guard errno == ENOENT || errno == ENOTDIR else { throw failure("open", path) }
            return nil
        }
        defer { Glibc.close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("stat", path) }
        guard status.st_mode & S_IFMT == S_IFREG else { return nil }
        let wanted = max(0, min(limit, Int(status.st_size) - offset))
        var bytes = [UInt8](repeating: 0, count: wanted)
        var filled = 0
        while filled < wanted {
            let count = bytes.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress! + filled, wanted - filled, off_t(offset + filled))
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("read", path)
            }
            if count == 0 { break }
            filled += count
        }
        return Array(bytes[..<filled])
    }

    // MARK: Durability

    /// Everything that was written to the file system of `path` is on stable storage when it returns.
    func syncFileSystem(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", path) }
        defer { Glibc.close(descriptor) }
        guard syncFileSystemOf(descriptor) == 0 else { throw failure("syncfs", path) }
        changes = 0
        try reached(.synced)
    }

    /// Puts a file in place so that after a power cut it is the old one or the new one.
    func replaceDurably(
        _ directory: String, _ name: String, with text: String, _ step: MaildirStep = .checkpointWritten
    ) throws {
        let before = changes
        let temporary = "\(directory)/\(name).tmp"
        try write(temporary, modified: nil) { put in
            try Array(text.utf8).withUnsafeBytes { try put($0) }
        }
        try sync(temporary)
        guard Glibc.rename(temporary, "\(directory)/\(name)") == 0 else { throw failure("rename", temporary) }
        try sync(directory)
        changes = before
        try reached(step)
    }

    /// Puts a small file in place that a kill leaves whole, and a power cut may take: it counts as no change.
    func replaceLightly(_ directory: String, _ name: String, with text: String) throws {
        let before = changes
        defer { changes = before }
        let temporary = "\(directory)/\(name).tmp"
        try write(temporary, modified: nil) { put in
            try Array(text.utf8).withUnsafeBytes { try put($0) }
        }
        guard Glibc.rename(temporary, "\(directory)/\(name)") == 0 else { throw failure("rename", temporary) }
        try reached(.markWritten)
    }

    /// A file's octets and times, or a directory's names, are on stable storage when it returns.
    /// - Returns: false when it was not there.
    @discardableResult
    func sync(_ path: String) throws -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            guard errno == ENOENT else { throw failure("open", path) }
            return false
        }
        defer { Glibc.close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("fsync", path) }
        return true
    }

    /// Notes a step that is made of several calls.
    func passed(_ step: MaildirStep) throws { try reached(step) }
}

/// syncfs(2). Glibc declares it for GNU programs only, so Swift does not see it by name; it is looked up instead. Where
/// it cannot be found (a static program), sync(2) does the same for all file systems, and on Linux it waits too.
private let syncFileSystemOf: @Sendable (Int32) -> Int32 = {
    typealias SyncFS = @convention(c) (Int32) -> Int32
    guard let symbol = dlsym(nil, "syncfs") else {
        return { _ in
            sync()
            return 0
        }
    }
    // The type is that of the manual page: int syncfs(int fd).
    let syncfs = unsafeBitCast(symbol, to: SyncFS.self)
    return { syncfs($0) }
}()
