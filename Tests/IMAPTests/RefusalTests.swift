// What is refused, how, and that the next command is understood. Each text is fed in every cut.
import IMAP
import MailTypes
import Testing

struct RefusalFixture: Sendable, CustomTestStringConvertible {
    enum State: Sendable { case notAuthenticated, authenticated, selected }

    let text: String
    /// How the reply begins.
    let reply: String
    let state: State

    init(_ text: String, _ reply: String = "t BAD ", in state: State = .selected) {
        self.text = text
        self.reply = reply
        self.state = state
    }

    var testDescription: String { text.count > 100 ? String(text.prefix(100)) : text }
}

let syntaxRefusals: [RefusalFixture] = [
    // Tags and verbs.
    RefusalFixture("t"),
    RefusalFixture("t "),
    RefusalFixture("t  NOOP"),
    RefusalFixture("t NOOP x"),
    RefusalFixture("t NOOP "),
    RefusalFixture("t NOOPX"),
    RefusalFixture("t UID"),
    RefusalFixture("t UID  FETCH 1 FLAGS"),
    RefusalFixture("t UID NOOP"),
    RefusalFixture("t GETMETADATA \"\" /shared/comment"),
    RefusalFixture("* NOOP", "* BAD "),
    RefusalFixture("t+ NOOP", "* BAD "),
    RefusalFixture("(t) NOOP", "* BAD "),
    RefusalFixture("DONE", "DONE BAD "),
    // Numbers and sets.
    RefusalFixture("t FETCH 0 FLAGS"),
    RefusalFixture("t FETCH 01 FLAGS"),
    RefusalFixture("t FETCH 4294967296 FLAGS"),
    RefusalFixture("t FETCH 1: FLAGS"),
    RefusalFixture("t FETCH 1,,2 FLAGS"),
    RefusalFixture("t FETCH ,1 FLAGS"),
    RefusalFixture("t FETCH 1:2:3 FLAGS"),
    RefusalFixture("t FETCH -1 FLAGS"),
    RefusalFixture("t SEARCH LARGER 9223372036854775808"),
    RefusalFixture("t SEARCH SMALLER x"),
    RefusalFixture("t FETCH 1 (FLAGS) (CHANGEDSINCE 0)"),
    RefusalFixture("t FETCH 1 (FLAGS) (CHANGEDSINCE 9223372036854775808)"),
    RefusalFixture("t SEARCH YOUNGER 0"),
    // Strings.
    RefusalFixture("t DELETE \"foo"),
    RefusalFixture("t DELETE \"fo\\o\""),
    RefusalFixture("t DELETE \"foo\"bar"),
    RefusalFixture("t DELETE f\"oo"),
    RefusalFixture("t DELETE (foo)"),
    RefusalFixture("t DELETE fo\u{0}o"),
    RefusalFixture("t DELETE \"fo\u{0}o\""),
    RefusalFixture("t DELETE \"fo\ro\""),
    RefusalFixture("t DELETE fü"),
    RefusalFixture("t DELETE foo%"),
    RefusalFixture("t DELETE foo*"),
    RefusalFixture("t DELETE {3}foo"),
    RefusalFixture("t DELETE {3+}\r\nf\u{0}o"),
    RefusalFixture("t DELETE ~{3+}\r\nfoo"),
    RefusalFixture("t DELETE {3+}\r\nfoobar"),
    RefusalFixture("t NOOP {3+}\r\nfoo"),
    // Lists.
    RefusalFixture("t STATUS INBOX ()"),
    RefusalFixture("t STATUS INBOX (MESSAGES"),
    RefusalFixture("t STATUS INBOX MESSAGES"),
    RefusalFixture("t STATUS INBOX (MESSAGES  UNSEEN)"),
    RefusalFixture("t STATUS INBOX (MESSAGES )"),
    RefusalFixture("t STATUS INBOX (NOTHING)"),
    RefusalFixture("t LIST (RECURSIVEMATCH) \"\" *"),
    RefusalFixture("t LIST (REMOTE RECURSIVEMATCH) \"\" *"),
    RefusalFixture("t LIST (UNHEARD) \"\" *"),
    RefusalFixture("t LIST \"\" * RETURN (UNHEARD)"),
    RefusalFixture("t LIST \"\" ()"),
    RefusalFixture("t LIST \"\" * UNHEARD ()"),
    RefusalFixture("t LIST \"\""),
    RefusalFixture("t LSUB \"\" (*)"),
    // FETCH.
    RefusalFixture("t FETCH 1"),
    RefusalFixture("t FETCH 1 ()"),
    RefusalFixture("t FETCH 1 (ALL)"),
    RefusalFixture("t FETCH 1 FLAGS UID"),
    RefusalFixture("t FETCH 1 UNHEARD"),
    RefusalFixture("t FETCH 1 BODY["),
    RefusalFixture("t FETCH 1 BODY[0]"),
    RefusalFixture("t FETCH 1 BODY[1.]"),
    RefusalFixture("t FETCH 1 BODY[1..2]"),
    RefusalFixture("t FETCH 1 BODY[MIME]"),
    RefusalFixture("t FETCH 1 BODY[HEADER.FIELDS]"),
    RefusalFixture("t FETCH 1 BODY[HEADER.FIELDS ()]"),
    RefusalFixture("t FETCH 1 BODY[HEADER.FIELDS (\"a:b\")]"),
    RefusalFixture("t FETCH 1 BODY[HEADER.FIELDS (\"a b\")]"),
    RefusalFixture("t FETCH 1 BODY[UNHEARD]"),
    RefusalFixture("t FETCH 1 BODY[]<0>"),
    RefusalFixture("t FETCH 1 BODY[]<0.0>"),
    RefusalFixture("t FETCH 1 BODY[]<1.2.3>"),
    RefusalFixture("t FETCH 1 BODY.PEEK"),
    RefusalFixture("t FETCH 1 BINARY[1.MIME]"),
    RefusalFixture("t FETCH 1 BINARY"),
    RefusalFixture("t FETCH 1 BINARY.SIZE[1]<0.1>"),
    RefusalFixture("t FETCH 1 PREVIEW (EAGER)"),
    RefusalFixture("t FETCH 1 (FLAGS) (UNHEARD)"),
    // RFC 7162 section 3.2.6: VANISHED only in UID FETCH, with CHANGEDSINCE, after ENABLE QRESYNC.
    RefusalFixture("t FETCH 1 (FLAGS) (CHANGEDSINCE 1 VANISHED)"),
    RefusalFixture("t UID FETCH 1 (FLAGS) (VANISHED)"),
    RefusalFixture("t UID FETCH 1 (FLAGS) (CHANGEDSINCE 1 VANISHED)"),
    RefusalFixture("t SELECT x (QRESYNC (1 2))"),
    RefusalFixture("t SELECT x (UNHEARD)"),
    // STORE.
    RefusalFixture("t STORE 1 FLAGS"),
    RefusalFixture("t STORE 1 FLAGS.LOUD (\\Seen)"),
    RefusalFixture("t STORE 1 FLAGS (\\)"),
    RefusalFixture("t STORE 1 +FLAGS (\\Seen \\recent)"),
    RefusalFixture("t APPEND INBOX (\\Recent) {1+}\r\nx"),
    RefusalFixture("t STORE 1 FLAGS (\\Seen \\Draft"),
    RefusalFixture("t STORE 1 (UNCHANGEDSINCE 1 UNCHANGEDSINCE 2) FLAGS ()"),
    RefusalFixture("t STORE 1 (UNHEARD 1) FLAGS ()"),
    // SEARCH.
    RefusalFixture("t SEARCH"),
    RefusalFixture("t SEARCH UNHEARD"),
    RefusalFixture("t SEARCH ()"),
    RefusalFixture("t SEARCH (SEEN"),
    RefusalFixture("t SEARCH SEEN)"),
    RefusalFixture("t SEARCH NOT"),
    RefusalFixture("t SEARCH OR SEEN"),
    RefusalFixture("t SEARCH CHARSET UTF-8"),
    RefusalFixture("t SEARCH RETURN (MIN)"),
    RefusalFixture("t SEARCH RETURN (UNHEARD) ALL"),
    RefusalFixture("t SEARCH ON 32-Jan-2026"),
    RefusalFixture("t SEARCH ON 29-Feb-2023"),
    RefusalFixture("t SEARCH ON 1-Foo-2023"),
    RefusalFixture("t SEARCH ON 1-Janu-2023"),
    RefusalFixture("t SEARCH ON 1-Jan-23"),
    RefusalFixture("t SEARCH ON \"1-Jan-2023"),
    RefusalFixture("t SEARCH KEYWORD \\Seen"),
    RefusalFixture("t SEARCH MODSEQ \"/flags/x\" 5"),
    RefusalFixture("t SEARCH MODSEQ \"/other\" all 5"),
    RefusalFixture("t SEARCH EMAILID a.b"),
    RefusalFixture("t SORT () UTF-8 ALL"),
    RefusalFixture("t SORT (UNHEARD) UTF-8 ALL"),
    RefusalFixture("t SORT (REVERSE) UTF-8 ALL"),
    RefusalFixture("t SORT (DATE) UTF-8"),
    RefusalFixture("t THREAD UNHEARD UTF-8 ALL"),
    // Others.
    RefusalFixture("t ENABLE"),
    RefusalFixture("t ID"),
    RefusalFixture("t ID (\"a\")"),
    RefusalFixture("t COMPRESS LZ4"),
    RefusalFixture("t CREATE x (UNHEARD)"),
    RefusalFixture("t SETQUOTA \"\" (STORAGE)"),
    RefusalFixture("t COPY 1"),
    RefusalFixture("t APPEND INBOX"),
    RefusalFixture("t APPEND INBOX (\\Seen)"),
    RefusalFixture("t APPEND INBOX \"1-Feb-2026 00:00:00 +0000\" {1+}\r\nx"),
    RefusalFixture("t APPEND INBOX \" 1-Feb-2026 24:00:00 +0000\" {1+}\r\nx"),
    RefusalFixture("t APPEND INBOX \"01-Feb-2026 00:00:00 0000\" {1+}\r\nx"),
    RefusalFixture("t APPEND INBOX CATENATE () {1+}\r\nx"),
    RefusalFixture("t APPEND INBOX CATENATE (URL x"),
    RefusalFixture("t APPEND INBOX CATENATE (TEXT {1+}\r\nx"),
    RefusalFixture("t APPEND INBOX UTF8 ({1+}\r\nx)"),
    RefusalFixture("t APPEND INBOX {1+}\r\nx garbage"),
    RefusalFixture("t REPLACE 1 INBOX {1+}\r\nx {1+}\r\ny"),
    RefusalFixture("t REPLACE 0 INBOX {1+}\r\nx"),
]

