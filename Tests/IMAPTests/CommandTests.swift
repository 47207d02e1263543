// What a client may write, and what the handler gets of it. Each text is fed whole, octet by octet and split at every
// octet; each must give the same.
import IMAP
import MailTypes
import Testing

struct CommandFixture: Sendable, CustomTestStringConvertible {
    let text: String
    let command: IMAPCommand
    let enabled: String

    init(_ text: String, _ command: IMAPCommand, enabling enabled: String = "") {
        self.text = text
        self.command = command
        self.enabled = enabled
    }

    var testDescription: String { text }
}

func set(_ elements: (UInt32, UInt32)...) -> SequenceSet {
    SequenceSet(elements.map { SequenceSet.Element($0.0, $0.1) })
}

func name(_ text: String) -> MailboxName { MailboxName(text)! }

private func fetch(_ text: String, _ attributes: FetchAttribute...) -> CommandFixture {
    CommandFixture("FETCH 1 \(text)", .fetch(FetchRequest(isUID: false, set: set((1, 1)), attributes: attributes)))
}

private func search(_ text: String, _ key: SearchKey) -> CommandFixture {
    CommandFixture("SEARCH \(text)", .search(SearchRequest(isUID: false, key: key)))
}

private func octets(_ text: String) -> [UInt8] { Array(text.utf8) }

private func day(_ year: Int, _ month: Int, _ day: Int) -> CalendarDay {
    CalendarDay(year: year, month: month, day: day)!
}

let plainFixtures: [CommandFixture] = [
    CommandFixture("NOOP", .noop),
    CommandFixture("noop", .noop),
    CommandFixture("CHECK", .noop),
    CommandFixture("CLOSE", .close),
    CommandFixture("UNSELECT", .unselect),
    CommandFixture("EXPUNGE", .expunge(nil)),
    CommandFixture("UID EXPUNGE 3000:3002", .expunge(set((3000, 3002)))),
    CommandFixture("uid expunge $", .expunge(.saved)),
    CommandFixture("UNAUTHENTICATE", .unauthenticate),
    CommandFixture("COPY 2:4 MEETING", .copy(set((2, 4)), name("MEETING"), isUID: false)),
    CommandFixture("UID MOVE 42:69,* foo", .move(set((42, 69), (0, 0)), name("foo"), isUID: true)),
    CommandFixture("DELETE foo/bar", .delete(name("foo/bar"))),
    CommandFixture("CREATE owatagusiam/", .create(name("owatagusiam"), uses: [])),
    CommandFixture("CREATE MySent (USE (\\Sent \\drafts))", .create(name("MySent"), uses: [.sent, .drafts])),
    CommandFixture("CREATE x (USE ())", .create(name("x"), uses: [])),
    CommandFixture("RENAME inbox old-mail", .rename(.inbox, to: name("old-mail"))),
    CommandFixture("SUBSCRIBE \"a \\\"b\\\\\"", .subscribe(name("a \"b\\"))),
    CommandFixture("UNSUBSCRIBE {7}\r\n#news.x", .unsubscribe(name("#news.x"))),
    // RFC 3501 section 5.1.3.
    CommandFixture("SUBSCRIBE \"~peter/mail/&U,BTFw-/&ZeVnLIqe-\"", .subscribe(name("~peter/mail/台北/日本語"))),
    CommandFixture("SUBSCRIBE a&-b", .subscribe(name("a&b"))),
    CommandFixture("SUBSCRIBE \"a&-b ü\"", .subscribe(name("a&-b ü")), enabling: "IMAP4rev2"),
    CommandFixture("SUBSCRIBE {3+}\r\nü]", .subscribe(name("ü]")), enabling: "UTF8=ACCEPT"),
    CommandFixture("STATUS blurdybloop (UIDNEXT MESSAGES)", .status(name("blurdybloop"), [.uidNext, .messages])),
    CommandFixture(
        "STATUS x (unseen DELETED SIZE RECENT APPENDLIMIT MAILBOXID DELETED-STORAGE UIDVALIDITY SIZE)",
        .status(
            name("x"),
            [.unseen, .deleted, .size, .recent, .appendLimit, .mailboxID, .deletedStorage, .uidValidity])),
    CommandFixture("GETQUOTA \"\"", .getQuota(root: "")),
    CommandFixture("GETQUOTAROOT INBOX", .getQuotaRoot(.inbox)),
    CommandFixture(
        "SETQUOTA \"#user/alice\" (STORAGE 510 message 9223372036854775807)",
        .setQuota(root: "#user/alice", [QuotaLimit("STORAGE", 510), QuotaLimit("MESSAGE", UInt64(Int64.max))])),
    CommandFixture("SETQUOTA \"\" ()", .setQuota(root: "", [])),
]

