// The local store on real directories: what is committed stays, what is not leaves nothing, a replay equals the rows.
import EventStore
import Foundation
import MailCore
import MailTypes
import Testing

@Suite("LMDBStore")
struct LMDBStoreTests {
    private func read(_ store: LMDBStore, _ uid: UInt32) throws -> [UInt8] {
        let row = try #require(
            try store.read { try $0.message(.firstPersonal, TemporaryStore.inbox, UID(uid)) })
        let body = try store.openBody(row.blob)
        var bytes: [UInt8] = []
        try body.read(at: 0, count: body.size, into: &bytes)
        return bytes
    }

    @Test("what was committed is there after closing and opening, body for body")
    func reopen() throws {
        let temporary = try TemporaryStore()
        try temporary.populate(messages: 40)
        try temporary.reopen()
        let box = try #require(
            try temporary.store.read { try $0.mailbox(.firstPersonal, TemporaryStore.inbox) })
        #expect(box.exists == 40)
        #expect(box.uidNext == 41)
        for number in 0..<40 {
            #expect(try read(temporary.store, UInt32(number + 1)) == TemporaryStore.body(number))
        }
        try temporary.deliver(TemporaryStore.body(40))
        #expect(try read(temporary.store, 41) == TemporaryStore.body(40))
    }

    @Test("a replay of the log equals the live state, also after everything that can happen to mail")
    func replay() throws {
        let temporary = try TemporaryStore()
        let ann = try temporary.populate(messages: 30)
        let inbox = TemporaryStore.inbox
        let archive = NewMailbox(name: try #require(MailboxName("Archive/2026")), subscribed: true)
        guard case .mailbox(let box, _) = try temporary.run(.createMailbox(archive), ann) else {
            Issue.record("no mailbox was made")
            return
        }
        let first = UIDSet(UID(1)...UID(9))
        let flags = ChangeFlags(
            mailbox: inbox, uids: first, operation: .add, flags: [.seen, .deleted],
            keywords: [try #require(Keyword("$Forwarded"))])
        try temporary.run(.changeFlags(flags), ann)
        try temporary.run(.copy(CopyMessages(source: inbox, destination: box, uids: first)), ann)
        try temporary.run(.move(CopyMessages(source: inbox, destination: box, uids: UIDSet(UID(12)...UID(14)))), ann)
        try temporary.run(
            .expunge(Expunge(mailbox: inbox, uids: first, onlyDeleted: true, reason: .expunge)), ann,
            id: CommandID(high: 1, low: 2))
        try temporary.run(
            .restore(RestoreMessages(fromMailbox: inbox, uids: UIDSet(UID(3)), mailbox: inbox)), ann)
        try temporary.run(.deleteMailbox(box), ann)
        let queued = Enqueue(body: 0, mailFrom: "ann@example.test", recipients: ["x@example.org", "y@example.org"])
        guard case .queued(let id) = try temporary.run(.enqueue(queued), .queue, bodies: [[1, 2, 3]]) else {
            Issue.record("nothing was queued")
            return
        }
        let later = Timestamp(rawValue: temporary.now.rawValue + 60_000)
        let attempt = QueueResult(id: id, recipients: [0], code: 451)
        try temporary.run(.recordAttempt(QueueAttempt(result: attempt, outcome: .deferred(until: later))), .queue)
        let report = try temporary.store.compareStateWithReplay()
        #expect(report.events > 40)
        #expect(report.rows > 60)
        try temporary.store.verifyAll()
    }

    @Test("an empty store equals its replay")
    func empty() throws {
        let temporary = try TemporaryStore()
        #expect(try temporary.store.compareStateWithReplay().rows == 0)
        try temporary.store.verifyAll()
    }

    @Test("a rebuilt state is the state that was there")
    func rebuild() throws {
        let temporary = try TemporaryStore()
        try temporary.populate(messages: 25)
        let before = try temporary.store.compareStateWithReplay()
        _ = try temporary.store.rebuildState()
        try temporary.reopen()
        let after = try temporary.store.compareStateWithReplay()
        #expect(after == before)
        #expect(try read(temporary.store, 7) == TemporaryStore.body(6))
        try temporary.deliver(TemporaryStore.body(25))
        #expect(try temporary.store.compareStateWithReplay().events == before.events + 1)
    }

    @Test("a batch that is not committed leaves nothing, and its positions are used again")
    func abort() throws {
        let temporary = try TemporaryStore()
        let ann = try temporary.populate(messages: 1)
        let batch = try temporary.store.beginBatch(now: temporary.now)
        let position = try #require(try batch.head(ann)).aseq
        _ = try batch.append(
            Append(account: ann, expected: position, events: [.quotaSet(Quota(bytes: 5, messages: 5))]))
        batch.abort()
        #expect(try temporary.store.read { try $0.head(ann)?.quota } == Quota())
        try temporary.run(.setQuota(Quota(bytes: 9, messages: 9)), ann)
        #expect(try temporary.store.read { try $0.head(ann)?.aseq } == position.next)
        _ = try temporary.store.compareStateWithReplay()
    }

    @Test("an account that has moved on meanwhile is a fault, and nothing is written")
    func expectedVersion() throws {
        let temporary = try TemporaryStore()
        let ann = try temporary.populate()
        let batch = try temporary.store.beginBatch(now: temporary.now)
        defer { batch.abort() }
        #expect(throws: StateFault.self) {
            try batch.append(Append(account: ann, expected: ModSeq(1), events: [.quotaSet(Quota())]))
        }
    }

    @Test("a retryable command is remembered")
    func dedup() throws {
        let temporary = try TemporaryStore()
        let ann = try temporary.populate()
        let id = CommandID(high: 7, low: 7)
        try temporary.run(.setQuota(Quota(bytes: 1, messages: 1)), ann, id: id)
        let position = try #require(try temporary.store.read { try $0.head(ann) }).aseq
        #expect(try temporary.store.read { try $0.outcome(of: id, ann) } == position)
        #expect(try temporary.store.read { try $0.outcome(of: id, .queue) } == nil)
        #expect(try temporary.store.read { try $0.outcome(of: CommandID(high: 7, low: 8), ann) } == nil)
    }

    @Test("time in the log does not run back, and the step is recorded once")
    func clock() throws {
        let temporary = try TemporaryStore()
        let ann = try temporary.populate()
        temporary.now = Timestamp(rawValue: temporary.now.rawValue - 3_600_000)
        for number in 1...3 { try temporary.run(.setQuota(Quota(bytes: UInt64(number), messages: 0)), ann) }
        var times: [Timestamp] = []
        var steps = 0
        try temporary.store.read { state in
            try state.log(after: .start) { event in
                times.append(event.context.time)
                if case .clockStepped = event.event { steps += 1 }
                return true
            }
        }
        #expect(times == times.sorted())
        #expect(steps == 1)
    }

    @Test("a second owner is refused and told who the first is")
    func owned() throws {
        let temporary = try TemporaryStore()
        #expect {
            _ = try LMDBStore(temporary.directory, options: TemporaryStore.options)
        } throws: { error in
            guard case StoreError.owned(let text) = error else { return false }
            return text.contains("\(getpid())")
        }
    }

    @Test("a store of a newer format is refused with its number")
    func newerFormat() throws {
        let temporary = try TemporaryStore()
        #expect {
            try temporary.reopen { directory in
                let path = directory + "/STORE"
                let text = try String(contentsOfFile: path, encoding: .utf8)
                try text.replacingOccurrences(of: "\"format\": 4", with: "\"format\": 7")
                    .write(toFile: path, atomically: true, encoding: .utf8)
            }
        } throws: { error in
            guard case StoreError.incompatible(let text) = error else { return false }
            return text.contains("format 7")
        }
    }
}
