// Mailbox commands as table rows, and what a sequence of them must keep: rising UIDVALIDITY, the name tree, quota.
import MailCore
import MailTypes
import Testing

private func renamed(_ mailbox: UInt32, _ parent: UInt32, _ leaf: String) -> Event {
    .mailboxRenamed(MailboxRenamed(mailbox: MailboxID(mailbox), newParent: MailboxID(parent), newLeaf: leaf))
}

private func create(_ name: String, validity: UInt32? = nil, use: SpecialUse? = nil) -> AccountCommand {
    .createMailbox(
        NewMailbox(name: mailboxName(name), specialUse: use, uidValidity: validity.map { UIDValidity($0) }))
}

/// `A` 3, `A/b` 4.
private let tree = [box(3, "A"), box(4, "b", in: 3)]

let mailboxRows: [Row] = [
    Row(
        "parents are created too, UIDVALIDITY rising", given: tree, when: create("A/b/c/d"),
        then: .eventsAnswering(
            [
                box(5, "c", in: 4, validity: 1_787_400_000), box(6, "d", in: 5, validity: 1_787_400_001),
            ], .mailbox(MailboxID(6), UIDValidity(1_787_400_001)))),
    Row(
        "a UIDVALIDITY above the clock still rises", given: [box(3, "A", validity: 1_900_000_000)], when: create("B"),
        then: .events([box(4, "B", validity: 1_900_000_001)])),
    Row("a name that exists", when: create("Archive"), then: .refused(.mailboxExists)),
    Row("INBOX has no case", when: create("inbox"), then: .refused(.mailboxExists)),
    Row(
        "only the letters of US-ASCII make INBOX", given: tree, when: create("\u{131}nbox"),
        then: .events([box(5, "\u{131}nbox", validity: 1_787_400_000)])),
    Row(
        "INBOX below another name is a name like others", when: create("Archive/INBOX"),
        then: .events([box(3, "INBOX", in: 2, validity: 1_787_400_000)])),
    Row(
        "two mailboxes of one special use", given: [box(3, "Sent", use: .sent)], when: create("Gesendet", use: .sent),
        then: .refused(.specialUseTaken)),
    Row(
        "an imported UIDVALIDITY above all", when: create("Old", validity: 1_787_000_003),
        then: .events([box(3, "Old", validity: 1_787_000_003)])),
    Row(
        "an imported UIDVALIDITY that was used", when: create("Old", validity: 1_787_000_002),
        then: .refused(.uidValidityNotAscending)),
    Row(
        "no UIDVALIDITY is left", given: [box(3, "A", validity: .max)], when: create("B"),
        then: .refused(.uidValidityNotAscending)),
    Row(
        "an account has so many mailboxes", given: (3...10_000).map { box($0, "m\($0)") }, when: create("one more"),
        then: .refused(.limit(""))),
    Row("INBOX stays", when: .deleteMailbox(inbox), then: .refused(.inbox)),
    Row("a mailbox with children stays", given: tree, when: .deleteMailbox(MailboxID(3)), then: .refused(.hasChildren)),
    Row("a mailbox that is not there", when: .deleteMailbox(MailboxID(9)), then: .refused(.noSuchMailbox)),
    Row(
        "deletion says what was there", given: [message(7, in: archive)], when: .deleteMailbox(archive),
        then: .events([.mailboxDeleted(MailboxDeleted(mailbox: archive, finalUIDNext: 8, messages: 1))])),
    Row(
        "a rename keeps identifier and UIDVALIDITY", given: tree,
        when: .renameMailbox(archive, to: mailboxName("A/Old")),
        then: .eventsAnswering([renamed(2, 3, "Old")], .mailbox(archive, UIDValidity(firstValidity + 2)))),
    Row(
        "a rename creates the names above", given: tree, when: .renameMailbox(archive, to: mailboxName("X/Y/Old")),
        then: .events([
            box(5, "X", validity: 1_787_400_000), box(6, "Y", in: 5, validity: 1_787_400_001), renamed(2, 6, "Old"),
        ])),
    Row(
        "a rename to a name that exists", given: tree, when: .renameMailbox(archive, to: mailboxName("A")),
        then: .refused(.mailboxExists)),
    Row(
        "a rename to itself", when: .renameMailbox(archive, to: mailboxName("Archive")),
        then: .refused(.mailboxExists)),
    Row(
        "directly below itself", given: tree, when: .renameMailbox(MailboxID(3), to: mailboxName("A/x")),
        then: .refused(.invalidName(""))),
    Row(
        "below itself, with a new name between", given: tree,
        when: .renameMailbox(MailboxID(3), to: mailboxName("A/x/y")), then: .refused(.invalidName(""))),
    Row(
        "below its own child", given: tree, when: .renameMailbox(MailboxID(3), to: mailboxName("A/b/x")),
        then: .refused(.invalidName(""))),
    Row(
        "below its own child, with new names between", given: tree,
        when: .renameMailbox(MailboxID(3), to: mailboxName("A/b/x/y/z")), then: .refused(.invalidName(""))),
    Row(
        "a child may move up beside its parent", given: tree, when: .renameMailbox(MailboxID(4), to: mailboxName("b")),
        then: .events([renamed(4, 0, "b")])),
    Row(
        "what lies below may not become too deep", given: tree,
        when: .renameMailbox(
            MailboxID(3), to: mailboxName(Array(repeating: "x", count: 31).joined(separator: "/") + "/A")),
        then: .refused(.invalidName(""))),
    Row("INBOX is not renamed", when: .renameMailbox(inbox, to: mailboxName("Old")), then: .refused(.inbox)),
    Row("nothing becomes INBOX", when: .renameMailbox(archive, to: .inbox), then: .refused(.inbox)),
    Row(
        "a subscription needs no mailbox", when: .setSubscription(mailboxName("Gone"), true),
        then: .events([.subscriptionChanged(name: "Gone", on: true)])),
    Row(
        "a subscription twice", given: [.subscriptionChanged(name: "Gone", on: true)],
        when: .setSubscription(mailboxName("Gone"), true), then: .events([])),
    Row("an end of no subscription", when: .setSubscription(mailboxName("Gone"), false), then: .events([])),
    Row(
        "an account has so many subscriptions",
        given: (1...20_000).map { .subscriptionChanged(name: "s\($0)", on: true) },
        when: .setSubscription(mailboxName("one more"), true), then: .refused(.limit(""))),
    Row(
        "a special use", when: .setSpecialUse(archive, .archive), then: .events([.specialUseSet(archive, .archive)])),
    Row(
        "a special use that another has", given: [box(3, "Sent", use: .sent)], when: .setSpecialUse(archive, .sent),
        then: .refused(.specialUseTaken)),
    Row(
        "a special use is given up", given: [box(3, "Sent", use: .sent)], when: .setSpecialUse(MailboxID(3), nil),
        then: .events([.specialUseSet(MailboxID(3), nil)])),
    Row(
        "UIDVALIDITY is raised", when: .bumpUIDValidity(archive),
        then: .eventsAnswering(
            [.uidValidityBumped(archive, UIDValidity(1_787_400_000))],
            .mailbox(archive, UIDValidity(1_787_400_000)))),
    Row(
        "a mailbox that has given no UID takes an import's UIDVALIDITY",
        when: .adoptUIDValidity(archive, UIDValidity(5)),
        then: .eventsAnswering([.uidValidityBumped(archive, UIDValidity(5))], .mailbox(archive, UIDValidity(5)))),
    Row(
        "but none that another has", given: [box(3, "A", validity: 1_900_000_000)],
        when: .adoptUIDValidity(archive, UIDValidity(1_900_000_000)), then: .refused(.uidValidityNotAscending)),
    Row(
        "UIDVALIDITY cannot be raised", given: [box(3, "A", validity: .max)], when: .bumpUIDValidity(archive),
        then: .refused(.uidValidityNotAscending)),
    Row(
        "UIDNEXT is raised to that of an import", given: [message(1)], when: .raiseUIDNext(inbox, to: UID(50)),
        then: .events([.uidNextRaised(inbox, to: UID(50))])),
    Row(
        "but never lowered", given: [message(1), message(9)], when: .raiseUIDNext(inbox, to: UID(9)), then: .events([])),
    Row(
        "nor raised to what it is", given: [message(1), .uidNextRaised(inbox, to: UID(50))],
        when: .raiseUIDNext(inbox, to: UID(50)), then: .events([])),
    Row(
        "as far as leaves UIDs enough", when: .raiseUIDNext(inbox, to: UID(.max - 1 << 24)),
        then: .events([.uidNextRaised(inbox, to: UID(.max - 1 << 24))])),
    Row(
        "and no further", when: .raiseUIDNext(inbox, to: UID(.max - 1 << 24 + 1)), then: .refused(.uidsExhausted)),
    Row(
        "a mailbox that is not there", when: .raiseUIDNext(MailboxID(99), to: UID(50)),
        then: .refused(.noSuchMailbox)),
    Row(
        "recent messages are claimed", given: [message(1), message(2)], when: .claimRecent(inbox, upTo: UID(2)),
        then: .events([.recentClaimed(inbox, upTo: UID(2))])),
    Row(
        "and not twice", given: [message(1), .recentClaimed(inbox, upTo: UID(1))],
        when: .claimRecent(inbox, upTo: UID(1)), then: .events([])),
]