let otherRefusals: [RefusalFixture] = [
    // Names that cannot be.
    RefusalFixture("t CREATE a//b", "t NO [CANNOT] "),
    RefusalFixture("t CREATE \"\"", "t NO [CANNOT] "),
    RefusalFixture("t CREATE /a", "t NO [CANNOT] "),
    RefusalFixture("t CREATE a&b", "t NO [CANNOT] "),
    RefusalFixture("t CREATE \"ü\"", "t NO [CANNOT] "),
    RefusalFixture("t DELETE a//b", "t NO [NONEXISTENT] "),
    RefusalFixture("t STATUS a&b (MESSAGES)", "t NO [NONEXISTENT] "),
    RefusalFixture("t COPY 1 a//b", "t NO [CANNOT] "),
    RefusalFixture("t APPEND a//b {3+}\r\nfoo", "t NO [CANNOT] "),
    RefusalFixture("t CREATE x (USE (\\Unheard))", "t NO [USEATTR] "),
    // RFC 6855 section 3.
    RefusalFixture("t DELETE \"\u{80}\"", "t NO [NONEXISTENT] "),
    // RFC 3502 section 6.3.11.
    RefusalFixture("t APPEND INBOX {0+}\r\n", "t NO "),
    RefusalFixture("t APPEND INBOX {3+}\r\nabc {0+}\r\n", "t NO "),
    RefusalFixture("t APPEND INBOX {3+}\r\na\u{0}c", "t NO [CANNOT] "),
    RefusalFixture("t APPEND INBOX {100001+}\r\n" + String(repeating: "x", count: 100_001), "t NO [TOOBIG] "),
    RefusalFixture(
        "t APPEND INBOX CATENATE (TEXT {60000+}\r\n" + String(repeating: "x", count: 60_000) + " TEXT {60000+}\r\n"
            + String(repeating: "x", count: 60_000) + ")", "t NO [TOOBIG] "),
    // States.
    RefusalFixture("t SELECT INBOX", in: .notAuthenticated),
    RefusalFixture("t FETCH 1 FLAGS", in: .notAuthenticated),
    RefusalFixture("t APPEND INBOX {3+}\r\nfoo", in: .notAuthenticated),
    RefusalFixture("t IDLE", in: .notAuthenticated),
    RefusalFixture("t ENABLE CONDSTORE", in: .notAuthenticated),
    RefusalFixture("t FETCH 1 FLAGS", in: .authenticated),
    RefusalFixture("t CLOSE", in: .authenticated),
    RefusalFixture("t UID STORE 1 FLAGS ()", in: .authenticated),
    RefusalFixture("t REPLACE 1 INBOX {3+}\r\nfoo", in: .authenticated),
    RefusalFixture("t LOGIN a b", in: .authenticated),
    RefusalFixture("t STARTTLS"),
    RefusalFixture("t AUTHENTICATE PLAIN", in: .authenticated),
    RefusalFixture("t AUTHENTICATE UNHEARD", "t NO [CANNOT] ", in: .notAuthenticated),
    RefusalFixture("t AUTHENTICATE PLAIN x", in: .notAuthenticated),
    RefusalFixture("t LOGIN a", in: .notAuthenticated),
]

