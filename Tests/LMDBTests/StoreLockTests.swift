// The lock that keeps a second process out, held by real processes.
import Glibc
import LMDB
import Testing

@Suite("Store lock and file systems")
struct StoreLockTests {
    let directory: TemporaryDirectory
    let path: String

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.path + "/lock"
    }

    @Test("the lock carries our pid, excludes a second one, and is free afterwards")
    func exclusive() throws {
        do {
            let lock = try StoreLock(path: path)
            #expect(throws: StoreLockError.held(path: path, pid: getpid())) { _ = try StoreLock(path: path) }
            #expect(lock.path == path)
        }
        #expect(throws: Never.self) { _ = try StoreLock(path: path) }
    }

    @Test("another process holding the lock is named, and its death frees it")
    func otherProcess() throws {
        // The shell takes the lock on descriptor 9, writes its pid, says so by a line, and waits to be killed.
        let script = "exec 9>\"$0\"; flock -n 9 || exit 1; echo $$ >&9; echo ready; read -r line"
        let child = try Child(["/bin/sh", "-c", script, path])
        #expect(child.readLine() == "ready")
        let error = #expect(throws: StoreLockError.self) { _ = try StoreLock(path: path) }
        #expect(error == .held(path: path, pid: child.pid))
        #expect(error?.description == "\(path) is held by another process (pid \(child.pid))")
        child.end()
        #expect(throws: Never.self) { _ = try StoreLock(path: path) }
    }

    @Test("a program we start does not inherit the lock")
    func notInherited() throws {
        let lock = try StoreLock(path: path)
        let ours = openFiles().filter { $0.path == path }
        #expect(ours.count == 1)
        for file in ours { #expect(fcntl(file.descriptor, F_GETFD) & FD_CLOEXEC != 0) }
        withExtendedLifetime(lock) {}
    }

    @Test("the lock ends with its object, also while a child has a copy of its file")
    func releasedBesideChild() throws {
        var lock: StoreLock? = try StoreLock(path: path)
        // A duplicate shares the open file, as a child between fork and exec does.
        let copy = dup(try #require(openFiles().first { $0.path == path }).descriptor)
        defer { close(copy) }
        #expect(lock != nil)
        lock = nil
        #expect(throws: Never.self) { _ = try StoreLock(path: path) }
    }

    @Test("a holder that wrote no pid is held all the same")
    func withoutPID() throws {
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(file) }
        #expect(flock(file, LOCK_EX | LOCK_NB) == 0)
        let error = #expect(throws: StoreLockError.self) { _ = try StoreLock(path: path) }
        #expect(error == .held(path: path, pid: nil))
        #expect(error?.description == "\(path) is held by another process")
    }

    @Test("a path that cannot be opened, or is a link, is an error of the system")
    func unusablePath() throws {
        let missing = directory.path + "/none/lock"
        #expect(throws: StoreLockError.system(path: missing, code: ENOENT)) { _ = try StoreLock(path: missing) }
        #expect(symlink("/dev/null", path) == 0)
        #expect(throws: StoreLockError.system(path: path, code: ELOOP)) { _ = try StoreLock(path: path) }
    }

    // The numbers are those of statfs(2).
    @Test(
        "file systems without dependable locks and maps are refused by name",
        arguments: [
            (0x6969, "NFS"), (0x794C_7630, "overlayfs"), (0x6573_5546, "FUSE"), (0xFF53_4D42, "CIFS"),
            (0xFE53_4D42, "SMB2"), (0x517B, "SMB"), (0x0102_1997, "9p"),
        ] as [(UInt32, String)])
    func refused(_ magic: UInt32, _ name: String) {
        #expect(FileSystemCheck.refusal(magic: magic)?.contains(" \(name):") == true)
    }

    @Test(
        "local file systems are accepted: ext4, xfs, btrfs, zfs, tmpfs",
        arguments: [0xEF53, 0x5846_5342, 0x9123_683E, 0x2FC1_2FC1, 0x0102_1994] as [UInt32])
    func accepted(_ magic: UInt32) {
        #expect(FileSystemCheck.refusal(magic: magic) == nil)
    }

    @Test("the check asks the system, and a missing path is a refusal with the reason")
    func asksTheSystem() {
        // /proc is neither of the two lists: accepted means that the call worked and the number was looked at.
        #expect(FileSystemCheck.refusal(path: "/proc") == nil)
        #expect(
            FileSystemCheck.refusal(path: directory.path + "/none")?.hasSuffix("No such file or directory") == true)
    }
}

/// A child process with pipes to its input and output.
private final class Child {
    let pid: pid_t
    private let input: Int32
    private let output: Int32
    private var isRunning = true

    init(_ arguments: [String]) throws {
        var toChild: [Int32] = [0, 0]
        var fromChild: [Int32] = [0, 0]
        guard pipe(&toChild) == 0, pipe(&fromChild) == 0 else {
            throw LMDBError(code: errno, operation: "pipe")
        }
        for descriptor in toChild + fromChild { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, toChild[0], 0)
        posix_spawn_file_actions_adddup2(&actions, fromChild[1], 1)
        let argv = arguments.map { strdup($0) } + [nil]
        defer { for argument in argv { free(argument) } }
        var spawned: pid_t = 0
        let code = posix_spawn(&spawned, arguments[0], &actions, nil, argv, environ)
        close(toChild[0])
        close(fromChild[1])
        input = toChild[1]
        output = fromChild[0]
        pid = spawned
        guard code == 0 else { throw LMDBError(code: code, operation: "spawn") }
    }

    deinit {
        end()
        close(output)
    }

    func readLine() -> String {
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while read(output, &byte, 1) == 1, byte != 0x0A { line.append(byte) }
        return String(decoding: line, as: UTF8.self)
    }

    /// Kills it and waits for its end.
    func end() {
        guard isRunning else { return }
        isRunning = false
        kill(pid, SIGKILL)
        close(input)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
    }
}
