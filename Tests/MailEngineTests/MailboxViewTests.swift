import EventStore
import InputSupport
import MailCore
import MailEngine
import MailTypes
import Testing

/// A client that knows only what a view's reports tell it, as an IMAP client would.
private struct ModelClient {
    var messages: [(uid: UID, flags: SystemFlags)] = []

    mutating func apply(_ report: SyncReport, _ state: MemoryState, _ account: AccountID, _ mailbox: MailboxID) throws {
        for (number, uid) in report.gone {
            #expect(messages[Int(number) - 1].uid == uid, "EXPUNGE \(number) names another message")
            messages.remove(at: Int(number) - 1)
        }
        for uid in report.arrived {
            let row = try #require(state.message(account, mailbox, uid))
            messages.append((uid, row.flags))
        }
        if let exists = report.exists { #expect(Int(exists) == messages.count) }
        for uid in report.changed {
            let index = try #require(messages.firstIndex { $0.uid == uid })
            messages[index].flags = try #require(state.message(account, mailbox, uid)).flags
        }
    }
}

@Suite("MailboxView")
struct MailboxViewTests {
    private let account = AccountID.firstPersonal
    private let inbox = MailboxID(1)

    private func newState() throws -> (MemoryState, Timeline) {
        let state = MemoryState()
        var timeline = Timeline()
        try timeline.run(
            .openShard(ShardOpened(shard: 0, storeUUID: String(repeating: "0", count: 32))), .system, state)
        try timeline.run(.createAccount(NewAccount(address: try #require(Address("a@example.test")))), account, state)
        return (state, timeline)
    }

    /// Runs commands straight into a state.
    struct Timeline {
        var now = Timestamp(seconds: 1_800_000_000)
        var nextBlob: UInt64 = 1

        mutating func run(_ command: AccountCommand, _ account: AccountID, _ state: MemoryState) throws {
            now = Timestamp(rawValue: now.rawValue + 1)
            let bodies = [BodyReference(blob: BlobNumber(nextBlob), size: 100, hash: .zero)]
            nextBlob += 1
            let decision = try decide(command, DecideContext(account: account, now: now, bodies: bodies), state)
            for event in decision.events {
                let position = state.head(account)?.aseq ?? .zero
                try evolve(event, at: EventContext(account: account, aseq: position.next, time: now), in: state)
            }
        }
    }

    private func randomCommand(_ random: inout SeededGenerator, _ uidNext: UInt32) -> AccountCommand {
        let pick = UIDSet((0..<(1 + random.below(4))).map { _ in UID(UInt32(random.below(Int(uidNext))) + 1) })
        switch random.below(8) {
        case 0...2: return .append(AppendMessages(mailbox: inbox, messages: [NewMessage(body: 0)], origin: .lmtp))
        case 3...4:
            let operation: FlagOperation = [.add, .remove, .replace][random.below(3)]
            let flags = SystemFlags(rawValue: UInt8(random.below(32)))
            return .changeFlags(ChangeFlags(mailbox: inbox, uids: pick, operation: operation, flags: flags))
        case 5: return .expunge(Expunge(mailbox: inbox, uids: pick, onlyDeleted: false, reason: .expunge))
        case 6: return .move(CopyMessages(source: inbox, destination: inbox, uids: pick))
        default: return .copy(CopyMessages(source: inbox, destination: inbox, uids: pick))
        }
    }

    @Test(
        "a client that applies every report has exactly the mailbox, whenever expunges may be told", arguments: 0..<40)
    func clientEndsEqual(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var (state, timeline) = try newState()
        var view = try #require(try MailboxView(state, account, inbox))
        var client = ModelClient()
        for _ in 0..<120 {
            for _ in 0..<random.below(4) {
                let next = try #require(state.mailbox(account, inbox)).uidNext
                try timeline.run(randomCommand(&random, next), account, state)
            }
            let tells = random.below(2) == 0
            let report = try view.sync(state, tellsGone: tells)
            if !tells { #expect(report.gone.isEmpty) }
            try client.apply(report, state, account, inbox)
            #expect(client.messages.count == view.uids.count)
            let row = try #require(state.mailbox(account, inbox))
            if view.pendingGone.isEmpty {
                #expect(report.highestModSeq == row.highestModSeq)
            } else {
                #expect(report.highestModSeq < row.highestModSeq, "a held-back expunge must hold back HIGHESTMODSEQ")
            }
        }
        _ = try client.apply(try view.sync(state, tellsGone: true), state, account, inbox)
        var live: [(UID, SystemFlags)] = []
        state.messages(account, inbox, from: UID(1)) { uid, row in
            live.append((uid, row.flags))
            return true
        }
        #expect(client.messages.map(\.uid) == live.map(\.0))
        #expect(client.messages.map(\.flags) == live.map(\.1))
    }

    @Test("views that share an index agree with the mailbox: UIDs, seen, deleted, first unseen", arguments: 0..<30)
    func sharedIndexes(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var (state, timeline) = try newState()
        let indexes = MailboxIndexes()
        var views = [try #require(try MailboxView(state, account, inbox, sharing: indexes))]
        for round in 0..<80 {
            for _ in 0..<random.below(4) {
                let next = try #require(state.mailbox(account, inbox)).uidNext
                try timeline.run(randomCommand(&random, next), account, state)
            }
            let which = random.below(views.count)
            let tells = random.below(2) == 0
            _ = try views[which].sync(state, tellsGone: tells, sharing: indexes)
            if round % 16 == 0 { views.append(try #require(try MailboxView(state, account, inbox, sharing: indexes))) }
            for view in [views[which], views[views.count - 1]] where try view.isCurrent(state) {
                var (live, unseen, deleted) = (UIDSet(), UIDSet(), UIDSet())
                state.messages(account, inbox, from: UID(1)) { uid, row in
                    live.insertAtEnd(uid)
                    if !row.flags.contains(.seen) { unseen.insertAtEnd(uid) }
                    if row.flags.contains(.deleted) { deleted.insertAtEnd(uid) }
                    return true
                }
                #expect(view.uids.uids.subtracting(view.pendingGone) == live)
                #expect(view.uids.unseen.subtracting(view.pendingGone) == unseen)
                #expect(view.uids.deleted.subtracting(view.pendingGone) == deleted)
                if view.pendingGone.isEmpty {
                    #expect(view.uids.firstUnseen == unseen.first)
                    #expect(view.uids.unseenCount == unseen.count)
                    #expect(view.uids.deletedCount == deleted.count)
                }
            }
        }
    }

    @Test("a step that one view has made is the step of every view that stands there", arguments: 0..<20)
    func sharedSteps(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var (state, timeline) = try newState()
        let (indexes, steps) = (MailboxIndexes(), MailboxSteps())
        var views = try (0..<4).map { _ in try #require(try MailboxView(state, account, inbox, sharing: indexes)) }
        var clients = [ModelClient](repeating: ModelClient(), count: views.count)
        var (head, taken) = (UInt64(1), 0)
        for _ in 0..<80 {
            for _ in 0..<random.below(3) {
                let next = try #require(state.mailbox(account, inbox)).uidNext
                try timeline.run(randomCommand(&random, next), account, state)
                head += 1
            }
            for index in views.indices where random.below(4) > 0 {
                let (before, tells) = (views[index], random.below(4) > 0)
                #expect(steps.next(before, since: Cursor(head + 1)) == nil, "a step from before the last commit")
                var slow = before
                let expected = try slow.sync(state, tellsGone: tells)
                var report = expected
                if tells, let (next, known) = steps.next(before, since: Cursor(head)) {
                    (views[index], report) = (next, known)
                    taken += 1
                } else {
                    report = try views[index].sync(state, tellsGone: tells, sharing: indexes)
                    if tells { steps.keep(from: before, to: views[index], report, head: Cursor(head)) }
                }
                #expect(report.gone.map { $0.sequenceNumber } == expected.gone.map { $0.sequenceNumber })
                #expect(report.arrived == expected.arrived)
                #expect(report.changed == expected.changed)
                #expect(report.exists == expected.exists)
                #expect(report.highestModSeq == expected.highestModSeq)
                #expect(views[index].uids.uids == slow.uids.uids)
                #expect(views[index].position == slow.position)
                try clients[index].apply(report, state, account, inbox)
            }
        }
        #expect(taken > 20)
    }

    @Test("an index over its room goes, the newest stays")
    func indexRoom() throws {
        var (state, timeline) = try newState()
        let append = AppendMessages(mailbox: inbox, messages: [NewMessage(body: 0)], origin: .lmtp)
        try timeline.run(.append(append), account, state)
        let indexes = MailboxIndexes(octetsMax: 1)
        let view = try #require(try MailboxView(state, account, inbox, sharing: indexes))
        let again = try #require(try MailboxView(state, account, inbox, sharing: indexes))
        #expect(view.uids.uids == again.uids.uids)
    }

    @Test("recent messages belong to the first who claims them")
    func recent() {
        let claims = RecentClaims()
        #expect(claims.claim(account, inbox, stored: 3, uidNext: 8) == 3)
        #expect(claims.claim(account, inbox, stored: 3, uidNext: 8) == 8)
        #expect(claims.floor(account, inbox, stored: 3) == 8)
        #expect(claims.claim(account, inbox, stored: 3, uidNext: 9) == 8)
        claims.forget(account, inbox, stored: 9)
        #expect(claims.floor(account, inbox, stored: 9) == 9)
    }

    @Test("a silenced change of one's own is not told, one below it is")
    func silenced() throws {
        var (state, timeline) = try newState()
        for _ in 0..<3 {
            let append = AppendMessages(mailbox: inbox, messages: [NewMessage(body: 0)], origin: .lmtp)
            try timeline.run(.append(append), account, state)
        }
        var view = try #require(try MailboxView(state, account, inbox))
        let others = ChangeFlags(mailbox: inbox, uids: UIDSet(UID(1)), operation: .add, flags: .seen)
        try timeline.run(.changeFlags(others), account, state)
        let own = ChangeFlags(mailbox: inbox, uids: UIDSet(UID(2)), operation: .add, flags: .flagged)
        try timeline.run(.changeFlags(own), account, state)
        let position = try #require(state.head(account)).aseq
        let report = try view.sync(state, tellsGone: true, silenced: [position])
        #expect(report.changed == UIDSet(UID(1)))
        #expect(report.highestModSeq == position)
    }

    @Test("a deleted mailbox and a new UIDVALIDITY end the view")
    func ends() throws {
        var (state, timeline) = try newState()
        let name = try #require(MailboxName("Box"))
        try timeline.run(.createMailbox(NewMailbox(name: name)), account, state)
        let box = try #require(try state.mailboxID(account, named: name))
        var view = try #require(try MailboxView(state, account, box))
        var inboxView = try #require(try MailboxView(state, account, inbox))
        try timeline.run(.deleteMailbox(box), account, state)
        try timeline.run(.bumpUIDValidity(inbox), account, state)
        guard case .mailboxDeleted? = try view.sync(state, tellsGone: true).end else {
            Issue.record("the view outlived its mailbox")
            return
        }
        guard case .uidValidityChanged? = try inboxView.sync(state, tellsGone: true).end else {
            Issue.record("the view outlived its UIDVALIDITY")
            return
        }
    }

    @Test("changes since a position cost what changed, and fall back when asked to")
    func changesSince() throws {
        var (state, timeline) = try newState()
        for _ in 0..<20 {
            let append = AppendMessages(mailbox: inbox, messages: [NewMessage(body: 0)], origin: .lmtp)
            try timeline.run(.append(append), account, state)
        }
        let since = try #require(state.head(account)).aseq
        let gone = Expunge(mailbox: inbox, uids: UIDSet(UID(4)), onlyDeleted: false, reason: .expunge)
        try timeline.run(.expunge(gone), account, state)
        let flags = ChangeFlags(mailbox: inbox, uids: UIDSet(UID(9)), operation: .add, flags: .seen)
        try timeline.run(.changeFlags(flags), account, state)
        let append = AppendMessages(mailbox: inbox, messages: [NewMessage(body: 0)], origin: .lmtp)
        try timeline.run(.append(append), account, state)
        let passing = Expunge(mailbox: inbox, uids: UIDSet(UID(21)), onlyDeleted: false, reason: .expunge)
        try timeline.run(.expunge(passing), account, state)
        let now = try #require(state.head(account)).aseq
        let changes = try #require(try state.changes(account, inbox, since: since, now: now))
        #expect(changes.gone == UIDSet(UID(4)))
        #expect(changes.passed == UIDSet(UID(21)))
        #expect(changes.changed == UIDSet(UID(9)))
        #expect(changes.arrived.isEmpty)
        #expect(try state.changes(account, inbox, since: since, now: now, rowsMax: 1) == nil)
    }
}
