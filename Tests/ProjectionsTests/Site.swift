// A mail engine in memory, a real directory for the tree, and short words for what happens to mail.
import EventStore
import Glibc
import MailCore
import MailEngine
import MailTypes
import Projections
import Synchronization
import Testing

/// A real directory for one test, removed with everything in it when the test ends.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        // In memory where that is possible: syncfs waits for everybody's writes to a file system, not for ours alone.
        let place = access("/dev/shm", W_OK) != 0 ? "/tmp" : "/dev/shm"
        var template = Array("\(place)/letterlog-maildir-XXXXXX".utf8CString)
        path = String(cString: try #require(mkdtemp(&template)))
    }

    deinit { removeTree(path) }
}

private func removeTree(_ path: String) {
    for name in names(path) { removeTree(path + "/" + name) }
    remove(path)
}

/// What lies in a directory, in order; nothing when it is none.
func names(_ path: String) -> [String] {
    var status = stat()
    guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, let directory = opendir(path) else {
        return []
    }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
}

func contents(_ path: String) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    while case let octet = fgetc(file), octet != EOF { bytes.append(UInt8(truncatingIfNeeded: octet)) }
    return String(decoding: bytes, as: UTF8.self)
}

func write(_ text: String, to path: String) throws {
    let file = try #require(fopen(path, "w"))
    fputs(text, file)
    fclose(file)
}

/// Every file below a directory with its text, by path.
func tree(_ path: String, below prefix: String = "") -> [String: String] {
    var found: [String: String] = [:]
    for name in names(path) where prefix != "" || name != ".letterlog" {
        let full = path + "/" + name
        let shown = prefix + name
        if names(full).isEmpty, let text = contents(full) {
            found[shown] = text
        } else {
            found[shown + "/"] = ""
            found.merge(tree(full, below: shown + "/")) { $1 }
        }
    }
    return found
}

/// A crash at a named step.
struct Crash: Error {}

/// An engine with one account, and a clock that the test moves.
final class Site {
    let store = MemoryStore()
    let engine: MailEngine
    let directory: TemporaryDirectory
    private(set) var account = AccountID.firstPersonal

    var root: String { directory.path + "/maildir" }
    var home: String { root + "/ada@example.test" }

    init() throws {
        directory = try TemporaryDirectory()
        let time = Mutex(Int64(1_800_000_000))
        engine = MailEngine(store: store, options: EngineOptions(spoolDirectory: directory.path)) {
            Timestamp(
                seconds: time.withLock {
                    $0 += 1
                    return $0
                })
        }
        try run(.openShard(ShardOpened(shard: 0, storeUUID: String(repeating: "5e", count: 16))), as: .system)
        account = try addAccount("ada@example.test")
    }

    deinit { engine.close() }

    func addAccount(_ address: String, quota: Quota = Quota()) throws -> AccountID {
        let new = NewAccount(address: try #require(Address(address)), quota: quota)
        guard case .account(let id) = try run(.createAccount(new), as: Request.newAccount) else {
            throw Unexpected(text: "no account")
        }
        return id
    }

    struct Unexpected: Error {
        var text: String
    }

    @discardableResult
    func run(_ command: AccountCommand, as account: AccountID? = nil, bodies: [String] = []) throws -> CommandResult {
        let sources = try bodies.map { text in
            let writer = engine.makeBody()
            try writer.append(Array(text.utf8))
            return try writer.finish()
        }
        let request = Request(
            [.init(account ?? self.account, command)], bodies: sources, origin: Origin(gateway: .admin))
        guard case .done(let result, _) = engine.performAndWait(request)[0] else {
            throw Unexpected(text: "\(engine.performAndWait(request)[0])")
        }
        return result
    }

    func mailbox(_ name: String, in account: AccountID? = nil) throws -> MailboxID {
        let parsed = try #require(MailboxName(name))
        return try #require(try engine.read { try $0.mailboxID(account ?? self.account, named: parsed) })
    }

    @discardableResult
    func create(_ name: String, subscribed: Bool = false) throws -> MailboxID {
        try run(.createMailbox(NewMailbox(name: try #require(MailboxName(name)), subscribed: subscribed)))
        return try mailbox(name)
    }

    @discardableResult
    func deliver(
        _ text: String, to name: String = "INBOX", flags: SystemFlags = [], keywords: [String] = [],
        date: Int64 = 1_234_567_890, uidl: String? = nil, in account: AccountID? = nil
    ) throws -> UID {
        let new = NewMessage(
            body: 0, flags: flags, keywords: keywords.compactMap { Keyword($0) },
            internalDate: InternalDate(time: Timestamp(seconds: date)), uidl: uidl)
        let append = AppendMessages(mailbox: try mailbox(name, in: account), messages: [new], origin: .lmtp)
        guard case .appended(_, let uids) = try run(.append(append), as: account, bodies: [text]) else {
            throw Unexpected(text: "not appended")
        }
        return try #require(uids.first)
    }

    func flag(
        _ uids: [UInt32], _ operation: FlagOperation, _ flags: SystemFlags, keywords: [String] = [],
        in name: String = "INBOX"
    ) throws {
        let change = ChangeFlags(
            mailbox: try mailbox(name), uids: UIDSet(uids.map { UID($0) }), operation: operation, flags: flags,
            keywords: keywords.compactMap { Keyword($0) })
        try run(.changeFlags(change))
    }

    func expunge(_ uids: [UInt32], in name: String = "INBOX") throws {
        let set = UIDSet(uids.map { UID($0) })
        try run(.expunge(Expunge(mailbox: try mailbox(name), uids: set, onlyDeleted: false, reason: .expunge)))
    }

    func rename(_ name: String, to new: String) throws {
        try run(.renameMailbox(try mailbox(name), to: try #require(MailboxName(new))))
    }

    func projection(
        slice: Int = 1000, root: String? = nil, watchesMax: Int = MaildirLimits.watchesMax, boot: String? = "this",
        reached: @escaping (MaildirStep) throws -> Void = { _ in }, report: @escaping (String) -> Void = { _ in }
    ) -> MaildirProjection {
        MaildirProjection(
            engine: engine, options: MaildirOptions(root: root ?? self.root), sliceEventsMax: slice,
            watchesMax: watchesMax, boot: boot, reached: reached, report: report)
    }

    /// A projection that has caught up and noted it.
    @discardableResult
    func settled(_ projection: MaildirProjection? = nil) throws -> MaildirProjection {
        let projection = projection ?? self.projection()
        try projection.catchUp()
        try projection.storeCheckpoint()
        return projection
    }

    func differences(_ projection: MaildirProjection) throws -> [String] {
        try projection.check(contents: true).differences.map(\.description)
    }
}
