// The in-memory store keeps the promises of the seam: a batch is wholly there or not at all, readers see what is
// committed, and a commit that fails does so in the way it was told to.
import EventStore
import MailCore
import MailTypes
import Testing

private let alice = AccountID(16)
private let start = Timestamp(seconds: 1_800_000_000)

private final class Text: BodySource {
    let bytes: [UInt8]
    var count: Int { bytes.count }
    let hash = ContentHash(1, 2, 3, 4)
    init(_ text: String) { bytes = Array(text.utf8) }
    func read(_ body: (UnsafeRawBufferPointer) throws(StoreError) -> Void) throws(StoreError) {
        var failure: StoreError?
        bytes.withUnsafeBytes { pointer in
            do throws(StoreError) { try body(pointer) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}

private func created(_ login: String) -> Event {
    .accountCreated(AccountCreated(quota: Quota(), retention: Retention(), loginName: login, displayName: ""))
}

private let inbox = Event.mailboxCreated(
    MailboxCreated(
        mailbox: MailboxID(1), parent: .root, uidValidity: UIDValidity(7), specialUse: nil, leaf: "INBOX"))

private func message(_ uid: UInt32, _ body: BodyReference) -> Event {
    .messageAppended(
        MessageAppended(
            mailbox: MailboxID(1), uid: UID(uid), email: EmailID(UInt64(uid)), blob: body.blob, size: body.size,
            hash: body.hash, internalDate: InternalDate(time: start), origin: .lmtp))
}

/// A store with the system account and Alice, who has INBOX and stands at position 2.
private func filledStore() throws -> MemoryStore {
    let store = MemoryStore()
    let batch = try store.beginBatch(now: start)
    let opened = Event.shardOpened(ShardOpened(shard: 0, storeUUID: "00"))
    _ = try batch.append(Append(account: .system, expected: .zero, events: [opened]))
    _ = try batch.append(Append(account: alice, expected: .zero, events: [created("alice@example.test"), inbox]))
    _ = try batch.commit()
    return store
}

private func position(_ store: MemoryStore) throws -> ModSeq? { try store.read { try $0.head(alice)?.aseq } }

/// Appends one setting to Alice's history.
@discardableResult
private func set(
    _ batch: any ShardBatch, _ value: String, command: CommandID? = nil, retryable: Bool = false
) throws -> ModSeq {
    let expected = try batch.head(alice)?.aseq ?? .zero
    return try batch.append(
        Append(
            account: alice, expected: expected, events: [.settingSet(key: "key", value: value)], command: command,
            retryable: retryable))
}

private func events(_ store: MemoryStore) throws -> [LoggedEvent] {
    try store.read { reader in
        var all: [LoggedEvent] = []
        try reader.log(after: .start) { logged in
            all.append(logged)
            return true
        }
        return all
    }
}

@Suite struct MemoryStoreTests {
    @Test func readersSeeWhatIsCommittedOnly() throws {
        let store = try filledStore()
        let batch = try store.beginBatch(now: start)
        #expect(try set(batch, "one") == ModSeq(3))
        #expect(try batch.setting(alice, "key") == "one")
        #expect(try position(store) == ModSeq(2))
        let receipt = try batch.commit()
        #expect(receipt.events == 1)
        #expect(try position(store) == ModSeq(3))
        #expect(try store.read { $0.head } == receipt.head)
    }

    @Test func anAbortedBatchLeavesNothing() throws {
        let store = try filledStore()
        let batch = try store.beginBatch(now: start)
        try set(batch, "one")
        batch.abort()
        #expect(try position(store) == ModSeq(2))
        #expect(try store.read { try $0.setting(alice, "key") } == nil)
        #expect(throws: StoreError.self) { try batch.commit() }
        _ = try store.beginBatch(now: start)
    }

    @Test func thereIsOneBatchAtATime() throws {
        let store = try filledStore()
        let batch = try store.beginBatch(now: start)
        #expect(throws: StoreError.self) { try store.beginBatch(now: start) }
        batch.abort()
        try store.beginBatch(now: start).abort()
    }

    @Test func anotherPositionThanExpectedIsAFault() throws {
        let store = try filledStore()
        let batch = try store.beginBatch(now: start)
        #expect(throws: StateFault.self) {
            try batch.append(Append(account: alice, expected: ModSeq(1), events: [.quotaSet(Quota())]))
        }
        #expect(try set(batch, "one") == ModSeq(3))
    }

    @Test func aBatchThatCouldNotBeFoldedIsNotCommitted() throws {
        let store = try filledStore()
        let batch = try store.beginBatch(now: start)
        let event = Event.mailboxDeleted(MailboxDeleted(mailbox: MailboxID(9), finalUIDNext: 1, messages: 0))
        #expect(throws: StateFault.self) {
            try batch.append(Append(account: alice, expected: ModSeq(2), events: [.quotaSet(Quota(bytes: 1)), event]))
        }
        batch.abort()
        #expect(try position(store) == ModSeq(2))
        #expect(try store.read { try $0.head(alice)?.quota } == Quota())
    }

    @Test func theLogIsReadFromAnyCursorAndEachHistoryBackwards() throws {
        let store = try filledStore()
        for value in ["one", "two"] {
            let batch = try store.beginBatch(now: start)
            try set(batch, value)
            _ = try batch.commit()
        }
        let all = try events(store)
        #expect(all.map(\.context.aseq.rawValue) == [1, 1, 2, 3, 4])
        #expect(zip(all, all.dropFirst()).allSatisfy { $0.cursor < $1.cursor })
        try store.read { reader in
            var later: [Cursor] = []
            try reader.log(after: all[2].cursor) { logged in
                later.append(logged.cursor)
                return later.count < 1
            }
            #expect(later == [all[3].cursor])
            var history: [UInt64] = []
            try reader.history(alice) { logged in
                history.append(logged.context.aseq.rawValue)
                return true
            }
            #expect(history == [4, 3, 2, 1])
        }
    }

    @Test func readersBesideAWriterSeeWholeBatches() async throws {
        let store = try filledStore()
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<3 {
                group.addTask {
                    var torn = 0
                    for _ in 0..<300 {
                        try store.read { reader in
                            let position = try reader.head(alice)?.aseq.rawValue ?? 0
                            let one = try reader.setting(alice, "one")
                            if try reader.setting(alice, "two") != one || position % 2 != 0 { torn += 1 }
                        }
                    }
                    return torn
                }
            }
            for number in UInt64(1)...300 {
                let batch = try store.beginBatch(now: start)
                let events = ["one", "two"].map { Event.settingSet(key: $0, value: "\(number)") }
                _ = try batch.append(Append(account: alice, expected: ModSeq(number * 2), events: events))
                _ = try batch.commit()
            }
            for try await torn in group { #expect(torn == 0) }
        }
    }

    // MARK: Faults

    @Test func aFullDiskRefusesAndGoesOn() throws {
        let store = try filledStore()
        store.failNextCommit(.full)
        let batch = try store.beginBatch(now: start)
        try set(batch, "one")
        #expect(throws: StoreError.full) { try batch.commit() }
        #expect(try position(store) == ModSeq(2))
        let next = try store.beginBatch(now: start)
        try set(next, "two")
        _ = try next.commit()
        #expect(try position(store.reopened()) == ModSeq(3))
    }

    @Test(arguments: [(CommitFault.lost, UInt64(2)), (.durable, 3), (.crash, 2)])
    func aFailedCommitStopsTheStoreUntilItIsOpenedAgain(_ fault: CommitFault, _ after: UInt64) throws {
        let store = try filledStore()
        store.failNextCommit(fault)
        let batch = try store.beginBatch(now: start)
        try set(batch, "one")
        #expect(throws: StoreError.self) { try batch.commit() }
        #expect(throws: StoreError.self) { try store.beginBatch(now: start) }
        if fault == .crash {
            #expect(throws: StoreError.self) { try store.read { $0.head } }
        } else {
            #expect(try position(store) == ModSeq(2))
        }
        let again = store.reopened()
        #expect(try position(again) == ModSeq(after))
        let next = try again.beginBatch(now: start)
        #expect(try set(next, "two") == ModSeq(after + 1))
        _ = try next.commit()
    }

    @Test func aCrashTakesTheOpenBatch() throws {
        let store = try filledStore()
        let batch = try store.beginBatch(now: start)
        try set(batch, "one")
        store.crash()
        #expect(throws: StoreError.self) { try batch.commit() }
        #expect(try position(store.reopened()) == ModSeq(2))
    }

    // MARK: Bodies

    @Test func aBodyMustBeKnownAndSynced() throws {
        let store = try filledStore()
        let staged = try store.stage(Text("hello"))
        #expect(staged.reference.size == 5)
        let first = try store.beginBatch(now: start)
        #expect(throws: StateFault.self) {
            try first.append(Append(account: alice, expected: ModSeq(2), events: [message(1, staged.reference)]))
        }
        first.abort()
        let second = try store.beginBatch(now: start)
        try second.register(staged)
        _ = try second.append(Append(account: alice, expected: ModSeq(2), events: [message(1, staged.reference)]))
        #expect(throws: StoreError.self) { try second.commit() }
    }

