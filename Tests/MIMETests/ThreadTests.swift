// Base subjects, message identifiers and threads of RFC 5256. Trees are made by hand from the steps of section 3.
import MIME
import Testing

/// `id`, subject, references; the date is the place in the list unless given.
private struct Mail {
    var id: String?
    var subject = ""
    var references: [String] = []
    var date: Int64?
}

private func messages(_ mails: [Mail]) -> [ThreadMessage] {
    mails.enumerated().map { index, mail in
        ThreadMessage(
            number: UInt32(index + 1), date: mail.date ?? Int64(index), subject: BaseSubject(Array(mail.subject.utf8)),
            messageID: mail.id.map { Array($0.utf8) }, references: mail.references.map { Array($0.utf8) })
    }
}

private func byReferences(_ mails: [Mail]) -> String { ThreadForest.byReferences(messages(mails)).text }
private func bySubject(_ mails: [Mail]) -> String { ThreadForest.orderedBySubject(messages(mails)).text }

@Suite("Threads")
struct ThreadTests {
    @Test("base subjects (RFC 5256 section 2.1)", arguments: subjects)
    func baseSubject(_ row: (String, String, Bool)) {
        let subject = Array(row.0.utf8)
        #expect(text(BaseSubject.text(of: subject)) == row.1, "\(row.0)")
        #expect(BaseSubject(subject).isReply == row.2, "\(row.0)")
        #expect(BaseSubject(subject).key == CaseFolder.fold(Array(row.1.utf8)))
    }

    @Test("long rows of the same mark take no longer than their length")
    func hostileSubjects() {
        for mark in ["[a]", "re:", "re[a]:", "(fwd)", "[fwd:", "[", "re[", "]", "fwd ", "[]", "=?utf-8?Q?[a]?="] {
            _ = BaseSubject(Array(String(repeating: mark, count: 100_000).utf8))
        }
    }

    @Test("message identifiers in their normal form", arguments: identifiers)
    func identifier(_ row: (String, [String])) {
        #expect(MessageIDs.all(in: Array(row.0.utf8)).map { text($0) } == row.1, "\(row.0)")
        #expect(MessageIDs.first(in: Array(row.0.utf8)).map { text($0) } == row.1.first)
    }

    @Test("an identifier without end is none, and what follows it is found")
    func longIdentifier() {
        let most = MIMELimits.messageIDOctetsMax
        let fits = String(repeating: "i", count: most - 2) + "@x"
        #expect(MessageIDs.all(in: Array("<\(fits)>".utf8)).map { text($0) } == [fits])
        #expect(MessageIDs.all(in: Array("<\(fits)xx> <a@b>".utf8)).map { text($0) } == ["a@b"])
    }

    @Test("a thread deeper than the limit is divided, and no message is lost")
    func depth() {
        for (count, threads) in [(MIMELimits.threadDepthMax, 1), (MIMELimits.threadDepthMax + 2, 2)] {
            var mails = (0..<count).map { number in
                Mail(id: "\(number)@x", subject: "s\(number)", references: number == 0 ? [] : ["\(number - 1)@x"])
            }
            // An answer before what it answers: when that comes, the way up is walked, as it might end in a loop.
            mails.append(Mail(id: "last@x", subject: "last", references: ["joint@x"]))
            mails.append(Mail(id: "joint@x", subject: "joint", references: ["\(count - 1)@x"]))
            let forest = ThreadForest.byReferences(messages(mails))
            #expect(forest.roots.count == threads)
            var numbers: [UInt32] = []
            var rest = forest.roots
            while let node = rest.popLast() {
                if let number = forest.nodes[node].number { numbers.append(number) }
                rest += forest.nodes[node].children
            }
            #expect(numbers.sorted() == (1...UInt32(count + 2)).map { $0 })
        }
    }

