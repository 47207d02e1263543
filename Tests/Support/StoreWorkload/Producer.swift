// One client of the load: draws what to do from its seed, does it, and writes down what it was told.
import EventStore
import Glibc
import InputSupport
import MailCore
import MailEngine
import MailTypes

/// One client: asks, waits for the answer, writes it down, asks again.
struct Producer {
    private let engine: MailEngine
    private let journal: JournalWriter
    private let settings: WorkloadSettings
    private var random: SeededGenerator
    private var sequence: UInt64 = 0
    private let run: UInt64
    private let number: Int
    private var isStopped = false

    init(_ engine: MailEngine, _ journal: JournalWriter, _ settings: WorkloadSettings, number: Int) {
        self.engine = engine
        self.journal = journal
        self.settings = settings
        self.number = number
        random = SeededGenerator(seed: settings.seed &* 1000 &+ UInt64(number))
        // A store may be used by several runs; their commands must differ.
        run = UInt64(getpid()) << 32 | UInt64(number)
    }

    /// Text that every body is cut from; printable, without runs of zeros.
    private static let noise: [UInt8] = {
        var random = SeededGenerator(seed: 1)
        return (0..<(64 << 10)).map { _ in UInt8(32 + random.below(90)) }
    }()

    /// Requests a producer still makes after the shard has stopped, to see that each is refused.
    private static let requestsAfterStop = 5

    /// Without accounts there is no load; a disk that is full from the start may get room.
    private static let triesOnFullDisk = 1000

    mutating func prepare() async {
        let opened = ShardOpened(shard: 0, storeUUID: String(repeating: "0", count: 32))
        var tries = 0
        while (try? engine.read { try $0.head(.system) }) == nil, !isStopped, tries < Self.triesOnFullDisk {
            tries += 1
            await ask([Request.Item(.system, .openShard(opened))], [], messages: 0) {
                [Acknowledgement($0, "account", $1, $3)]
            }
        }
        for account in 0..<settings.accounts {
            let id = AccountID(AccountID.firstPersonal.rawValue + UInt32(account))
            let exists = (try? engine.read { try $0.head(id) != nil }) ?? false
            if exists { continue }
            guard let address = Address("user\(account)@example.test"), let name = MailboxName("Archive") else {
                continue
            }
            let new = NewAccount(address: address, mailboxes: [NewMailbox(name: name, subscribed: true)])
            var tries = 0
            while !isStopped, tries < Self.triesOnFullDisk {
                tries += 1
                let isDone = await ask([Request.Item(id, .createAccount(new))], [], messages: 0) {
                    [Acknowledgement($0, "account", id, $3)]
                }
                if isDone { break }
            }
        }
    }

    mutating func run() async {
        var left = settings.requests
        while left > 0 {
            left -= 1
            if isStopped { left = min(left, Self.requestsAfterStop) }
            let account = AccountID(AccountID.firstPersonal.rawValue + UInt32(random.below(settings.accounts)))
            if settings.deletesOnly > 0 {
                await expunge(account, all: true)
                continue
            }
            switch random.below(100) {
            case 0..<30: await deliver()
            case 30..<45: await append(account)
            case 45..<65: await changeFlags(account)
            case 65..<75: await expunge(account, all: false)
            case 75..<83: await copy(account, moves: false)
            case 83..<91: await copy(account, moves: true)
            case 91..<95: await createMailbox(account)
            case 95..<98: await renameMailbox(account)
            default: await deleteMailbox(account)
            }
        }
    }

    // MARK: Commands

    private mutating func deliver() async {
        guard let source = makeBody() else { return }
        let count = 1 + random.below(settings.accounts)
        let first = random.below(settings.accounts)
        let accounts = (0..<count).map {
            AccountID(AccountID.firstPersonal.rawValue + UInt32((first + $0) % settings.accounts))
        }
        let inbox = MailboxID(1)
        let append = AppendMessages(
            mailbox: inbox, messages: [NewMessage(body: 0)], origin: .lmtp, envelopeFrom: "sender@example.test",
            envelopeTo: "user@example.test")
        await ask(accounts.map { Request.Item($0, .append(append)) }, [source], messages: count) {
            Self.appended($0, $1, $2, $3, inbox, [], [source.hash])
        }
    }