@Suite struct MailboxTests {
    @Test(arguments: mailboxRows) func decision(_ row: Row) throws { try row.check() }

    /// RFC 9051 section 2.3.1.1: a name that comes back has a higher UIDVALIDITY, even within one second.
    @Test func validityRisesWhenANameComesBackInTheSameSecond() throws {
        let world = try World()
        var last = UIDValidity(0)
        for _ in 1...5 {
            guard case .mailbox(let id, let validity) = try world.run(create("Drafts")) else {
                Issue.record("no mailbox came back")
                return
            }
            #expect(validity > last)
            last = validity
            try world.run(.deleteMailbox(id))
        }
    }

    @Test func renamedTreeIsFoundUnderItsNewName() throws {
        let world = try World()
        try world.fold(tree)
        try world.run(.renameMailbox(MailboxID(3), to: mailboxName("X/Z")))
        #expect(try world.state.mailboxID(alice, named: mailboxName("X/Z/b")) == MailboxID(4))
        #expect(try world.state.mailboxID(alice, named: mailboxName("A")) == nil)
        #expect(try world.state.name(alice, of: MailboxID(4)) == mailboxName("X/Z/b"))
    }

    @Test func deletionReturnsTheQuotaAndKeepsTheMessages() throws {
        let world = try World()
        try world.fold([message(1, in: archive, size: 70), message(2, size: 30)])
        try world.run(.deleteMailbox(archive))
        #expect(world.state.head(alice)?.used == Quota(bytes: 30, messages: 1))
        #expect(world.state.references(BlobNumber(1)) == 1)
        #expect(world.state.tombstone(alice, archive)?.row.exists == 1)
    }
}