let selectFixtures: [CommandFixture] = [
    CommandFixture("SELECT iNbOx", .select(SelectRequest(mailbox: .inbox, isReadOnly: false))),
    CommandFixture("EXAMINE \"INBOX\"", .select(SelectRequest(mailbox: .inbox, isReadOnly: true))),
    CommandFixture(
        "SELECT INBOX (CONDSTORE)", .select(SelectRequest(mailbox: .inbox, isReadOnly: false, condstore: true))),
    // RFC 7162 section 3.2.5.
    CommandFixture(
        "SELECT INBOX (QRESYNC (67890007 20050715194045000))",
        .select(
            SelectRequest(
                mailbox: .inbox, isReadOnly: false,
                qresync: ResyncParameters(uidValidity: UIDValidity(67_890_007), modSeq: 20_050_715_194_045_000))),
        enabling: "QRESYNC"),
    CommandFixture(
        "SELECT INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541))",
        .select(
            SelectRequest(
                mailbox: .inbox, isReadOnly: false,
                qresync: ResyncParameters(
                    uidValidity: UIDValidity(67_890_007), modSeq: 90_060_115_194_045_000,
                    knownUIDs: UIDSet(validating: [41...211, 214...541])))),
        enabling: "QRESYNC"),
    CommandFixture(
        "EXAMINE x (CONDSTORE QRESYNC (7 8 9 (1,3:4 5,7:8)))",
        .select(
            SelectRequest(
                mailbox: name("x"), isReadOnly: true, condstore: true,
                qresync: ResyncParameters(
                    uidValidity: UIDValidity(7), modSeq: 8, knownUIDs: UIDSet(UID(9)),
                    match: .init(sequenceNumbers: [1...1, 3...4], uids: UIDSet(validating: [5...5, 7...8])!)))),
        enabling: "QRESYNC"),
    CommandFixture(
        "SELECT x (QRESYNC (7 8 (1 5)))",
        .select(
            SelectRequest(
                mailbox: name("x"), isReadOnly: false,
                qresync: ResyncParameters(
                    uidValidity: UIDValidity(7), modSeq: 8,
                    match: .init(sequenceNumbers: [1...1], uids: UIDSet(UID(5)))))),
        enabling: "QRESYNC"),
]

let listFixtures: [CommandFixture] = [
    CommandFixture("LIST \"\" \"\"", .list(ListRequest(reference: "", patterns: [""]))),
    CommandFixture("LIST \"\" %", .list(ListRequest(reference: "", patterns: ["%"]))),
    CommandFixture("LIST /usr/staff/jones *]", .list(ListRequest(reference: "/usr/staff/jones", patterns: ["*]"]))),
    CommandFixture(
        "LSUB \"#news.\" \"comp.mail.*\"",
        .list(ListRequest(isLsub: true, reference: "#news.", patterns: ["comp.mail.*"]))),
    CommandFixture("LIST \"\" \"&ZeVnLIqe-/%\"", .list(ListRequest(reference: "", patterns: ["日本語/%"]))),
    // RFC 5258 section 5.
    CommandFixture(
        "LIST (SUBSCRIBED) \"\" \"*\"",
        .list(ListRequest(reference: "", patterns: ["*"], selection: .subscribed, isExtended: true))),
    CommandFixture("LIST () \"\" x", .list(ListRequest(reference: "", patterns: ["x"], isExtended: true))),
    CommandFixture(
        "LIST (REMOTE SPECIAL-USE) \"\" (\"INBOX\" Drafts {4}\r\nSent) RETURN (CHILDREN)",
        .list(
            ListRequest(
                reference: "", patterns: ["INBOX", "Drafts", "Sent"], selection: [.remote, .specialUse],
                returns: .children, isExtended: true))),
    CommandFixture(
        "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" % RETURN (SUBSCRIBED SPECIAL-USE STATUS (MESSAGES UNSEEN))",
        .list(
            ListRequest(
                reference: "", patterns: ["%"], selection: [.subscribed, .recursiveMatch],
                returns: [.subscribed, .specialUse], status: [.messages, .unseen], isExtended: true))),
    CommandFixture("LIST \"\" * RETURN ()", .list(ListRequest(reference: "", patterns: ["*"], isExtended: true))),
]