    private mutating func append(_ account: AccountID) async {
        guard let mailbox = anyMailbox(account) else { return }
        let count = 1 + random.below(3)
        var bodies: [any BodySource] = []
        for _ in 0..<count { if let body = makeBody() { bodies.append(body) } }
        guard bodies.count == count else { return }
        let flags = SystemFlags(rawValue: UInt8(random.below(32)))
        let keywords = random.below(2) == 0 ? [Keyword("$Forwarded")].compactMap { $0 } : []
        let messages = (0..<count).map { NewMessage(body: $0, flags: flags, keywords: keywords) }
        let command = AppendMessages(mailbox: mailbox, messages: messages, origin: .append)
        let hashes = bodies.map(\.hash)
        await ask([Request.Item(account, .append(command))], bodies, messages: count) {
            Self.appended($0, $1, $2, $3, mailbox, flags, hashes)
        }
    }

    private static func appended(
        _ command: CommandID, _ account: AccountID, _ result: CommandResult, _ position: ModSeq,
        _ mailbox: MailboxID, _ flags: SystemFlags, _ hashes: [ContentHash]
    ) -> [Acknowledgement] {
        guard case .appended(_, let uids) = result else { return [] }
        let rest = [uids.text, "\(flags.rawValue)", hashes.map(\.text).joined(separator: ",")]
        return [Acknowledgement(command, "append", account, position, mailbox, rest)]
    }

    private mutating func changeFlags(_ account: AccountID) async {
        guard let (mailbox, uids) = anyMessages(account) else { return }
        let operation: FlagOperation = [.add, .remove, .replace][random.below(3)]
        let keywords = [Keyword("$Junk"), Keyword("work"), nil, nil][random.below(4)].map { [$0] } ?? []
        let change = ChangeFlags(
            mailbox: mailbox, uids: uids, operation: operation, flags: SystemFlags(rawValue: UInt8(random.below(32))),
            keywords: keywords)
        await ask([Request.Item(account, .changeFlags(change))], [], messages: 0) {
            command, account, result, position in
            guard case .flags(let changed, _) = result else { return [] }
            return [Acknowledgement(command, "flags", account, position, mailbox, [changed.text])]
        }
    }

    private mutating func expunge(_ account: AccountID, all: Bool) async {
        guard let (mailbox, uids) = anyMessages(account) else { return }
        let expunge = Expunge(
            mailbox: mailbox, uids: uids, onlyDeleted: !all && random.below(2) == 0, reason: all ? .pop3 : .expunge)
        await ask([Request.Item(account, .expunge(expunge))], [], messages: 0) { command, account, result, position in
            guard case .expunged(let uids) = result else { return [] }
            return [Acknowledgement(command, "expunge", account, position, mailbox, [uids.text])]
        }
    }

    private mutating func copy(_ account: AccountID, moves: Bool) async {
        guard let (mailbox, uids) = anyMessages(account), let target = anyMailbox(account) else { return }
        let copy = CopyMessages(source: mailbox, destination: target, uids: uids)
        let item = Request.Item(account, moves ? .move(copy) : .copy(copy))
        await ask([item], [], messages: 0) { command, account, result, position in
            guard case .copied(_, let source, let destination) = result else { return [] }
            let rest = [source.text, "\(target.rawValue)", destination.text]
            return [Acknowledgement(command, moves ? "move" : "copy", account, position, mailbox, rest)]
        }
    }

    private mutating func createMailbox(_ account: AccountID) async {
        let text = "Box-\(random.below(20))"
        guard let name = MailboxName(random.below(3) == 0 ? "Parent/\(text)" : text) else { return }
        let new = NewMailbox(name: name, subscribed: random.below(2) == 0)
        await ask([Request.Item(account, .createMailbox(new))], [], messages: 0) { command, account, result, position in
            guard case .mailbox(let id, _) = result else { return [] }
            return [Acknowledgement(command, "mailbox", account, position, id, [text])]
        }
    }