@Suite struct RefusalTests {
    @Test(arguments: syntaxRefusals)
    func syntax(_ fixture: RefusalFixture) { check(fixture) }

    @Test(arguments: otherRefusals)
    func otherReasons(_ fixture: RefusalFixture) { check(fixture) }

    private func check(_ fixture: RefusalFixture) {
        let start =
            switch fixture.state {
            case .notAuthenticated: Session()
            case .authenticated: Session.loggedIn()
            case .selected: Session.loggedIn(selected: true)
            }
        let text = Array((fixture.text + "\r\nu NOOP\r\n").utf8)
        var first: [Session.Entry]?
        for entries in text.count > 1_000 ? [everyPiece(text, start)] : everyCut(text, from: start) {
            if let first {
                guard first == entries else {
                    Issue.record("\(fixture.testDescription): a cut gives \(entries) instead of \(first)")
                    return
                }
                continue
            }
            first = entries
            let sent = entries.compactMap { if case .sent(let text) = $0 { text } else { nil } }
            #expect(sent.count == 2 && sent[0].hasPrefix(fixture.reply), "\(sent)")
            #expect(sent.last == "u OK Done")
            let begun = entries.count { if case .action(.beginAppend) = $0 { true } else { false } }
            let discarded = entries.count { $0 == .action(.discardAppend) }
            #expect(begun == discarded && !entries.contains(.action(.finishAppend)))
        }
    }

    private func everyPiece(_ text: [UInt8], _ start: Session) -> [Session.Entry] {
        var session = start
        session.send(text, .octets(4_096))
        return session.entries
    }
}