let fetchFixtures: [CommandFixture] = [
    fetch("FLAGS", .flags),
    fetch("(FLAGS flags UID)", .flags, .uid),
    fetch("FAST", .flags, .internalDate, .rfc822Size),
    fetch("ALL", .flags, .internalDate, .rfc822Size, .envelope),
    fetch("full", .flags, .internalDate, .rfc822Size, .envelope, .bodyStructure(extended: false)),
    fetch("(BODY BODYSTRUCTURE)", .bodyStructure(extended: false), .bodyStructure(extended: true)),
    fetch("BODY[]", .body(BodySection())),
    fetch("BODY[]<0.100>", .body(BodySection(partial: PartialRange(offset: 0, count: 100)))),
    fetch("BODY.PEEK[HEADER]", .body(BodySection(.header, isPeek: true))),
    fetch("BODY[TEXT]<7.1>", .body(BodySection(.text, partial: PartialRange(offset: 7, count: 1)))),
    fetch("BODY[4.2.2.1]", .body(BodySection(part: [4, 2, 2, 1]))),
    fetch("BODY[1.MIME]", .body(BodySection(part: [1], .mime))),
    fetch("BODY[4.2.HEADER]", .body(BodySection(part: [4, 2], .header))),
    fetch("BODY[HEADER.FIELDS (DATE FROM)]", .body(BodySection(.headerFields(["DATE", "FROM"])))),
    fetch(
        "BODY.PEEK[3.HEADER.FIELDS.NOT (\"x]y\" {5}\r\nX-Foo)]",
        .body(BodySection(part: [3], .headerFieldsNot(["x]y", "X-Foo"]), isPeek: true))),
    fetch("(RFC822)", .body(BodySection(name: .rfc822))),
    fetch("RFC822.HEADER", .body(BodySection(.header, isPeek: true, name: .rfc822Header))),
    fetch("RFC822.TEXT", .body(BodySection(.text, name: .rfc822Text))),
    fetch("(RFC822.SIZE ENVELOPE INTERNALDATE)", .rfc822Size, .envelope, .internalDate),
    fetch("BINARY[1]<5.10>", .binary(BinarySection(part: [1], partial: PartialRange(offset: 5, count: 10)))),
    fetch("BINARY.PEEK[]", .binary(BinarySection(part: [], isPeek: true))),
    fetch("BINARY.SIZE[2.3]", .binarySize(part: [2, 3])),
    fetch("(MODSEQ EMAILID THREADID SAVEDATE PREVIEW)", .modSeq, .emailID, .threadID, .saveDate, .preview(lazy: false)),
    fetch("PREVIEW (LAZY)", .preview(lazy: true)),
    fetch("(PREVIEW (LAZY LAZY) UID)", .preview(lazy: true), .uid),
    CommandFixture(
        "UID FETCH 1:* (FLAGS)",
        .fetch(FetchRequest(isUID: true, set: .all, attributes: [.uid, .flags]))),
    // RFC 7162 sections 3.1.4.1 and 3.2.6.
    CommandFixture(
        "FETCH 1:* PREVIEW (CHANGEDSINCE 1)",
        .fetch(
            FetchRequest(isUID: false, set: .all, attributes: [.preview(lazy: false), .modSeq], changedSince: 1))),
    CommandFixture(
        "UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)",
        .fetch(
            FetchRequest(
                isUID: true, set: set((300, 500)), attributes: [.uid, .flags, .modSeq], changedSince: 12_345,
                vanished: true)),
        enabling: "QRESYNC"),
    CommandFixture(
        "UID FETCH 1 MODSEQ (VANISHED CHANGEDSINCE 9223372036854775807)",
        .fetch(
            FetchRequest(
                isUID: true, set: set((1, 1)), attributes: [.uid, .modSeq], changedSince: UInt64(Int64.max),
                vanished: true)),
        enabling: "QRESYNC"),
]

