// A story told to a store and to its Maildir tree: one account whose tree follows the state, and one in whose tree another
// program works. Every step of the projection is passed; at one of them the process may be killed, and all that it writes
// may be recorded. What must still be there afterwards stands in the journal (MaildirJournal.swift).
//
// Told by one thread, so that a run is the same each time but for the numbers of files and the time.
import EventStore
import Glibc
import MailCore
import MailEngine
import MailTypes
import Projections

struct MaildirStoryFailure: Error {
    var text: String
}

/// The engine of a story and what is done to it.
final class MaildirStory {
    let engine: MailEngine
    let root: String
    private let journal: MaildirJournalWriter
    private var projection: MaildirProjection
    /// The account that the tree follows, and the one of both ways.
    private var one = AccountID.firstPersonal
    private var two = AccountID.firstPersonal
    private var time = 1_700_000_000

    static func main(directory: String, journal: String, settings: [String]) {
        let doom = settings.first?.split(separator: "=").last.map { $0.split(separator: ":") } ?? []
        var passed: [MaildirStep: Int] = [:]
        do {
            let story = try MaildirStory(directory, journal) { step in
                passed[step, default: 0] += 1
                let isHere = doom.count == 2 && doom[0] == step.rawValue && Int(doom[1]) == passed[step]
                if isHere { kill(getpid(), SIGKILL) }
            }
            try story.tell()
            story.engine.close()
        } catch {
            say("failed: \(error)")
            exit(4)
        }
        for (step, count) in passed.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            say("step \(step.rawValue) \(count)")
        }
        for step in MaildirStep.allCases where passed[step] == nil { say("missing \(step.rawValue)") }
    }

    private init(_ directory: String, _ journal: String, _ reached: @escaping (MaildirStep) -> Void) throws {
        mkdir(directory, 0o700)
        let options = WorkloadSettings().storeOptions
        try LMDBStore.create(directory + "/store", options: options)
        let store = try LMDBStore(directory + "/store", options: options)
        engine = MailEngine(store: store, options: EngineOptions(spoolDirectory: directory + "/store")) {
            MaildirStory.wallClock()
        }
        root = directory + "/maildir"
        self.journal = MaildirJournalWriter(journal)
        projection = MaildirProjection(engine: engine, options: MaildirOptions(root: root), reached: reached)
    }

    static func wallClock() -> Timestamp {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Timestamp(rawValue: Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000)
    }

    // MARK: Over the engine

    @discardableResult
    private func run(_ command: AccountCommand, _ account: AccountID, bodies: [String] = []) throws -> CommandResult {
        let sources = try bodies.map { text in
            let writer = engine.makeBody()
            try writer.append(Array(text.utf8))
            return try writer.finish()
        }
        let request = Request([.init(account, command)], bodies: sources, origin: Origin(gateway: .admin))
        guard case .done(let result, _) = engine.performAndWait(request)[0] else {
            throw MaildirStoryFailure(text: "\(command)")
        }
        return result
    }

    private func addAccount(_ address: String) throws -> AccountID {
        guard let address = Address(address),
            case .account(let id) = try run(.createAccount(NewAccount(address: address)), Request.newAccount)
        else { throw MaildirStoryFailure(text: "no account") }
        return id
    }

    private func mailbox(_ name: String, _ account: AccountID) throws -> MailboxID {
        guard let parsed = MailboxName(name),
            let id = try engine.read({ try $0.mailboxID(account, named: parsed) })
        else { throw MaildirStoryFailure(text: "no mailbox \(name)") }
        return id
    }

    private func create(_ name: String, _ account: AccountID) throws {
        guard let parsed = MailboxName(name) else { throw MaildirStoryFailure(text: name) }
        try run(.createMailbox(NewMailbox(name: parsed, subscribed: true)), account)
    }

    private func rename(_ name: String, to new: String, _ account: AccountID) throws {
        guard let parsed = MailboxName(new) else { throw MaildirStoryFailure(text: new) }
        try run(.renameMailbox(mailbox(name, account), to: parsed), account)
    }

    static func text(_ key: String) -> String { "Subject: \(key)\r\n\r\nThe text of \(key).\r\n" }

    private func deliver(
        _ key: String, to name: String = "INBOX", _ account: AccountID, flags: SystemFlags = [], keywords: [String] = []
    ) throws {
        let new = NewMessage(body: 0, flags: flags, keywords: keywords.compactMap { Keyword($0) })
        let append = AppendMessages(mailbox: try mailbox(name, account), messages: [new], origin: .lmtp)
        try run(.append(append), account, bodies: [Self.text(key)])
    }

    /// Where a message is now.
    private func place(_ key: String, _ account: AccountID) throws -> MaildirMessage {
        guard let found = try MaildirMessage.all(account, engine).first(where: { $0.key == key }) else {
            throw MaildirStoryFailure(text: "no message \(key)")
        }
        return found
    }

    private func flag(_ key: String, _ operation: FlagOperation, _ flags: SystemFlags, _ account: AccountID) throws {
        journal.write("touch", account, key)
        let place = try place(key, account)
        let change = ChangeFlags(
            mailbox: place.mailbox, uids: UIDSet(place.uid), operation: operation, flags: flags,
            keywords: [Keyword("$Forwarded")].compactMap(\.self))
        try run(.changeFlags(change), account)
    }

    private func move(_ key: String, to name: String, _ account: AccountID) throws {
        journal.write("touch", account, key)
        let place = try place(key, account)
        let target = try mailbox(name, account)
        try run(.move(CopyMessages(source: place.mailbox, destination: target, uids: UIDSet(place.uid))), account)
    }

    private func copy(_ key: String, to name: String, _ account: AccountID) throws {
        journal.write("copy", account, key)
        let place = try place(key, account)
        let target = try mailbox(name, account)
        try run(.copy(CopyMessages(source: place.mailbox, destination: target, uids: UIDSet(place.uid))), account)
    }

    private func expunge(_ key: String, _ account: AccountID) throws {
        journal.write("drop", account, key)
        let place = try place(key, account)
        try run(
            .expunge(
                Expunge(mailbox: place.mailbox, uids: UIDSet(place.uid), onlyDeleted: false, reason: .expunge)),
            account)
    }

    // MARK: By another program

    private var home: String { root + "/two@example.test" }

    /// The file of a message below the home.
    private func file(_ key: String, in folder: String = "") throws -> String {
        let prefix = folder.isEmpty ? "" : folder + "/"
        for part in ["cur", "new"] {
            for name in names("\(home)/\(prefix)\(part)") {
                let path = "\(prefix)\(part)/\(name)"
                guard let bytes = readFile("\(home)/\(path)") else { continue }
                if MaildirMessage.key(bytes) == key { return path }
            }
        }
        throw MaildirStoryFailure(text: "no file of \(key)")
    }

    private func names(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
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

    /// As a delivery program does it, which may or may not sync.
    private func put(_ key: String, _ path: String, lineEnd: String = "\r\n", isSynced: Bool) throws {
        let folder = path.split(separator: "/").dropLast(2).map { $0 + "/" }.joined()
        let temporary = "\(home)/\(folder)tmp/\(key)"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw MaildirStoryFailure(text: "open \(temporary)") }
        let bytes = Array(Self.text(key).replacing("\r\n", with: lineEnd).utf8)
        time += 1
        let times = [timespec(tv_sec: time, tv_nsec: 0), timespec(tv_sec: time, tv_nsec: 0)]
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count, futimens(descriptor, times) == 0,
            !isSynced || fsync(descriptor) == 0
        else { throw MaildirStoryFailure(text: "write \(temporary)") }
        close(descriptor)
        try move(temporary, home + "/" + path)
        if isSynced {
            let directory = open("\(home)/\(folder)new", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            fsync(directory)
            close(directory)
        }
    }

    private func move(_ old: String, _ new: String) throws {
        guard Glibc.rename(old, new) == 0 else { throw MaildirStoryFailure(text: "rename \(old) to \(new)") }
    }

    private func letters(_ key: String, _ letters: String, in folder: String = "") throws {
        journal.write("touch", two, key)
        journal.loosen(two, key)
        let old = try file(key, in: folder)
        let base = old.split(separator: "/").last?.split(separator: ":").first ?? ""
        try move("\(home)/\(old)", "\(home)/\(folder.isEmpty ? "" : folder + "/")cur/\(base):2,\(letters)")
    }

    private func take(_ key: String, to folder: String) throws {
        journal.write("split", two, key)
        journal.loosen(two, key)
        let old = try file(key)
        try move("\(home)/\(old)", "\(home)/\(folder)/\(old)")
    }

    private func remove(_ key: String, in folder: String = "") throws {
        journal.write("drop", two, key)
        unlink("\(home)/\(try file(key, in: folder))")
    }

    // MARK: The projection

    private func follow() throws {
        try projection.catchUp()
        try journal.observe([one, two], engine)
    }

    /// Looks until there is nothing left to do, as a node does, but at once.
    private func settle() throws {
        try projection.settleImports()
        journal.settled()
        try journal.observe([one, two], engine)
    }

    // MARK: The story

    private func tell() throws {
        try run(.openShard(ShardOpened(shard: 0, storeUUID: String(repeating: "5e", count: 16))), .system)
        one = try addAccount("one@example.test")
        two = try addAccount("two@example.test")
        try run(.setSetting(key: MaildirProjection.settingKey, value: MaildirMode.twoWay.rawValue), two)
        try create("Box", two)
        try follow()
        try projection.storeCheckpoint()
        try first()
        try accident()
        try second()
        try projection.storeCheckpoint()
        try folders()
        try last()
    }

    /// Mail comes; another program changes some of it at once.
    private func first() throws {
        for key in ["a1", "a2", "a3"] { try deliver(key, one, flags: key == "a2" ? .seen : [], keywords: ["$Junk"]) }
        try create("Archive/2026", one)
        try deliver("a4", to: "Archive/2026", one)
        for number in 1...8 { try deliver("b\(number)", two, flags: number == 3 ? .seen : []) }
        try follow()
        try projection.storeCheckpoint()
        try put("f1", "new/1.f1", isSynced: true)
        try put("f2", "new/2.f2", lineEnd: "\n", isSynced: false)
        try put("f3", "cur/3.f3:2,FS", isSynced: false)
        try letters("b1", "RS")
        try take("b2", to: ".Box")
        try remove("b4")
        try settle()
        try flag("a1", .add, [.seen, .flagged], one)
        try copy("a2", to: "Archive", one)
        try run(.setQuota(Quota(bytes: 100_000)), one)
        try follow()
    }

    /// So much is removed that somebody is asked, and says that it was a mistake.
    private func accident() throws {
        let keys = (1...14).map { "m\($0)" }
        for key in keys { try deliver(key, to: "Box", two, flags: .seen) }
        try follow()
        for key in keys.dropLast() {
            journal.write("drop", two, key)
            unlink("\(home)/\(try file(key, in: ".Box"))")
        }
        try projection.settleImports()
        try projection.storeCheckpoint()
        // From here on the disk has what is missing, and nothing of it may be deleted.
        try journal.observe([one, two], engine)
        try projection.restore(two)
        try follow()
    }

    /// Both sides at once, without a checkpoint between.
    private func second() throws {
        try letters("b3", "FS")
        try flag("b3", .add, .answered, two)
        try flag("b1", .remove, .answered, two)
        try move("b5", to: "Box", two)
        try expunge("b6", two)
        try deliver("b9", two)
        try remove("b7")
        try put("f4", ".Box/new/4.f4", isSynced: false)
        try settle()
        try letters("b9", "S")
        try settle()
        try letters("f1", "S")
        try letters("b2", "T", in: ".Box")
        try settle()
        try rename("Archive", to: "Old", one)
        try move("a3", to: "Old/2026", one)
        try run(.claimRecent(MailboxID(1), upTo: UID(3)), one)
        try follow()
    }

    private func folders() throws {
        try create("Swap", one)
        try deliver("a5", to: "Swap", one)
        try follow()
        try rename("Swap", to: "Third", one)
        try rename("Old", to: "Swap", one)
        try rename("Third", to: "Old", one)
        try follow()
        for part in ["", "/cur", "/new", "/tmp"] { mkdir("\(home)/.Made\(part)", 0o700) }
        try put("f5", ".Made/new/5.f5", isSynced: false)
        try settle()
        try move(home + "/.Made", home + "/.Other")
        try settle()
        try projection.storeCheckpoint()
        journal.write("drop", one, "a5")
        try run(.deleteMailbox(mailbox("Old", one)), one)
        let third = try addAccount("three@example.test")
        try deliver("c1", third)
        try projection.catchUp()
        try run(.removeAccount, third)
        try follow()
        try remove("f5", in: ".Other")
        journal.write("spoil", two, "f5")
        let rest = names(home + "/.Other").map { home + "/.Other/" + $0 }
        for path in rest where unlink(path) != 0 { rmdir(path) }
        rmdir(home + "/.Other")
        try settle()
    }

    private func last() throws {
        journal.write("rebase", one, "a2")
        try run(.bumpUIDValidity(mailbox("Swap", one)), one)
        try expunge("a1", one)
        try follow()
        try put("f6", "new/6.f6", isSynced: true)
        try settle()
        try projection.storeCheckpoint()
        journal.write("mend", two, "f5")
        // A program that writes into a file of a message: a rebuild sets it aside.
        let spoilt = try file("b8")
        journal.write("spoil", two, "b8")
        let descriptor = open("\(home)/\(spoilt)", O_WRONLY | O_TRUNC | O_CLOEXEC)
        let bytes = Array("Subject: written over\r\n\r\n".utf8)
        _ = Glibc.write(descriptor, bytes, bytes.count)
        close(descriptor)
        try projection.rebuild(two)
        try follow()
        try projection.storeCheckpoint()
    }
}
