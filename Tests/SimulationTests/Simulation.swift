// One run: virtual clients give commands; each is decided, appended to a batch and committed, and the model does the
// same. Single-threaded, with a clock of its own: a seed always takes the same way.
//
// After each command the answer and what it touched are compared; after each commit everything that is committed.
// A commit that reported an error may have kept its batch or not, wholly; what the next opening finds decides which.
import EventStore
import MailCore
import MailTypes

/// The store and the model, or the store and the rules, disagree.
struct Divergence: Error, CustomStringConvertible {
    var description: String
    init(_ text: String) { description = text }
}

func expect(_ condition: Bool, _ text: @autoclosure () -> String) throws {
    if !condition { throw Divergence(text()) }
}

final class Simulation {
    static let people: [UInt32] = [16, 17]
    private struct Retry {
        var command: AccountCommand
        var account: UInt32
        var sizes: [Int]
        var id: CommandID
    }

    private let disk: any SimulatedDisk
    private var model = Model()
    /// As of the last commit.
    private var durable = Model()
    private var batch: (any ShardBatch)?
    private var eventsInBatch = 0
    private var now = Timestamp(seconds: 1_800_000_000)
    /// Up to here the log was read, and this is the time there.
    private var seen = Cursor.start
    private var logTime = Timestamp(rawValue: .min)
    private var nextCommand: UInt64 = 1
    private var retries: [Int: Retry] = [:]
    private var clients: [Int: SyncedClient] = [:]
    /// What happened how often: events, refusals, repeated commands, faults.
    private(set) var tally: [String: Int] = [:]

    init(_ disk: any SimulatedDisk) { self.disk = disk }

    func run(_ steps: [ClientStep], filler: Bool) throws {
        try setUp(filler: filler)
        for step in steps { try take(step) }
        try commit(fault: 0)
        try reopen()
        try checkDeeply(disk.store)
    }

    private func setUp(filler: Bool) throws {
        let batch = try open()
        try append([.shardOpened(ShardOpened(shard: 0, storeUUID: String(repeating: "0", count: 32)))], .system, batch)
        for raw in Self.people {
            let address = try unwrapped(Address("user\(raw)@example.test"))
            let account = AccountID(raw)
            let context = DecideContext(account: account, now: now)
            let retention = Retention(undeleteDays: UInt16(Model.undeleteDays))
            let new = NewAccount(address: address, retention: retention)
            let decision = try decide(.createAccount(new), context, batch)
            try append(decision.events, account, batch)
            var state = Model.Account()
            state.boxes["INBOX"] = Model.Box()
            state.subscriptions = ["INBOX"]
            try learn(&state, Model.Outcome(created: ["INBOX"]), account, batch)
            model.accounts[raw] = state
        }
        if filler {
            let inbox = MailboxID(1)
            let message = NewMessage(body: 0, keywords: Pools.filler.compactMap { Keyword($0) })
            let command = AppendMessages(mailbox: inbox, messages: [message], origin: .append)
            for raw in Self.people { try perform(.append(command), raw, sizes: [7], id: nil) }
        }
        try commit(fault: 0)
    }

    // MARK: Steps

    private func take(_ step: ClientStep) throws {
        let person = Self.people[step.client % Self.people.count]
        switch step.step {
        case .clock(let milliseconds):
            try commit(fault: 0)
            now = Timestamp(milliseconds: now.rawValue + Int64(milliseconds))
        case .commit(let fault): try commit(fault: fault)
        case .reopen:
            batch?.abort()
            batch = nil
            eventsInBatch = 0
            model = durable
            try reopen()
        case .again:
            guard let retry = retries[step.client] else { return }
            try perform(retry.command, retry.account, sizes: retry.sizes, id: retry.id)
        case .deliver(let mask, let size):
            try deliver(Self.people.enumerated().filter { mask >> $0.offset & 1 == 1 }.map(\.element), size)
        case .collect: try collectDue()
        default:
            guard let (command, sizes) = concrete(step.step, try unwrapped(model.accounts[person])) else { return }
            var id: CommandID?
            if step.isRetryable {
                id = CommandID(high: 1, low: nextCommand)
                nextCommand += 1
                retries[step.client] = id.map { Retry(command: command, account: person, sizes: sizes, id: $0) }
            }
            try perform(command, person, sizes: sizes, id: id)
        }
    }