    @Test("references are those of References, or else the first of In-Reply-To")
    func references() {
        func found(_ references: String?, _ reply: String?) -> [String] {
            MessageIDs.references(references.map { Array($0.utf8) }, inReplyTo: reply.map { Array($0.utf8) }).map {
                text($0)
            }
        }
        #expect(found("<a@x> <b@x>", "<c@x>") == ["a@x", "b@x"])
        #expect(found("none", "<c@x> <d@x>") == ["c@x"])
        #expect(found(nil, "your message of <c@x>") == ["c@x"])
        #expect(found(nil, nil) == [])
        let many = (0..<(MIMELimits.referencesMax + 5)).map { "<\($0)@x>" }.joined(separator: " ")
        #expect(found(many, nil).count == MIMELimits.referencesMax)
        #expect(found(many, nil).last == "\(MIMELimits.referencesMax + 4)@x")
        for hostile in ["<", "<(", "<\"", "<a@[", "<a@", "(<"] {
            _ = MessageIDs.all(in: Array(String(repeating: hostile, count: 200_000).utf8))
        }
    }

    @Test("ORDEREDSUBJECT")
    func orderedSubject() {
        #expect(
            bySubject([
                Mail(subject: "b"), Mail(subject: "a"), Mail(subject: "Re: B"), Mail(subject: "c", date: -1),
                Mail(subject: "[x] re: b (fwd)"),
                Mail(subject: "fwd: a"),
            ]) == "(4)(1 (3)(5))(2 6)")
        #expect(bySubject([]) == "")
        // The first of a thread is the one sent first, wherever it is in the mailbox.
        #expect(bySubject([Mail(subject: "a", date: 9), Mail(subject: "a", date: 3)]) == "(2 1)")
        // Dates that are the same: the order of the mailbox.
        #expect(bySubject([Mail(subject: "b", date: 1), Mail(subject: "a", date: 1)]) == "(1)(2)")
    }

    @Test("the tree of RFC 5256 section 4")
    func treeOfTheRFC() {
        // 2 alone; 3 - 6, and below it 4 - 23 and 44 - 7 - 96.
        var mails = (1...6).map { _ in Mail() }
        mails[0] = Mail(id: "2", subject: "other")
        mails[1] = Mail(id: "3", subject: "s")
        mails[2] = Mail(id: "6", subject: "re: s", references: ["3"])
        mails[3] = Mail(id: "4", subject: "re: s", references: ["3", "6"])
        mails[4] = Mail(id: "44", subject: "re: s", references: ["3", "6"])
        mails[5] = Mail(id: "23", subject: "re: s", references: ["3", "6", "4"])
        #expect(byReferences(mails) == "(1)(2 3 (4 6)(5))")
        #expect(
            byReferences(mails + [Mail(id: "7", references: ["44"]), Mail(id: "96", references: ["44", "7"])])
                == "(1)(2 3 (4 6)(5 7 8))")
    }

    @Test("REFERENCES, steps 1 to 3", arguments: linkRows)
    fileprivate func links(_ row: (String, [Mail], String)) {
        #expect(byReferences(row.1) == row.2, "\(row.0)")
    }

    @Test("REFERENCES, steps 4 to 6", arguments: subjectRows)
    fileprivate func subjectsMerged(_ row: (String, [Mail], String)) {
        #expect(byReferences(row.1) == row.2, "\(row.0)")
    }

    @Test("every message is in the answer once, whatever refers to what")
    func random() {
        var state: UInt32 = 1
        func next(_ bound: Int) -> Int {
            state = state &* 1_664_525 &+ 1_013_904_223
            return Int(state >> 16) % bound
        }
        for _ in 0..<400 {
            let count = 1 + next(30)
            let mails = (0..<count).map { _ in
                Mail(
                    id: next(5) == 0 ? nil : "i\(next(count + 4))",
                    subject: ["", "a", "re: a", "b", "fwd: b", "c"][next(6)],
                    references: (0..<next(5)).map { _ in "i\(next(count + 6))" }, date: Int64(next(10)))
            }
            for forest in [ThreadForest.byReferences(messages(mails)), .orderedBySubject(messages(mails))] {
                let numbers = forest.text.split { !$0.isNumber }.compactMap { Int($0) }
                #expect(numbers.sorted() == Array(1...count), "\(mails)")
                #expect(forest.text.count { $0 == "(" } == forest.text.count { $0 == ")" })
            }
        }
    }

    @Test("a thread of 50,000 messages, one below the other")
    func deep() {
        let mails = (0..<50_000).map { Mail(id: "\($0)", subject: "s", references: $0 == 0 ? [] : ["\($0 - 1)"]) }
        #expect(byReferences(mails) == "(" + (1...50_000).map(String.init).joined(separator: " ") + ")")
        // The other way round: each link is put above those before, up to the limit; the rest meets by its subject.
        let numbers = byReferences(Array(mails.reversed())).split { !$0.isNumber }
        #expect(numbers.count == 50_000)
    }
}