    private mutating func renameMailbox(_ account: AccountID) async {
        // A name never used before: renaming a mailbox to its own name would leave no event to look for.
        let text = "Renamed-\(run)-\(sequence)"
        guard let mailbox = anyMailbox(account), mailbox.rawValue > 1, let name = MailboxName(text) else { return }
        let item = Request.Item(account, .renameMailbox(mailbox, to: name))
        await ask([item], [], messages: 0) { command, account, _, position in
            [Acknowledgement(command, "mailbox", account, position, mailbox, [text])]
        }
    }

    private mutating func deleteMailbox(_ account: AccountID) async {
        guard let mailbox = anyMailbox(account), mailbox.rawValue > 1 else { return }
        await ask([Request.Item(account, .deleteMailbox(mailbox))], [], messages: 0) { command, account, _, position in
            [Acknowledgement(command, "delete", account, position, mailbox)]
        }
    }

    // MARK: Asking

    private typealias Facts = (CommandID, AccountID, CommandResult, ModSeq) -> [Acknowledgement]

    /// Asks, and writes down the answer. True when every part was done.
    @discardableResult
    private mutating func ask(
        _ items: [Request.Item], _ bodies: [any BodySource], messages: Int, _ facts: Facts
    ) async -> Bool {
        sequence += 1
        let command = CommandID(high: run, low: sequence)
        journal.write(["try \(command.text) \(messages)"])
        let origin = Origin(gateway: .bench)
        let retryable = sequence % 8 == 0
        let outcomes = await engine.perform(
            Request(items, bodies: bodies, origin: origin, command: command, retryable: retryable))
        var lines: [String] = []
        var other: Set<String> = []
        for (item, outcome) in zip(items, outcomes) {
            switch outcome {
            case .done(let result, let position):
                lines += facts(command, item.account, result, position).map(\.line)
            case .failed(.full): other.insert("full")
            case .failed(.stopped): other.insert("stopped")
            case .failed(.fault(let reason)): say("fault: \(reason)")
            case .refused, .duplicate, .failed: other.insert("refused")
            }
        }
        if !lines.isEmpty {
            if isStopped { lines.append("late \(command.text)") }
            journal.acknowledge(lines)
        }
        if other.contains("stopped") { isStopped = true }
        for word in other.sorted() { journal.write(["\(word) \(command.text)"]) }
        if other.contains("full"), settings.fullPause > 0 { usleep(settings.fullPause * 1000) }
        return other.isEmpty
    }

    /// Text of a size drawn so that most are small; now and then one that goes through a spool file.
    private mutating func makeBody() -> (any BodySource)? {
        let isLarge = settings.largeEvery > 0 && random.below(settings.largeEvery) == 0
        let small = 50 + random.below(1 + random.below(settings.bodyOctetsMax))
        let octets = isLarge ? (1 << 20) + random.below(200_000) : small
        let writer = engine.makeBody()
        var text = Array("Subject: \(number)-\(sequence)\r\n\r\n".utf8)
        text.reserveCapacity(octets)
        while text.count < octets {
            let start = random.below(Self.noise.count - 1)
            text.append(contentsOf: Self.noise[start...].prefix(octets - text.count))
        }
        do throws(EngineFailure) {
            try writer.append(text)
            return try writer.finish()
        } catch {
            journal.write(["\(error == .full ? "full" : "refused") spool"])
            if settings.fullPause > 0 { usleep(settings.fullPause * 1000) }
            return nil
        }
    }

    private mutating func anyMailbox(_ account: AccountID) -> MailboxID? {
        var ids: [MailboxID] = []
        try? engine.read {
            try $0.mailboxes(account) { id, _ in
                ids.append(id); return true
            }
        }
        return ids.isEmpty ? nil : ids[random.below(ids.count)]
    }

    /// A run of messages of some mailbox, and up to one that is not there.
    private mutating func anyMessages(_ account: AccountID) -> (MailboxID, UIDSet)? {
        guard let mailbox = anyMailbox(account) else { return nil }
        var uids: [UID] = []
        try? engine.read { state in
            try state.messages(account, mailbox, from: UID(1)) { uid, _ in
                uids.append(uid)
                return true
            }
        }
        guard !uids.isEmpty else { return nil }
        let first = random.below(uids.count)
        let count = 1 + random.below(min(6, uids.count - first))
        return (mailbox, UIDSet(uids[first..<(first + count)]))
    }
}