    private func deliver(_ accounts: [UInt32], _ size: Int) throws {
        let body = try stage(size)
        for raw in accounts {
            let append = AppendMessages(
                mailbox: MailboxID(1), messages: [NewMessage(body: 0)], origin: .lmtp, envelopeFrom: "",
                envelopeTo: "user\(raw)@example.test")
            try perform(.append(append), raw, bodies: [body], id: nil)
        }
    }

    private func collectDue() throws {
        var due: [(AccountID, MailboxID, UID)] = []
        let day = UInt32(clamping: max(now, logTime).days)
        try open().collectable(through: day) { _, account, mailbox, uid in
            due.append((account, mailbox, uid))
            return true
        }
        for (account, mailbox, uid) in due {
            let set = uid.rawValue == 0 ? UIDSet() : UIDSet(uid)
            try perform(.collect(mailbox, set), account.rawValue, bodies: [], id: nil)
        }
    }

    private func perform(_ command: AccountCommand, _ account: UInt32, sizes: [Int], id: CommandID?) throws {
        try perform(command, account, bodies: try sizes.map { try stage($0) }, id: id)
    }

    private func stage(_ size: Int) throws -> BodyReference {
        let staged = try disk.store.stage(SimulatedBody(count: size))
        try disk.store.syncBodies()
        try open().register(staged)
        return staged.reference
    }

    private func perform(_ command: AccountCommand, _ raw: UInt32, bodies: [BodyReference], id: CommandID?) throws {
        let batch = try open()
        let account = AccountID(raw)
        let time = max(now, logTime)
        var state = try unwrapped(model.accounts[raw])
        if let id, let done = state.done[id.low], done.day + Model.rememberedDays >= Int(time.days) {
            let outcome = try batch.outcome(of: id, account)
            try expect(outcome?.rawValue == done.position, "a repeated command is not recognised: \(command)")
            tally["repeated", default: 0] += 1
            return
        }
        if let id { try expect(try batch.outcome(of: id, account) == nil, "a new command is taken for an old one") }
        let outcome = model.apply(command, raw, bodies: bodies, day: Int(time.days))
        let context = DecideContext(account: account, now: time, bodies: bodies)
        guard let decision = try decided(command, context, batch, outcome) else { return }
        for event in decision.events { count(event) }
        try expect(outcome.refusals.isEmpty, "\(command) was not refused; expected \(outcome.refusals)")
        let before = try batch.head(account)?.aseq ?? .zero
        let after = try append(decision.events, account, batch, id)
        try expect(after.rawValue == before.rawValue + UInt64(decision.events.count), "positions have gaps")
        state = try unwrapped(model.accounts[raw])
        state.position = after.rawValue
        if let id, !decision.events.isEmpty { state.done[id.low] = (after.rawValue, Int(time.days)) }
        try compare(decision.result, outcome, state)
        try learn(&state, outcome, account, batch)
        model.accounts[raw] = state
        try compareTouched(state, outcome, account, batch)
    }

    /// Counts an enumeration's case under its name.
    private func count<T>(_ value: T) {
        let mirror = Mirror(reflecting: value)
        tally[mirror.children.first?.label ?? "\(value)", default: 0] += 1
    }

    /// Nil when the command was refused, for a right reason.
    private func decided(
        _ command: AccountCommand, _ context: DecideContext, _ reader: any StateReader, _ outcome: Model.Outcome
    ) throws -> Decision? {
        do {
            return try decide(command, context, reader)
        } catch {
            guard case .refused(let refusal) = error else { throw error }
            let isRight = outcome.refusals.map(comparable).contains(comparable(refusal))
            try expect(isRight, "\(command) was refused: \(refusal); expected \(outcome)")
            count(refusal)
            return nil
        }
    }

    @discardableResult
    private func append(
        _ events: [Event], _ account: AccountID, _ batch: any ShardBatch, _ id: CommandID? = nil
    ) throws -> ModSeq {
        let expected = try batch.head(account)?.aseq ?? .zero
        eventsInBatch += events.count
        return try batch.append(
            Append(account: account, expected: expected, events: events, command: id, retryable: id != nil))
    }

    // MARK: Batches

