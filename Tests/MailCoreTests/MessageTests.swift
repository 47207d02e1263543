// Message commands as table rows, and what a sequence of them must keep: modseqs, counters, references to bodies,
// keywords beside the row, chunks.
import MailCore
import MailTypes
import Testing

private func append(_ messages: NewMessage..., to mailbox: MailboxID = inbox) -> AccountCommand {
    .append(AppendMessages(mailbox: mailbox, messages: messages, origin: .append))
}

private func replace(_ set: UIDSet, by message: NewMessage) -> AccountCommand {
    var append = AppendMessages(mailbox: inbox, messages: [message], origin: .append)
    append.replaced = ReplacedMessages(mailbox: inbox, uids: set)
    return .append(append)
}

private func flags(
    _ operation: FlagOperation, _ flags: SystemFlags, _ uids: UIDSet = everything, keywords: [String] = [],
    unchangedSince: UInt64? = nil
) -> AccountCommand {
    .changeFlags(
        ChangeFlags(
            mailbox: inbox, uids: uids, operation: operation, flags: flags, keywords: keywords.map(keyword),
            unchangedSince: unchangedSince.map { ModSeq($0) }))
}

private func copy(_ set: UIDSet, from source: MailboxID = inbox, to destination: MailboxID = archive) -> AccountCommand
{
    .copy(CopyMessages(source: source, destination: destination, uids: set))
}

private func move(_ set: UIDSet, from source: MailboxID = inbox, to destination: MailboxID = archive) -> AccountCommand
{
    .move(CopyMessages(source: source, destination: destination, uids: set))
}

private func copied(_ set: UIDSet, to destination: MailboxID = archive, first: UInt32) -> MessagesCopied {
    MessagesCopied(source: inbox, destination: destination, uids: set, firstUID: UID(first))
}

private func restore(_ set: UIDSet, from mailbox: MailboxID = inbox) -> AccountCommand {
    .restore(RestoreMessages(fromMailbox: mailbox, uids: set, mailbox: archive))
}

private func changed(_ set: UIDSet, add: SystemFlags = [], remove: SystemFlags = []) -> Event {
    .flagsChanged(FlagsChanged(mailbox: inbox, uids: set, add: add, remove: remove))
}

private func expunged(_ set: UIDSet, _ reason: ExpungeReason = .expunge) -> Event {
    .messagesExpunged(MessagesExpunged(mailbox: inbox, uids: set, reason: reason))
}

private func expunge(_ set: UIDSet, onlyDeleted: Bool = true) -> AccountCommand {
    .expunge(Expunge(mailbox: inbox, uids: set, onlyDeleted: onlyDeleted, reason: .expunge))
}

private func arrival(
    _ uid: UInt32, email: UInt64, blob: UInt64, keywords: [UInt16] = [], flags: SystemFlags = []
) -> Event {
    .messageAppended(
        MessageAppended(
            mailbox: inbox, uid: UID(uid), email: EmailID(email), blob: BlobNumber(blob), size: 100,
            hash: ContentHash(blob, 0, 0, 0), internalDate: InternalDate(time: noon), flags: flags,
            keywords: keywords.map { KeywordID($0) }, origin: .append))
}

/// Alice's account stands at position 5 after `base`, so the first event of `given` gets modseq 6.
private let three = [message(1), message(2, flags: .seen), message(3, flags: [.deleted])]
private let highUID = message(.max - 1)