let storeFixtures: [CommandFixture] = [
    CommandFixture(
        "STORE 2:4 +FLAGS (\\Deleted)",
        .store(
            StoreRequest(isUID: false, set: set((2, 4)), operation: .add, flags: IMAPFlags(system: .deleted)))),
    CommandFixture(
        "UID STORE * -flags.silent $Junk \\seen $junk",
        .store(
            StoreRequest(
                isUID: true, set: set((0, 0)), operation: .remove,
                flags: IMAPFlags(system: .seen, keywords: [Keyword("$Junk")!]), isSilent: true))),
    CommandFixture(
        "STORE 1 FLAGS ()",
        .store(StoreRequest(isUID: false, set: set((1, 1)), operation: .replace, flags: IMAPFlags()))),
    // Nobody can set what is not known.
    CommandFixture(
        "STORE 1 FLAGS (\\Draft \\Unheard)",
        .store(
            StoreRequest(isUID: false, set: set((1, 1)), operation: .replace, flags: IMAPFlags(system: .draft)))),
    CommandFixture(
        "STORE 7,5,9 (UNCHANGEDSINCE 320162338) +FLAGS.SILENT (\\Answered \\Flagged)",
        .store(
            StoreRequest(
                isUID: false, set: set((7, 7), (5, 5), (9, 9)), operation: .add,
                flags: IMAPFlags(system: [.answered, .flagged]), isSilent: true, unchangedSince: 320_162_338))),
    CommandFixture(
        "STORE 1 (UNCHANGEDSINCE 0) +FLAGS \\Seen",
        .store(
            StoreRequest(
                isUID: false, set: set((1, 1)), operation: .add, flags: IMAPFlags(system: .seen), unchangedSince: 0))),
]

