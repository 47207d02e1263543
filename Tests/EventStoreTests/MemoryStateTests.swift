// What the in-memory rows do at their edges: forks, places of messages that are gone, octet order.
import EventStore
import MailCore
import MailTypes
import Testing

private let account = AccountID(16)
private let mailbox = MailboxID(1)

private func row(_ modseq: UInt64) -> MessageRow {
    MessageRow(
        flags: [], size: 1, modSeq: ModSeq(modseq), email: EmailID(1), blob: BlobNumber(1),
        internalDate: InternalDate(time: Timestamp(seconds: 0)))
}

private func uids(_ state: MemoryState, from first: UInt32 = 1) -> [UInt32] {
    var found: [UInt32] = []
    state.messages(account, mailbox, from: UID(first)) { uid, _ in
        found.append(uid.rawValue)
        return true
    }
    return found
}

@Suite struct MemoryStateTests {
    @Test func aForkIsChangedAloneAndTheParentStays() throws {
        let parent = MemoryState()
        try parent.setMessage(account, mailbox, UID(1), row(1), isNew: true)
        try parent.adjustReferences(BlobNumber(1), by: 1)
        parent.setSubscription(account, "a", true)
        let child = parent.fork()
        try child.setMessage(account, mailbox, UID(2), row(2), isNew: true)
        try child.setMessage(account, mailbox, UID(1), row(3), isNew: false)
        try child.adjustReferences(BlobNumber(1), by: 1)
        child.setSubscription(account, "b", true)
        child.setHead(AccountID(17), AccountHead())
        #expect(uids(parent) == [1])
        #expect(parent.message(account, mailbox, UID(1))?.modSeq == ModSeq(1))
        #expect(parent.references(BlobNumber(1)) == 1)
        #expect(parent.subscriptions(account) == ["a"])
        #expect(parent.head(AccountID(17)) == nil)
        #expect(uids(child) == [1, 2])
        #expect(child.references(BlobNumber(1)) == 2)
        let second = parent.fork()
        #expect(uids(second) == [1])
        #expect(second.subscriptions(account) == ["a"])
    }

    @Test func messagesGoAndPlacesAreReused() throws {
        let state = MemoryState()
        for uid in UInt32(1)...1000 { try state.setMessage(account, mailbox, UID(uid), row(1), isNew: true) }
        for uid in UInt32(1)...1000 where uid % 10 != 0 { try state.removeMessage(account, mailbox, UID(uid)) }
        #expect(uids(state) == Array(stride(from: 10, through: 1000, by: 10)))
        #expect(uids(state, from: 985) == [990, 1000])
        #expect(state.message(account, mailbox, UID(500)) != nil)
        #expect(state.message(account, mailbox, UID(501)) == nil)
        #expect(throws: StateFault.self) { try state.removeMessage(account, mailbox, UID(501)) }
        try state.removeMessage(account, mailbox, UID(1000))
        try state.setMessage(account, mailbox, UID(995), row(2), isNew: true)
        try state.setMessage(account, mailbox, UID(15), row(2), isNew: false)
        #expect(uids(state, from: 980) == [980, 990, 995])
        #expect(uids(state).prefix(3) == [10, 15, 20])
    }

    @Test func aNewMessageIsAboveAllOthers() throws {
        let state = MemoryState()
        try state.setMessage(account, mailbox, UID(5), row(1), isNew: true)
        #expect(throws: StateFault.self) { try state.setMessage(account, mailbox, UID(5), row(1), isNew: true) }
        #expect(throws: StateFault.self) { try state.setMessage(account, mailbox, UID(4), row(1), isNew: true) }
    }

    @Test func changesComeAfterAPosition() throws {
        let state = MemoryState()
        for position in [2, 4, 4, 7] as [UInt64] {
            try state.addChange(account, mailbox, ModSeq(position), ChangeRow(arrived: UIDSet(UID(1))))
        }
        for (after, expected) in [(0, [2, 4, 4, 7]), (2, [4, 4, 7]), (3, [4, 4, 7]), (4, [7]), (7, [])]
            as [(UInt64, [UInt64])]
        {
            var found: [UInt64] = []
            state.changes(account, mailbox, after: ModSeq(after)) { position, _ in
                found.append(position.rawValue)
                return true
            }
            #expect(found == expected)
        }
        #expect(throws: StateFault.self) { try state.addChange(account, mailbox, ModSeq(6), ChangeRow()) }
    }

    /// U+00E9 and e with U+0301 are equal to `String` and two names to a store.
    @Test func namesAreTheirOctets() {
        let state = MemoryState()
        state.setMailboxID(account, parent: .root, leaf: "\u{E9}", MailboxID(1))
        #expect(state.mailboxID(account, parent: .root, leaf: "e\u{301}") == nil)
        for name in ["\u{E9}", "z", "e\u{301}", "Z"] { state.setSubscription(account, name, true) }
        #expect(
            state.subscriptions(account).map { Array($0.utf8) } == [
                Array("Z".utf8), Array("e\u{301}".utf8), Array("z".utf8), Array("\u{E9}".utf8),
            ])
    }

    @Test func referencesDoNotGoBelowZero() throws {
        let state = MemoryState()
        try state.adjustReferences(BlobNumber(1 << 40), by: 2)
        try state.adjustReferences(BlobNumber(1 << 40), by: -2)
        #expect(throws: StateFault.self) { try state.adjustReferences(BlobNumber(1 << 40), by: -1) }
    }

    @Test func whatIsDueComesByDay() {
        let state = MemoryState()
        state.scheduleCollection(day: 9, AccountID(17), mailbox, UID(1))
        state.scheduleCollection(day: 9, account, mailbox, UID(2))
        state.scheduleCollection(day: 8, account, MailboxID(2), UID(0))
        state.scheduleCollection(day: 10, account, mailbox, UID(3))
        state.scheduleCollection(day: 9, account, mailbox, UID(4))
        state.cancelCollection(day: 9, account, mailbox, UID(4))
        var found: [[UInt32]] = []
        state.collectable(through: 9) { day, account, mailbox, uid in
            found.append([day, account.rawValue, mailbox.rawValue, uid.rawValue])
            return true
        }
        #expect(found == [[8, 16, 2, 0], [9, 16, 1, 2], [9, 17, 1, 1]])
    }
}