let appendRows: [Row] = [
    Row(
        "messages get the next UIDs and share a body", given: [message(4)], bodies: [body(9)],
        when: append(NewMessage(body: 0), NewMessage(body: 0, flags: .seen)),
        then: .eventsAnswering(
            [arrival(5, email: 5, blob: 9), arrival(6, email: 6, blob: 9, flags: .seen)],
            .appended(UIDValidity(firstValidity + 1), uids(5...6)))),
    Row(
        "keywords are defined once, whatever their case", bodies: [body(9)],
        when: append(
            NewMessage(body: 0, keywords: [keyword("$Forwarded"), keyword("$forwarded")]),
            NewMessage(body: 0, keywords: [keyword("$FORWARDED"), keyword("New")])),
        then: .events([
            .keywordDefined(KeywordID(0), keyword("$Forwarded")), .keywordDefined(KeywordID(1), keyword("New")),
            arrival(1, email: 1, blob: 9, keywords: [0]), arrival(2, email: 2, blob: 9, keywords: [0, 1]),
        ])),
    Row(
        "an import keeps its UIDs", given: [message(4)], bodies: [body(9)],
        when: append(NewMessage(body: 0, uid: UID(5)), NewMessage(body: 0, uid: UID(50)), NewMessage(body: 0)),
        then: .events([
            arrival(5, email: 5, blob: 9), arrival(50, email: 6, blob: 9), arrival(51, email: 7, blob: 9),
        ])),
    Row(
        "a UID below UIDNEXT", given: [message(4)], bodies: [body(9)], when: append(NewMessage(body: 0, uid: UID(4))),
        then: .refused(.uidNotAscending)),
    Row(
        "no UID is left", given: [highUID], bodies: [body(9)], when: append(NewMessage(body: 0)),
        then: .refused(.uidsExhausted)),
    Row(
        "a mailbox that is not there", bodies: [body(9)], when: append(NewMessage(body: 0), to: MailboxID(9)),
        then: .refused(.noSuchMailbox)),
    Row(
        "a disabled account receives nothing", given: [.accountStatusSet(.disabled)], bodies: [body(9)],
        when: append(NewMessage(body: 0)), then: .refused(.accountDisabled)),
    Row(
        "the last octet of a quota", given: [.quotaSet(Quota(bytes: 200)), message(1)], bodies: [body(9)],
        when: append(NewMessage(body: 0)), then: .events([arrival(2, email: 2, blob: 9)])),
    Row(
        "REPLACE: the old goes with the coming of the new, and its room counts as free",
        given: [.quotaSet(Quota(bytes: 100)), message(1)], bodies: [body(9)],
        when: replace(uids(1), by: NewMessage(body: 0)),
        then: .events([arrival(2, email: 2, blob: 9), expunged(uids(1))])),
    Row(
        "REPLACE of what is gone brings nothing", given: [message(1), expunged(uids(1))], bodies: [body(9)],
        when: replace(uids(1), by: NewMessage(body: 0)), then: .refused(.noSuchMessage)),
    Row(
        "REPLACE that is still over the quota takes nothing away",
        given: [.quotaSet(Quota(bytes: 199)), message(1), message(2)], bodies: [body(9)],
        when: replace(uids(1), by: NewMessage(body: 0)), then: .refused(.overQuota)),
    Row(
        "one octet over a quota", given: [.quotaSet(Quota(bytes: 199)), message(1)], bodies: [body(9)],
        when: append(NewMessage(body: 0)), then: .refused(.overQuota)),
    Row(
        "the last message of a quota", given: [.quotaSet(Quota(messages: 2)), message(1)], bodies: [body(9)],
        when: append(NewMessage(body: 0)), then: .events([arrival(2, email: 2, blob: 9)])),
    Row(
        "one message over a quota", given: [.quotaSet(Quota(messages: 2)), message(1)], bodies: [body(9)],
        when: append(NewMessage(body: 0), NewMessage(body: 0)), then: .refused(.overQuota)),
    Row(
        "an expunged message no longer counts", given: [.quotaSet(Quota(messages: 1)), message(1), expunged(uids(1))],
        bodies: [body(9)], when: append(NewMessage(body: 0)), then: .events([arrival(2, email: 2, blob: 9)])),
    Row(
        "a message has so many keywords", bodies: [body(9)],
        when: append(NewMessage(body: 0, keywords: (0...128).map { keyword("k\($0)") })),
        then: .refused(.tooManyKeywords)),
    Row(
        "an account has so many keywords", given: (0..<4096).map { .keywordDefined(KeywordID($0), keyword("k\($0)")) },
        bodies: [body(9)], when: append(NewMessage(body: 0, keywords: [keyword("one-more")])),
        then: .refused(.tooManyKeywords)),
    Row(
        "a UIDL has 70 octets at most (RFC 1939 section 7)", bodies: [body(9)],
        when: append(NewMessage(body: 0, uidl: String(repeating: "u", count: 71))), then: .refused(.limit(""))),
    Row(
        "a command brings so many messages", bodies: [body(9)],
        when: .append(
            AppendMessages(
                mailbox: inbox, messages: Array(repeating: NewMessage(body: 0), count: 1001), origin: .append)),
        then: .refused(.limit(""))),
]

