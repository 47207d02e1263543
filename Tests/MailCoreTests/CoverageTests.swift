// What holds over all tables: every refusal is seen, wide sets are cheap, a log that contradicts itself is refused.
import EventStore
import MailCore
import MailTypes
import Testing

/// Reads a state and counts the message rows it hands out.
private final class CountingReader: MemoryBacked {
    let state: MemoryState
    private(set) var messagesRead = 0
    init(_ state: MemoryState) { self.state = state }

    func message(_ account: AccountID, _ mailbox: MailboxID, _ uid: UID) -> MessageRow? {
        messagesRead += 1
        return state.message(account, mailbox, uid)
    }

    func messages(_ account: AccountID, _ mailbox: MailboxID, from first: UID, _ body: (UID, MessageRow) -> Bool) {
        state.messages(account, mailbox, from: first) { uid, row in
            messagesRead += 1
            return body(uid, row)
        }
    }
}

@Suite struct CoverageTests {
    /// A new refusal does not compile here until it has a number; `count` is one more than the last.
    private func number(_ refusal: Refusal) -> Int {
        switch refusal {
        case .noSuchAccount: 0
        case .accountDisabled: 1
        case .accountRemoved: 2
        case .addressTaken: 3
        case .noSuchAddress: 4
        case .primaryAddress: 5
        case .noSuchCredential: 6
        case .noSuchMailbox: 7
        case .mailboxExists: 8
        case .invalidName: 9
        case .hasChildren: 10
        case .inbox: 11
        case .specialUseTaken: 12
        case .overQuota: 13
        case .tooManyKeywords: 14
        case .uidNotAscending: 15
        case .uidValidityNotAscending: 16
        case .uidsExhausted: 17
        case .limit: 18
        case .noSuchQueueEntry: 19
        case .notRestorable: 20
        case .noSuchMessage: 21
        }
    }

    private let count = 22

    @Test func everyRefusalIsInATable() {
        var seen: Set<Int> = []
        for row in accountRows + mailboxRows + messageRows + queueRows {
            if case .refused(let refusal) = row.then { seen.insert(number(refusal)) }
        }
        #expect(seen == Set(0..<count))
    }

    private static let wide: [AccountCommand] = [
        .changeFlags(ChangeFlags(mailbox: inbox, uids: everything, operation: .add, flags: .flagged)),
        .expunge(Expunge(mailbox: inbox, uids: everything, onlyDeleted: false, reason: .expunge)),
        .copy(CopyMessages(source: inbox, destination: archive, uids: everything)),
        .move(CopyMessages(source: inbox, destination: archive, uids: everything)),
    ]

    @Test(arguments: 0..<4) func wideSetsCostWhatIsThere(_ index: Int) throws {
        let world = try World()
        try world.fold([message(1), message(1_000_000), message(4_000_000_000)])
        let reader = CountingReader(world.state)
        let decision = try decide(Self.wide[index], DecideContext(account: alice, now: noon), reader)
        #expect(decision.events.count == 1)
        #expect(reader.messagesRead == 3)
    }

    /// Events that no decide would have made.
    private static let contradictions: [(String, Event)] = [
        ("a message in no mailbox", message(9, in: MailboxID(9))),
        ("a UID that was given", message(2)),
        ("flags of no message", .flagsChanged(FlagsChanged(mailbox: inbox, uids: uids(9), add: .seen))),
        ("an expunge of no message", .messagesExpunged(MessagesExpunged(mailbox: inbox, uids: uids(9), reason: .pop3))),
        ("a copy to a UID that was given", .messagesCopied(copiedTo(UID(2), uids(1)))),
        ("a copy of nothing", .messagesCopied(copiedTo(UID(9), UIDSet()))),
        ("a move past the last UID", .messagesMoved(copiedTo(UID(.max), uids(1...2)))),
        (
            "a restore of what lives",
            .messageRestored(MessageRestored(mailbox: inbox, uid: UID(9), fromMailbox: inbox, fromUID: UID(1)))
        ),
        ("a collection of what lives", .messagesCollected(MessagesCollected(mailbox: inbox, uids: uids(1)))),
        ("an answer for no queue entry", .queueDelivered(QueueResult(id: QueueID(9), recipients: [0], code: 250))),
        ("a removal of no queue entry", .queueRemoved(QueueID(9), .done)),
        (
            "a rescheduling of no queue entry",
            .queueRescheduled(QueueRescheduled(id: QueueID(9), nextAttempt: noon, isHeld: false))
        ),
        (
            "a rename of no mailbox",
            .mailboxRenamed(MailboxRenamed(mailbox: MailboxID(9), newParent: .root, newLeaf: "x"))
        ),
        (
            "a deletion of no mailbox",
            .mailboxDeleted(MailboxDeleted(mailbox: MailboxID(9), finalUIDNext: 1, messages: 0))
        ),
    ]

    private static func copiedTo(_ first: UID, _ set: UIDSet) -> MessagesCopied {
        MessagesCopied(source: inbox, destination: inbox, uids: set, firstUID: first)
    }

    @Test(arguments: 0..<13) func aLogThatContradictsItselfIsAFault(_ index: Int) throws {
        let world = try World()
        try world.fold([message(1), message(2)])
        let (name, event) = Self.contradictions[index]
        #expect(throws: StateFault.self, "\(name)") { try world.fold([event]) }
    }

    @Test func anEventOfNoAccountIsAFault() throws {
        let world = try World()
        #expect(throws: StateFault.self) { try world.fold([.quotaSet(Quota())], AccountID(99)) }
    }

    @Test func foldingTheSameLogTwiceGivesTheSameRows() throws {
        let first = try World()
        let second = try World()
        for world in [first, second] {
            try world.fold([message(1), message(2, flags: .deleted)])
            try world.run(.copy(CopyMessages(source: inbox, destination: archive, uids: everything)))
            try world.run(.expunge(Expunge(mailbox: inbox, uids: everything, onlyDeleted: true, reason: .expunge)))
        }
        #expect(try first.dump() == second.dump())
    }
}