private let linkRows: [(String, [Mail], String)] = [
    ("nothing", [], ""),
    ("a reply", [Mail(id: "a"), Mail(id: "b", references: ["a"])], "(1 2)"),
    ("a reply that came first", [Mail(id: "b", references: ["a"], date: 5), Mail(id: "a", date: 1)], "(2 1)"),
    (
        "siblings by date",
        [Mail(id: "a"), Mail(id: "b", references: ["a"], date: 9), Mail(id: "c", references: ["a"], date: 5)],
        "(1 (3)(2))"
    ),
    // (1.A): references link messages that are not this one.
    ("a chain of references", [Mail(id: "a"), Mail(id: "b"), Mail(id: "c", references: ["a", "b"])], "(1 2 3)"),
    (
        "a link that is there stays",
        [Mail(id: "b", references: ["a"]), Mail(id: "a"), Mail(id: "x"), Mail(id: "c", references: ["x", "b"])],
        "(2 1 4)(3)"
    ),
    // (1.B): but the last reference of a message replaces a link that another's references made.
    (
        "a guess is corrected",
        [Mail(id: "c", references: ["a", "b"]), Mail(id: "a"), Mail(id: "x"), Mail(id: "b", references: ["x"])],
        "(2)(3 4 1)"
    ),
    (
        "and removed where there are no references",
        [Mail(id: "c", references: ["a", "b"]), Mail(id: "a"), Mail(id: "b")], "(2)(3 1)"
    ),
    ("no loop", [Mail(id: "a", references: ["b"]), Mail(id: "b", references: ["a"])], "(2 1)"),
    ("not its own parent", [Mail(id: "a", references: ["a"])], "(1)"),
    (
        "the first has a doubled identifier", [Mail(id: "a"), Mail(id: "a"), Mail(id: "b", references: ["a"])],
        "(1 3)(2)"
    ),
    ("no identifier", [Mail(), Mail(references: ["a"]), Mail(id: "a")], "(1)(3 2)"),
    // (3): dummies.
    ("a dummy with one child goes", [Mail(id: "b", references: ["gone"])], "(1)"),
    (
        "a dummy with two stays as the parent of siblings",
        [Mail(id: "b", references: ["gone"]), Mail(id: "c", references: ["gone"])], "((1)(2))"
    ),
    ("dummies in a row", [Mail(id: "b", references: ["x", "y"]), Mail(id: "c", references: ["x", "z"])], "((1)(2))"),
    (
        "a dummy within is passed over",
        [Mail(id: "a"), Mail(id: "b", references: ["a", "gone"]), Mail(id: "c", references: ["a", "gone"])],
        "(1 (2)(3))"
    ),
    (
        "a dummy above one message above two",
        [Mail(id: "a", references: ["gone"]), Mail(id: "b", references: ["a"]), Mail(id: "c", references: ["a"])],
        "(1 (2)(3))"
    ),
]