let flagRows: [Row] = [
    Row(
        "only what changes is in the event", given: three, when: flags(.add, .seen),
        then: .eventsAnswering(
            [changed(uids(1, 3), add: .seen)], .flags(changed: uids(1, 3), modified: UIDSet()))),
    Row("nothing to add", given: three, when: flags(.add, .seen, uids(2)), then: .events([])),
    Row(
        "flags are removed", given: three, when: flags(.remove, .deleted),
        then: .events([changed(uids(3), remove: .deleted)])),
    Row(
        "an unknown keyword is removed", given: three, when: flags(.remove, [], keywords: ["x"]), then: .events([])),
    Row(
        "a keyword that no message takes is not defined", given: three, when: flags(.add, [], uids(9), keywords: ["x"]),
        then: .events([])),
    Row(
        "a replacement is resolved to what it does", given: three, when: flags(.replace, [.flagged]),
        then: .events([changed(uids(1...3), add: .flagged, remove: [.seen, .deleted])])),
    Row(
        "a replacement by what is there", given: three, when: flags(.replace, [.seen], uids(2)), then: .events([])),
    // RFC 7162 section 3.1.3: a message whose mod-sequence is greater is left alone and reported.
    Row(
        "UNCHANGEDSINCE leaves alone what changed later", given: three, when: flags(.add, .flagged, unchangedSince: 7),
        then: .eventsAnswering(
            [changed(uids(1...2), add: .flagged)], .flags(changed: uids(1...2), modified: uids(3)))),
    Row(
        "UNCHANGEDSINCE 0 always fails", given: three, when: flags(.add, .flagged, unchangedSince: 0),
        then: .eventsAnswering([], .flags(changed: UIDSet(), modified: uids(1...3)))),
    Row(
        "UNCHANGEDSINCE reports what would not have changed, too", given: three,
        when: flags(.add, .seen, uids(2), unchangedSince: 6),
        then: .eventsAnswering([], .flags(changed: UIDSet(), modified: uids(2)))),
    Row(
        "too many keywords in a command", given: three, when: flags(.add, [], keywords: (0...128).map { "k\($0)" }),
        then: .refused(.tooManyKeywords)),
    Row(
        "flags in no mailbox", given: [.mailboxDeleted(MailboxDeleted(mailbox: inbox, finalUIDNext: 1, messages: 0))],
        when: flags(.add, .seen), then: .refused(.noSuchMailbox)),
]

let moveRows: [Row] = [
    Row(
        "only the deleted go", given: three, when: expunge(everything),
        then: .eventsAnswering([expunged(uids(3))], .expunged(uids(3)))),
    Row(
        "all that are named go", given: three, when: expunge(uids(2...9), onlyDeleted: false),
        then: .events([expunged(uids(2...3))])),
    Row(
        "nothing is marked", given: [message(1)], when: expunge(everything),
        then: .eventsAnswering([], .expunged(UIDSet()))),
    Row(
        "a copy", given: three + [message(5, in: archive)], when: copy(uids(1, 3)),
        then: .eventsAnswering(
            [.messagesCopied(copied(uids(1, 3), first: 6))],
            .copied(UIDValidity(firstValidity + 2), source: uids(1, 3), destination: uids(6...7)))),
    Row(
        "a copy within one mailbox", given: three, when: copy(everything, to: inbox),
        then: .events([.messagesCopied(copied(uids(1...3), to: inbox, first: 4))])),
    Row(
        "messages that are gone are left out of a copy", given: three + [expunged(uids(2))], when: copy(uids(1...9)),
        then: .events([.messagesCopied(copied(uids(1, 3), first: 1))])),
    Row(
        "a copy of nothing", given: three, when: copy(uids(8...9)),
        then: .eventsAnswering([], .copied(UIDValidity(firstValidity + 2), source: UIDSet(), destination: UIDSet()))),
    Row(
        "a copy over quota", given: three + [.quotaSet(Quota(bytes: 399))], when: copy(uids(1)),
        then: .refused(.overQuota)),
    Row(
        "a copy up to the quota", given: three + [.quotaSet(Quota(bytes: 400))], when: copy(uids(1)),
        then: .events([.messagesCopied(copied(uids(1), first: 1))])),
    Row(
        "a move needs no quota", given: three + [.quotaSet(Quota(bytes: 300, messages: 3))], when: move(uids(1)),
        then: .events([.messagesMoved(copied(uids(1), first: 1))])),
    Row("a copy to no mailbox", given: three, when: copy(uids(1), to: MailboxID(9)), then: .refused(.noSuchMailbox)),
    Row(
        "a copy to where no UID is left", given: [message(1), message(.max - 1, in: archive)], when: copy(uids(1)),
        then: .refused(.uidsExhausted)),
    Row(
        "an expunged message is restored", given: three + [expunged(uids(3))], when: restore(uids(3)),
        then: .eventsAnswering(
            [.messageRestored(MessageRestored(mailbox: archive, uid: UID(1), fromMailbox: inbox, fromUID: UID(3)))],
            .appended(UIDValidity(firstValidity + 2), uids(1)))),
    Row(
        "what lives is not restored", given: three + [expunged(uids(3))], when: restore(uids(2, 3)),
        then: .refused(.notRestorable(uids(2)))),
    Row(
        "what was moved away is not restored", given: three + [.messagesMoved(copied(uids(1), first: 1))],
        when: restore(uids(1)), then: .refused(.notRestorable(uids(1)))),
    Row(
        "a restore over quota", given: [.quotaSet(Quota(messages: 1)), message(1), expunged(uids(1)), message(2)],
        when: restore(uids(1)), then: .refused(.overQuota)),
    Row("a restore names so many messages", given: three, when: restore(everything), then: .refused(.limit(""))),
    Row(
        "a restore to where no UID is left", given: [message(1), expunged(uids(1)), message(.max - 1, in: archive)],
        when: restore(uids(1)), then: .refused(.uidsExhausted)),
    Row("nothing is due yet", given: three + [expunged(uids(3))], when: .collect(inbox, uids(3)), then: .events([])),
    Row(
        "without days of grace all is due at once",
        given: [.retentionPolicySet(Retention(undeleteDays: 0))] + three + [expunged(uids(3))],
        when: .collect(inbox, uids(2...3)),
        then: .eventsAnswering(
            [.messagesCollected(MessagesCollected(mailbox: inbox, uids: uids(3)))], .expunged(uids(3)))),
    Row("a collection names so many messages", when: .collect(inbox, everything), then: .refused(.limit(""))),
]