    @Test func aCommittedBodyIsReadInParts() throws {
        let store = try filledStore()
        let staged = try store.stage(Text("hello, world"))
        let orphan = try store.stage(Text("nobody names this"))
        store.syncBodies()
        let batch = try store.beginBatch(now: start)
        try batch.register(staged)
        _ = try batch.append(Append(account: alice, expected: ModSeq(2), events: [message(1, staged.reference)]))
        _ = try batch.commit()
        let again = store.reopened()
        #expect(try again.read { try $0.body(staged.reference.blob) } == staged.reference)
        #expect(try again.read { try $0.body(orphan.reference.blob) } == nil)
        let handle = try again.openBody(staged.reference.blob)
        var bytes: [UInt8] = []
        try handle.read(at: 7, count: 100, into: &bytes)
        #expect(bytes == Array("world".utf8))
        #expect(throws: StoreError.self) { try again.openBody(orphan.reference.blob) }
    }

    // MARK: Commands that come again

    @Test func aRetryableCommandIsRememberedForSevenDaysOfLogTime() throws {
        let store = try filledStore()
        let command = CommandID(high: 1, low: 2)
        let batch = try store.beginBatch(now: start)
        #expect(try batch.outcome(of: command, alice) == nil)
        try set(batch, "one", command: command, retryable: true)
        try set(batch, "two", command: CommandID(high: 1, low: 3), retryable: false)
        #expect(try batch.outcome(of: command, alice) == ModSeq(3))
        _ = try batch.commit()
        #expect(try store.read { try $0.outcome(of: CommandID(high: 1, low: 3), alice) } == nil)
        #expect(try store.read { try $0.outcome(of: command, AccountID(17)) } == nil)
        for (days, expected) in [(7, ModSeq(3)), (8, nil)] as [(Int64, ModSeq?)] {
            let batch = try store.beginBatch(now: Timestamp(seconds: start.seconds + days * 86400))
            try set(batch, "day \(days)")
            #expect(try batch.outcome(of: command, alice) == expected)
            _ = try batch.commit()
            #expect(try store.read { try $0.outcome(of: command, alice) } == expected)
        }
    }

