// What goes to the client, expected as the RFCs print it.
import IMAP
import MailTypes
import Testing

@testable import MIME

func written(usesUTF8: Bool = false, _ body: (inout IMAPWriter) -> Void) -> String {
    var writer = IMAPWriter(usesUTF8: usesUTF8)
    body(&writer)
    return String(decoding: writer.bytes, as: UTF8.self)
}

private func uids(_ runs: ClosedRange<UInt32>...) -> UIDSet { UIDSet(validating: runs)! }

@Suite struct ResponseTests {
    @Test func mailboxSizes() {
        #expect(written { $0.exists(23) } == "* 23 EXISTS\r\n")
        #expect(written { $0.recent(0) } == "* 0 RECENT\r\n")
        #expect(written { $0.expunge(44) } == "* 44 EXPUNGE\r\n")
        #expect(written { $0.expunge(.max) } == "* 4294967295 EXPUNGE\r\n")
        #expect(
            written { $0.flags(applicable: [Keyword("$Junk")!]) }
                == "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk)\r\n")
    }

    // MARK: VANISHED

    @Test func vanished() {
        #expect(
            written { $0.vanished(uids(405...405, 407...407, 410...425), isEarlier: false) }
                == "* VANISHED 405,407,410:425\r\n")
        #expect(written { $0.vanished(uids(41...41), isEarlier: true) } == "* VANISHED (EARLIER) 41\r\n")
        #expect(written { $0.vanished(UIDSet(), isEarlier: true) }.isEmpty)
    }

    /// Rule 7: long sets come in several lines, none too long, none empty, and nothing is lost.
    @Test func vanishedInSeveralLines() {
        let set = UIDSet((0..<20_000).map { UID(4_000_000_000 + UInt32($0) * 2) })
        let text = written { $0.vanished(set, isEarlier: true) }
        let lines = text.split(separator: "\r\n").map(String.init)
        #expect(lines.count > 10)
        var found: [UInt32] = []
        for line in lines {
            #expect(line.hasPrefix("* VANISHED (EARLIER) ") && line.utf8.count <= IMAPLimits.setLineOctetsMax)
            found += line.dropFirst("* VANISHED (EARLIER) ".count).split(separator: ",").map { UInt32($0)! }
        }
        #expect(found == set.map(\.rawValue))
    }

    // MARK: LIST, STATUS, QUOTA

    @Test func list() {
        #expect(
            written { $0.list("INBOX", attributes: ["\\HasNoChildren"]) }
                == "* LIST (\\HasNoChildren) \"/\" INBOX\r\n")
        #expect(written { $0.list("", attributes: ["\\Noselect"]) } == "* LIST (\\Noselect) \"/\" \"\"\r\n")
        #expect(written { $0.list("a b\"c\\", attributes: []) } == "* LIST () \"/\" \"a b\\\"c\\\\\"\r\n")
        #expect(written { $0.list("nil", attributes: []) } == "* LIST () \"/\" \"nil\"\r\n")
        #expect(written { $0.list("a%*]", attributes: [], isLsub: true) } == "* LSUB () \"/\" \"a%*]\"\r\n")
        #expect(written { $0.list("日本語&", attributes: []) } == "* LIST () \"/\" &ZeVnLIqe-&-\r\n")
        #expect(written(usesUTF8: true) { $0.list("日本語&", attributes: []) } == "* LIST () \"/\" \"日本語&\"\r\n")
        // RFC 5258 section 5, example 9; RFC 9051 section 6.3.9.7.
        #expect(
            written { $0.list("Foo", attributes: [], childInfo: ["SUBSCRIBED"]) }
                == "* LIST () \"/\" Foo (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n")
        #expect(
            written { $0.list("new", attributes: [], childInfo: ["SUBSCRIBED", "SPECIAL-USE"], oldName: "old name") }
                == "* LIST () \"/\" new (\"CHILDINFO\" (\"SUBSCRIBED\" \"SPECIAL-USE\") \"OLDNAME\" (\"old name\"))\r\n"
        )
    }

    @Test func status() {
        #expect(
            written {
                $0.status(
                    MailboxName("blurdybloop")!,
                    [.number(.messages, 231), .number(.size, .max), .objectID(.mailboxID, "F2212ea87-6097")])
            } == "* STATUS blurdybloop (MESSAGES 231 SIZE 18446744073709551615 MAILBOXID (F2212ea87-6097))\r\n")
        #expect(written { $0.status(.inbox, []) } == "* STATUS INBOX ()\r\n")
    }

    @Test func quota() {
        #expect(
            written { $0.quota(root: "", [("STORAGE", 104_857, 500_000), ("MESSAGE", 1, 2)]) }
                == "* QUOTA \"\" (STORAGE 104857 500000 MESSAGE 1 2)\r\n")
        #expect(written { $0.quotaRoot(.inbox, ["", "#user/x"]) } == "* QUOTAROOT INBOX \"\" \"#user/x\"\r\n")
    }

    // MARK: Strings

    /// 8-bit text is quoted only for a client that has enabled UTF-8; what is no UTF-8 or too long is a literal.
    @Test func strings() {
        #expect(written { $0.string("ü") } == "{2}\r\nü")
        #expect(written(usesUTF8: true) { $0.string("ü") } == "\"ü\"")
        #expect(written { $0.string("") } == "\"\"")
        #expect(written { $0.string("a\nb") } == "{3}\r\na\nb")
        var writer = IMAPWriter(usesUTF8: true)
        writer.string([0xFF])
        #expect(writer.bytes == Array("{1}\r\n".utf8) + [0xFF])
        let long = String(repeating: "x", count: IMAPLimits.quotedOctetsMax)
        #expect(written { $0.string(long) } == "\"\(long)\"")
        #expect(written { $0.string(long + "x") } == "{\(long.utf8.count + 1)}\r\n\(long)x")
    }

    // MARK: SEARCH

    @Test func search() {
        #expect(written { $0.search([2...2, 84...84, 882...883]) } == "* SEARCH 2 84 882 883\r\n")
        #expect(written { $0.search([]) } == "* SEARCH\r\n")
        #expect(written { $0.search([2...2, 5...6], modSeq: 917_162_500) } == "* SEARCH 2 5 6 (MODSEQ 917162500)\r\n")
        #expect(written { $0.search([], modSeq: 917_162_500) } == "* SEARCH\r\n")
        #expect(written { $0.sort([5, 3, 4], modSeq: 9) } == "* SORT 5 3 4 (MODSEQ 9)\r\n")
    }

    /// RFC 4731 section 3.1.
    @Test func esearch() {
        let found: [ClosedRange<UInt32>] = [2...2, 10...15, 21...21]
        #expect(
            written { $0.esearch(tag: "A282", isUID: false, found, [.min, .count]) }
                == "* ESEARCH (TAG \"A282\") MIN 2 COUNT 8\r\n")
        #expect(
            written { $0.esearch(tag: "A283", isUID: false, found, .all) }
                == "* ESEARCH (TAG \"A283\") ALL 2,10:15,21\r\n")
        #expect(
            written { $0.esearch(tag: "A", isUID: true, [], [.min, .max, .all, .count], modSeq: 7) }
                == "* ESEARCH (TAG \"A\") UID COUNT 0\r\n")
        #expect(
            written { $0.esearch(tag: "A", isUID: true, found, [.max], modSeq: 1_236) }
                == "* ESEARCH (TAG \"A\") UID MAX 21 MODSEQ 1236\r\n")
        // RFC 5267 section 3: in the order of the sort.
        #expect(
            written {
                $0.esearch(tag: "A", isUID: false, found, [.min, .max, .all], order: [21, 2, 10, 11, 12, 15, 14, 13])
            } == "* ESEARCH (TAG \"A\") MIN 21 MAX 13 ALL 21,2,10:12,15,14,13\r\n")
    }

    /// RFC 5256 section 4.
    @Test func thread() {
        let forest = ThreadForest(
            nodes: [
                .init(number: 2, children: []), .init(number: 3, children: [2]), .init(number: 6, children: [3, 5]),
                .init(number: 4, children: [4]), .init(number: 23, children: []), .init(number: 44, children: [6]),
                .init(number: 7, children: [7]), .init(number: 96, children: []),
            ], roots: [0, 1])
        #expect(written { $0.thread(forest) } == "* THREAD (2)(3 6 (4 23)(44 7 96))\r\n")
        #expect(written { $0.thread(ThreadForest(nodes: [], roots: [])) } == "* THREAD\r\n")
    }

    // MARK: Replies

    @Test(arguments: [
        (IMAPResponseCode.appendUID(UIDValidity(38_505), uids(3_955...3_957)), "APPENDUID 38505 3955:3957"),
        (
            .copyUID(UIDValidity(38_505), source: uids(304...304, 319...320), destination: uids(3_956...3_958)),
            "COPYUID 38505 304,319:320 3956:3958"
        ),
        (.badCharset([]), "BADCHARSET"),
        (.badCharset(["US-ASCII", "UTF-8"]), "BADCHARSET (US-ASCII UTF-8)"),
        (.badURL("/x;section=1.2]\r\n"), "BADURL /x;section=1.2???"),
        (.capability(["IMAP4rev2", "ID"]), "CAPABILITY IMAP4rev2 ID"),
        (.highestModSeq(715_194_045_007), "HIGHESTMODSEQ 715194045007"),
        (.inProgress(tag: "A1", done: 175, goal: 1_000), "INPROGRESS (\"A1\" 175 1000)"),
        (.inProgress(tag: "A]", done: nil, goal: 5), "INPROGRESS (NIL NIL NIL)"),
        (.inProgress(tag: nil, done: 5, goal: 5), "INPROGRESS (NIL 5 NIL)"),
        (.inProgress(tag: "a\r\n", done: 5, goal: 6), "INPROGRESS (NIL 5 6)"),
        (.mailboxID("F1"), "MAILBOXID (F1)"),
        (.modified([7...7, 9...12]), "MODIFIED 7,9:12"),
        (
            .permanentFlags([.deleted, .seen], [Keyword("$x")!], allowsNew: true),
            "PERMANENTFLAGS (\\Deleted \\Seen $x \\*)"
        ),
        (.permanentFlags([], [], allowsNew: false), "PERMANENTFLAGS ()"),
        (.permanentFlags([], [], allowsNew: true), "PERMANENTFLAGS (\\*)"),
        (.uidNext(4_294_967_296), "UIDNEXT 4294967296"),
        (.uidValidity(UIDValidity(3_857_529_045)), "UIDVALIDITY 3857529045"),
        (.unseen(12), "UNSEEN 12"),
        (.unknownCTE, "UNKNOWN-CTE"),
        (.readOnly, "READ-ONLY"),
    ])
    func codes(_ code: IMAPResponseCode, _ text: String) {
        let reply = IMAPReply.untagged(.ok("Text", code: code))
        #expect(String(decoding: reply.bytes, as: UTF8.self) == "* OK [\(text)] Text\r\n")
    }

    /// Text from elsewhere cannot break the framing or pass for a code.
    @Test func replyText() {
        func text(_ outcome: IMAPOutcome) -> String {
            String(decoding: IMAPReply.tagged("a", outcome).bytes, as: UTF8.self)
        }
        #expect(text(.no("a\r\nb ü")) == "a NO a??b ??\r\n")
        #expect(text(.ok("")) == "a OK Done\r\n")
        #expect(text(.ok("[ALERT] x")) == "a OK  [ALERT] x\r\n")
        let long = text(.bad(String(repeating: "x", count: 10_000)))
        #expect(long.utf8.count == "a BAD \r\n".utf8.count + IMAPLimits.replyTextOctetsMax)
        #expect(IMAPReply.challenge([]).bytes == Array("+ \r\n".utf8))
        #expect(IMAPReply.challenge([1, 2]).bytes == Array("+ AQI=\r\n".utf8))
        #expect(IMAPReply.proceed("").bytes == Array("+ Done\r\n".utf8))
    }
}