let messageRows = appendRows + flagRows + moveRows

@Suite struct MessageTests {
    @Test(arguments: messageRows) func decision(_ row: Row) throws { try row.check() }

    @Test func aBodyThatDidNotComeIsAFault() throws {
        let world = try World()
        #expect(throws: DecideError.self) { try world.decide(append(NewMessage(body: 1)), alice, [body(9)]) }
    }

    /// RFC 7162: every change gives the messages it touches the position of its event.
    @Test func modseqIsThePositionOfTheLastEventThatTouchedTheMessage() throws {
        let world = try World()
        try world.fold(three)
        try world.run(flags(.add, .flagged, uids(1, 3)))
        try world.run(flags(.add, .flagged, uids(1)))
        let positions = (1...3).map { world.state.message(alice, inbox, UID($0))?.modSeq }
        #expect(positions == [ModSeq(9), ModSeq(7), ModSeq(9)])
        #expect(world.state.mailbox(alice, inbox)?.highestModSeq == ModSeq(9))
    }

    @Test func moveWithinOneMailboxGivesNewUIDsInOneChange() throws {
        let world = try World()
        try world.fold(three)
        let before = try #require(world.state.head(alice))
        try world.run(move(everything, to: inbox))
        #expect(world.live() == uids(4...6))
        let row = try #require(world.state.mailbox(alice, inbox))
        #expect([row.exists, row.unseen, row.deleted, row.uidNext] == [3, 2, 1, 7])
        #expect(world.state.head(alice)?.used == before.used)
        var changes: [ChangeRow] = []
        world.state.changes(alice, inbox, after: before.aseq) { _, change in
            changes.append(change)
            return true
        }
        #expect(changes == [ChangeRow(arrived: uids(4...6), gone: uids(1...3))])
        #expect((1...3).map { world.state.references(BlobNumber($0)) } == [1, 1, 1])
        #expect(world.state.message(alice, inbox, UID(6))?.email == EmailID(3))
    }

    @Test func copyCountsReferencesAndCollectionReturnsThem() throws {
        let world = try World()
        try world.fold([.retentionPolicySet(Retention(undeleteDays: 0)), message(1)])
        try world.run(copy(uids(1)))
        #expect(world.state.references(BlobNumber(1)) == 2)
        try world.run(expunge(uids(1), onlyDeleted: false))
        #expect(world.state.references(BlobNumber(1)) == 2)
        try world.run(.collect(inbox, uids(1)))
        #expect(world.state.references(BlobNumber(1)) == 1)
        var due = 0
        world.state.collectable(through: .max) { _, _, _, _ in
            due += 1
            return true
        }
        #expect(due == 0)
    }