    // MARK: Time

    @Test func timeNeverRunsBackAndAStepBackIsAnEvent() throws {
        let store = try filledStore()
        for seconds in [10, 4, 5, 20] as [Int64] {
            let batch = try store.beginBatch(now: Timestamp(seconds: start.seconds + seconds))
            try set(batch, "\(seconds)")
            _ = try batch.commit()
        }
        let all = try events(store)
        let times = all.map { $0.context.time.seconds - start.seconds }
        #expect(times == [0, 0, 0, 10, 10, 10, 10, 20])
        #expect(all[4].event == .clockStepped(backMilliseconds: 6000))
        #expect(all[4].context.account == .system)
    }

    // MARK: Rebuild

    @Test func theStateFoldedAnewIsTheStateThatWasKept() throws {
        let store = try filledStore()
        let staged = try store.stage(Text("hello"))
        store.syncBodies()
        let batch = try store.beginBatch(now: start)
        try batch.register(staged)
        let gone = Event.messagesExpunged(
            MessagesExpunged(mailbox: MailboxID(1), uids: UIDSet(UID(1)), reason: .pop3))
        let two = [message(1, staged.reference), message(2, staged.reference), gone]
        _ = try batch.append(
            Append(
                account: alice, expected: ModSeq(2), events: two, command: CommandID(high: 0, low: 1), retryable: true))
        _ = try batch.commit()
        let rebuilt = try store.rebuilt()
        let live = try #require(try store.read { ($0 as? any MemoryBacked)?.state })
        #expect(try lines(rebuilt) == lines(live))
        #expect(try lines(live).contains { $0.hasPrefix("references BlobNumber(rawValue: 1): 2") })
    }

    /// Halves of the log, folded beside each other, give what the whole gives.
    @Test func partsOfTheLogFoldedApartAreJoined() throws {
        let whole = MemoryState()
        let parts = [MemoryState(), MemoryState()]
        for raw in UInt32(16)..<24 {
            let account = AccountID(raw)
            let key = "user\(raw)@example.test"
            let body = BodyReference(blob: BlobNumber(5), size: 5, hash: .zero)
            let address = Event.addressAdded(AddressRow(id: 1, kind: .primary, address: key))
            for (index, event) in [created(key), inbox, address, message(1, body)].enumerated() {
                let context = EventContext(account: account, aseq: ModSeq(UInt64(index + 1)), time: start)
                try evolve(event, at: context, in: whole)
                try evolve(event, at: context, in: parts[Int(raw % 2)])
            }
        }
        try parts[0].absorb(parts[1])
        #expect(try lines(parts[0]) == lines(whole))
        #expect(whole.references(BlobNumber(5)) == 8)
        #expect(throws: StateFault.self) { try parts[0].absorb(parts[1]) }
    }

    private func lines(_ state: MemoryState) throws -> [String] {
        var visitor = KeyLines()
        try state.forEachRow(&visitor)
        #expect(visitor.lines == visitor.lines.sorted(), "rows do not come in the order of their keys")
        var lines = visitor.lines
        try state.forEachReference { blob, count in lines.append("references \(blob): \(count)") }
        try state.forEachRemembered(on: 0) { day, account, command, position in
            lines.append("\(day) \(account) \(command) \(position)")
        }
        return lines
    }
}