    private func open() throws -> any ShardBatch {
        if let batch { return batch }
        let new = try disk.store.beginBatch(now: now)
        batch = new
        return new
    }

    /// `fault`: 0 none, else a `CommitFault`.
    private func commit(fault: Int) throws {
        guard batch != nil else { return }
        let faults: [CommitFault] = [.full, .lost, .durable, .crash]
        // Without events there is nothing that could fail.
        let isFaulty = fault > 0 && eventsInBatch > 0 && disk.failNextCommit(faults[fault - 1])
        if isFaulty { count(faults[fault - 1]) }
        do {
            try commitBatch()
            try expect(!isFaulty, "a commit that must fail was acknowledged")
            durable = model
            try checkCommitted(disk.store)
        } catch StoreError.full {
            model = durable
            try checkCommitted(disk.store)
        } catch let error as StoreError {
            try expect(isFaulty, "a commit failed: \(error)")
            let tentative = model
            model = durable
            try reopenStore()
            if try positions() == tentative.accounts.mapValues(\.position) {
                model = tentative
                durable = tentative
            }
            try checkCommitted(disk.store)
        }
    }

    /// On its own, so that nothing holds the batch and its store when that is opened again.
    private func commitBatch() throws {
        let open = try unwrapped(batch)
        batch = nil
        eventsInBatch = 0
        _ = try open.commit()
    }

    /// What was acknowledged must be there.
    private func reopen() throws {
        batch?.abort()
        batch = nil
        eventsInBatch = 0
        model = durable
        try reopenStore()
        try checkCommitted(disk.store)
    }

    private func reopenStore() throws {
        try disk.reopen()
        seen = .start
        logTime = Timestamp(rawValue: .min)
    }

    /// What was added to the log: positions of the log ascend, and its time never runs back.
    private func readOn(_ reader: any ShardReader) throws {
        var failure: Divergence?
        try reader.log(after: seen) { logged in
            let isRight = logged.cursor > seen && logged.context.time >= logTime
            if !isRight { failure = Divergence("the log runs back at \(logged.cursor)") }
            seen = logged.cursor
            logTime = logged.context.time
            return isRight
        }
        if let failure { throw failure }
        try expect(
            reader.head == seen || reader.head.rawValue == seen.rawValue + 1, "the head is not behind the last event")
    }

    private func positions() throws -> [UInt32: UInt64] {
        try disk.store.read { reader in
            var positions: [UInt32: UInt64] = [:]
            for raw in Self.people { positions[raw] = try reader.head(AccountID(raw))?.aseq.rawValue ?? 0 }
            return positions
        }
    }

    private func checkCommitted(_ store: any ShardStore) throws {
        try store.read { reader in
            try readOn(reader)
            for (raw, account) in model.accounts { try compareAll(account, AccountID(raw), reader) }
            try compareSchedule(model, reader)
            for client in 0..<6 {
                var synced = clients[client] ?? SyncedClient(account: Self.people[client % 2], client: client)
                try synced.sync(model, reader)
                clients[client] = synced
            }
        }
        for (blob, count) in expectedReferences(model) {
            guard let found = try disk.references(BlobNumber(blob)) else { return }
            try expect(found == count, "body \(blob) has \(found) references, expected \(count)")
        }
    }

    /// From the whole log: the rules on it, and a state folded anew, which must pass the same comparison.
    private func checkDeeply(_ store: any ShardStore) throws {
        try store.read { reader in
            for raw in Self.people { try checkHistory(AccountID(raw), reader) }
            let rebuilt = MemoryState()
            var failure: (any Error)?
            try reader.log(after: .start) { logged in
                do { try evolve(logged.event, at: logged.context, in: rebuilt) } catch { failure = error }
                return failure == nil
            }
            if let failure { throw failure }
            for (raw, account) in model.accounts { try compareAll(account, AccountID(raw), rebuilt) }
            try compareSchedule(model, rebuilt)
        }
    }
}

func unwrapped<T>(_ value: T?) throws -> T {
    guard let value else { throw Divergence("a value is missing") }
    return value
}

/// `.limit` and `.invalidName` without their text.
private func comparable(_ refusal: Refusal) -> Refusal {
    switch refusal {
    case .limit: .limit("")
    case .invalidName: .invalidName("")
    default: refusal
    }
}