    @Test func messagesOfADeletedMailboxAreRestoredElsewhere() throws {
        let world = try World()
        try world.fold([message(1, flags: .seen), message(2), box(3, "Old")])
        try world.run(move(uids(1...2), to: MailboxID(3)))
        try world.run(.deleteMailbox(MailboxID(3)))
        #expect(world.state.head(alice)?.used.messages == 0)
        try world.run(restore(uids(1), from: MailboxID(3)))
        #expect(world.live(archive) == uids(1))
        #expect(world.state.message(alice, archive, UID(1))?.email == EmailID(1))
        #expect(world.state.head(alice)?.used.messages == 1)
        world.now = Timestamp(seconds: noon.seconds + 15 * 86400)
        #expect(try world.run(.collect(MailboxID(3), UIDSet())) == .expunged(uids(2)))
        #expect(world.state.references(BlobNumber(1)) == 1)
        #expect(world.state.references(BlobNumber(2)) == 0)
    }

    @Test func largeOperationsAreCutIntoEventsOf4096() throws {
        let world = try World()
        try world.fold((1...5000).map { message($0) })
        let flagged = try world.decide(flags(.add, .flagged))
        #expect(flagged.events == [changed(uids(1...4096), add: .flagged), changed(uids(4097...5000), add: .flagged)])
        let moved = try world.decide(move(everything))
        #expect(
            moved.events == [
                .messagesMoved(copied(uids(1...4096), first: 1)),
                .messagesMoved(copied(uids(4097...5000), first: 4097)),
            ])
        #expect(
            moved.result == .copied(UIDValidity(firstValidity + 2), source: uids(1...5000), destination: uids(1...5000))
        )
        let gone = try world.decide(expunge(everything, onlyDeleted: false))
        #expect(gone.events == [expunged(uids(1...4096)), expunged(uids(4097...5000))])
        try world.run(.deleteMailbox(archive))
        try world.fold(moved.events.isEmpty ? [] : [box(3, "Big")])
        try world.run(move(everything, to: MailboxID(3)))
        try world.run(.deleteMailbox(MailboxID(3)))
        world.now = Timestamp(seconds: noon.seconds + 15 * 86400)
        let first = MessagesCollected(mailbox: MailboxID(3), uids: uids(1...4096))
        #expect(try world.decide(.collect(MailboxID(3), UIDSet())).events == [.messagesCollected(first)])
        try world.run(.collect(MailboxID(3), UIDSet()))
        let last = MessagesCollected(mailbox: MailboxID(3), uids: uids(4097...5000), lastOfMailbox: true)
        #expect(try world.decide(.collect(MailboxID(3), UIDSet())).events == [.messagesCollected(last)])
    }

    /// The limit is on what is copied, not on the width of the set.
    @Test func copyIsLimitedByWhatItCopies() throws {
        let world = try World()
        try world.fold([message(1)])
        let row = try #require(world.state.message(alice, inbox, UID(1)))
        for uid in 2...100_000 { try world.state.setMessage(alice, inbox, UID(UInt32(uid)), row, isNew: true) }
        #expect(try world.refusal(copy(everything)) == nil)
        try world.state.setMessage(alice, inbox, UID(100_001), row, isNew: true)
        guard case .limit? = try world.refusal(copy(everything)) else {
            Issue.record("100,001 messages were copied")
            return
        }
        #expect(try world.refusal(move(everything)) == nil)
    }

    @Test func keywordsBeyond63AreKeptBesideTheMessage() throws {
        let world = try World()
        try world.fold((0..<70).map { .keywordDefined(KeywordID($0), keyword("k\($0)")) })
        try world.fold([message(1, keywords: [3, 62, 63, 69]), message(2)])
        #expect(try world.keywords(1) == [3, 62, 63, 69])
        try world.run(flags(.add, [], uids(2), keywords: ["k62", "k65"]))
        #expect(try world.keywords(2) == [62, 65])
        try world.run(flags(.remove, [], uids(1), keywords: ["k63", "k3"]))
        #expect(try world.keywords(1) == [62, 69])
        try world.run(copy(uids(1)))
        #expect(try world.keywords(1, archive) == [62, 69])
        try world.run(flags(.replace, [], uids(1), keywords: ["k1"]))
        #expect(try world.keywords(1) == [1])
        #expect(world.state.spilledKeywords(alice, inbox, UID(1)).isEmpty)
        try world.run(move(uids(2)))
        #expect(try world.keywords(2, archive) == [62, 65])
        world.now = Timestamp(seconds: noon.seconds + 15 * 86400)
        try world.run(.collect(inbox, uids(2)))
        #expect(world.state.spilledKeywords(alice, inbox, UID(2)).isEmpty)
        try world.run(.expunge(Expunge(mailbox: archive, uids: uids(1), onlyDeleted: false, reason: .expunge)))
        try world.run(.restore(RestoreMessages(fromMailbox: archive, uids: uids(1), mailbox: inbox)))
        #expect(try world.keywords(3) == [62, 69])
    }
}