let searchFixtures: [CommandFixture] = [
    search("ALL", .all),
    search(
        "FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"",
        .and([.flag(.flagged), .since(day(1994, 2, 1)), .not(.header("FROM", octets("Smith")))])),
    search("unseen", .not(.flag(.seen))),
    search("(1:3,* $)", .and([.sequence(set((1, 3), (0, 0))), .sequence(.saved)])),
    search("UID 1,$", .uid(SequenceSet([.init(1, 1)], includesSaved: true))),
    search(
        "OR (SEEN DRAFT) OR ANSWERED DELETED",
        .or(.and([.flag(.seen), .flag(.draft)]), .or(.flag(.answered), .flag(.deleted)))),
    search("NEW OLD RECENT", .and([.and([.recent, .not(.flag(.seen))]), .not(.recent), .recent])),
    search(
        "UNANSWERED UNDELETED UNDRAFT UNFLAGGED",
        .and([.not(.flag(.answered)), .not(.flag(.deleted)), .not(.flag(.draft)), .not(.flag(.flagged))])),
    search("KEYWORD $Junk UNKEYWORD x", .and([.keyword(Keyword("$Junk")!), .not(.keyword(Keyword("x")!))])),
    search(
        "BCC a CC b TO c SUBJECT {3}\r\nd e",
        .and([
            .header("BCC", octets("a")), .header("CC", octets("b")), .header("TO", octets("c")),
            .header("SUBJECT", octets("d e")),
        ])),
    search(
        "HEADER Message-ID \"\" BODY x]y TEXT {2+}\r\n\r\n",
        .and([.header("MESSAGE-ID", []), .body(octets("x]y")), .text([13, 10])])),
    search(
        "BEFORE 29-Feb-2024 ON \"1-jan-2000\" SENTBEFORE 01-Dec-1999 SENTON 2-Mar-2001 SENTSINCE 31-Oct-1970",
        .and([
            .before(day(2024, 2, 29)), .on(day(2000, 1, 1)), .sentBefore(day(1999, 12, 1)), .sentOn(day(2001, 3, 2)),
            .sentSince(day(1970, 10, 31)),
        ])),
    search("LARGER 0 SMALLER 9223372036854775807", .and([.larger(0), .smaller(UInt64(Int64.max))])),
    search("MODSEQ 620162338", .modSeq(620_162_338)),
    search("MODSEQ \"/flags/\\\\draft\" all 620162338", .modSeq(620_162_338)),
    search("YOUNGER 3600 OLDER 1", .and([.younger(3_600), .older(1)])),
    search(
        "SAVEDBEFORE 1-Jan-2020 SAVEDON 2-Jan-2020 SAVEDSINCE 3-Jan-2020 SAVEDATESUPPORTED",
        .and([
            .savedBefore(day(2020, 1, 1)), .savedOn(day(2020, 1, 2)), .savedSince(day(2020, 1, 3)),
            .saveDateSupported,
        ])),
    search("EMAILID M-1_a THREADID \"T2\"", .and([.emailID("M-1_a"), .threadID("T2")])),
    CommandFixture(
        "UID SEARCH RETURN (MIN max COUNT ALL SAVE) CHARSET utf-8 TEXT {6}\r\nмат",
        .search(
            SearchRequest(
                isUID: true, options: [.min, .max, .count, .all, .save], charset: "UTF-8",
                key: .text(octets("мат"))))),
    CommandFixture(
        "SEARCH RETURN () 1", .search(SearchRequest(isUID: false, options: .all, key: .sequence(set((1, 1)))))),
    CommandFixture(
        "SEARCH RETURN (SAVE) SEEN", .search(SearchRequest(isUID: false, options: .save, key: .flag(.seen)))),
    CommandFixture(
        "SORT (SUBJECT REVERSE DATE) UTF-8 ALL",
        .sort(
            SortRequest(
                isUID: false, criteria: [SortCriterion(.subject), SortCriterion(.date, isReverse: true)],
                charset: "UTF-8", key: .all))),
    CommandFixture(
        "UID SORT RETURN (COUNT) (reverse DISPLAYFROM DISPLAYTO ARRIVAL CC FROM SIZE TO) \"us-ascii\" 1:2 SEEN",
        .sort(
            SortRequest(
                isUID: true, options: .count,
                criteria: [
                    SortCriterion(.displayFrom, isReverse: true), SortCriterion(.displayTo), SortCriterion(.arrival),
                    SortCriterion(.cc), SortCriterion(.from), SortCriterion(.size), SortCriterion(.to),
                ], charset: "US-ASCII", key: .and([.sequence(set((1, 2))), .flag(.seen)])))),
    CommandFixture(
        "THREAD REFERENCES UTF-8 SINCE 5-MAR-2000",
        .thread(
            ThreadRequest(
                isUID: false, algorithm: .references, charset: "UTF-8", key: .since(day(2000, 3, 5))))),
    CommandFixture(
        "UID THREAD orderedsubject US-ASCII ALL",
        .thread(ThreadRequest(isUID: true, algorithm: .orderedSubject, charset: "US-ASCII", key: .all))),
]

@Suite struct CommandTests {
    @Test(arguments: plainFixtures + selectFixtures + listFixtures)
    func mailboxCommand(_ fixture: CommandFixture) { check(fixture) }

    @Test(arguments: fetchFixtures + storeFixtures)
    func messageCommand(_ fixture: CommandFixture) { check(fixture) }

    @Test(arguments: searchFixtures)
    func searchCommand(_ fixture: CommandFixture) { check(fixture) }

    private func check(_ fixture: CommandFixture) {
        var start = Session.loggedIn(selected: true)
        if !fixture.enabled.isEmpty { start.send("e ENABLE \(fixture.enabled)\r\n") }
        start.entries = []
        var last: [Session.Entry]?
        for entries in everyCut(Array("tag1 \(fixture.text)\r\n".utf8), from: start) {
            if let last {
                guard last == entries else {
                    Issue.record("\(fixture.text): a cut gives \(entries) instead of \(last)")
                    return
                }
            } else {
                let performed = entries.compactMap {
                    if case .action(.perform(let command)) = $0 { command } else { nil }
                }
                #expect(performed == [fixture.command])
                #expect(entries.last == .sent("tag1 OK Done") || isSelect(fixture.command))
            }
            last = entries
        }
    }

    private func isSelect(_ command: IMAPCommand) -> Bool {
        if case .select = command { true } else { false }
    }
}