private let subjectRows: [(String, [Mail], String)] = [
    ("threads by date", [Mail(id: "a", date: 5), Mail(id: "b", date: 3), Mail(id: "c", date: 4)], "(2)(3)(1)"),
    // (4) and (6): a dummy counts by its first child.
    (
        "a dummy by its first child",
        [Mail(id: "a", date: 4), Mail(id: "b", references: ["x"], date: 9), Mail(id: "c", references: ["x"], date: 3)],
        "((3)(2))(1)"
    ),
    ("a reply without references", [Mail(id: "a", subject: "s"), Mail(id: "b", subject: "Re: S")], "(1 2)"),
    ("a reply that is older", [Mail(id: "a", subject: "re: s"), Mail(id: "b", subject: "s")], "(2 1)"),
    ("two that are no replies", [Mail(id: "a", subject: "s"), Mail(id: "b", subject: "s")], "((1)(2))"),
    ("two replies", [Mail(id: "a", subject: "re: s"), Mail(id: "b", subject: "fw: s")], "((1)(2))"),
    (
        "three that are no replies",
        [Mail(id: "a", subject: "s"), Mail(id: "b", subject: "s"), Mail(id: "c", subject: "s")], "((1)(2)(3))"
    ),
    ("no subject, no thread", [Mail(id: "a"), Mail(id: "b", subject: "re:")], "(1)(2)"),
    (
        "a dummy takes the others in",
        [
            Mail(id: "a", subject: "s", references: ["x"]), Mail(id: "b", references: ["x"]),
            Mail(id: "c", subject: "s"),
        ],
        "((1)(2)(3))"
    ),
    (
        "two dummies become one",
        [
            Mail(id: "a", subject: "s", references: ["x"]), Mail(id: "b", subject: "s", references: ["x"]),
            Mail(id: "c", subject: "s", references: ["y"]),
            Mail(id: "d", subject: "s", references: ["y"]),
        ], "((1)(2)(3)(4))"
    ),
    (
        "what is merged keeps what is below it, sorted again",
        [
            Mail(id: "a", subject: "s", date: 1), Mail(id: "b", subject: "re: s", references: ["a"], date: 8),
            Mail(id: "c", subject: "re: s", date: 4),
            Mail(id: "d", references: ["c"], date: 5),
        ], "(1 (3 4)(2))"
    ),
]

private let subjects: [(String, String, Bool)] = [
    ("", "", false), ("a", "a", false), ("  a \t b  ", "a b", false), ("Re: a", "a", true), ("RE : a", "a", true),
    ("re: re: Fwd: fw: a", "a", true),
    ("re:", "", true), ("re", "re", false), ("regards: a", "regards: a", false), ("fwd a", "fwd a", false),
    // subj-blob before and within subj-refwd.
    ("[list] a", "a", false), ("[list] Re: a", "a", true), ("Re: [list] a", "a", true), ("Re[2]: a", "a", true),
    ("re [2] : a", "a", true),
    ("[a] [b] re [c]: d", "d", true), ("[a][b]c", "c", false), ("re [2]: a", "a", true),
    // The last blob stays where nothing else would.
    ("[a]", "[a]", false), ("[a] [b]", "[b]", false), ("re: [a]", "[a]", true), ("[a] ", "[a]", false),
    ("[]", "[]", false),
    // No blobs: nested or not ended.
    ("[a[b]] c", "[a[b]] c", false), ("[a", "[a", false), ("a]", "a]", false),
    // Trailers.
    ("a (fwd)", "a", true), ("a (FWD) (fwd) ", "a", true), ("(fwd)", "", true), ("a (fwd) b", "a (fwd) b", false),
    // subj-fwd, and again from step 2.
    ("[Fwd: a]", "a", true), ("[fwd: Re: [b] a (fwd)]", "a", true), ("re: [fwd: [fwd: a]] (fwd)", "a", true),
    ("[fwd:]", "", true),
    ("[fwd: a] b", "b", false), ("[fwd: [a]]", "[a]", true),
    // Encoded words; spaces that they bring.
    ("=?utf-8?Q?Re=3A_=C3=A4?=", "ä", true), ("=?utf-8?Q?a=09=09b?=", "a b", false), ("Re:\r\n a", "a", true),
]

private let identifiers: [(String, [String])] = [
    // Section 3: both are the same.
    (#"<"01KF8JCEOCBS0045PS"@xxx.yyy.com>"#, ["01KF8JCEOCBS0045PS@xxx.yyy.com"]),
    ("<01KF8JCEOCBS0045PS@xxx.yyy.com>", ["01KF8JCEOCBS0045PS@xxx.yyy.com"]),
    ("<a@x><b@y>, <c@z> (comment)", ["a@x", "b@y", "c@z"]), ("< a @ (here) x >", ["a@x"]), ("<a\r\n @x>", ["a@x"]),
    ("<A@X>", ["A@X"]),
    (#"<"a\"b"@x>"#, [#"a"b@x"#]), ("<a@[no fold]>", ["a@[nofold]"]), ("<a@b@x>", ["a@b@x"]),
    // What is none.
    ("", []), ("a@x", []), ("<a>", []), ("<@x>", []), ("<a@>", []), ("<>", []), ("<a@x", []), ("<a <b@x>", ["b@x"]),
    ("<a(@x> <b@x>", []),
]
