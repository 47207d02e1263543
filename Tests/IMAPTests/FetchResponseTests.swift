// FETCH on its way to the client: items, sections and structure, expected as the RFCs print them.
import IMAP
import MailTypes
import Testing

@testable import MIME

@Suite struct FetchResponseTests {
    @Test func fetchItems() {
        let text = written {
            $0.beginFetch(12)
            $0.uid(UID(4_827_313))
            $0.flags([.seen, .draft], keywords: [Keyword("$a")!, Keyword("b")!], isRecent: true)
            $0.flags([], isRecent: false)
            $0.flags([], keywords: [Keyword("c")!], isRecent: false)
            $0.modSeq(UInt64(Int64.max))
            $0.rfc822Size(44_827)
            $0.internalDate(InternalDate(time: Timestamp(seconds: 837_596_665), zoneMinutes: -420))
            $0.saveDate(nil)
            $0.saveDate(InternalDate(time: Timestamp(seconds: 0), zoneMinutes: 330))
            $0.emailID("M6d99ac3275bb4e")
            $0.threadID(nil)
            $0.threadID("T64b478a75b7ea9")
            $0.preview(nil)
            $0.preview("This is \"it\"")
            $0.binarySize(part: [1, 2], 0)
            $0.endFetch()
        }
        #expect(
            text == "* 12 FETCH (UID 4827313 FLAGS (\\Seen \\Draft \\Recent $a b) FLAGS () FLAGS (c) "
                + "MODSEQ (9223372036854775807) RFC822.SIZE 44827 INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" "
                + "SAVEDATE NIL SAVEDATE \" 1-Jan-1970 05:30:00 +0530\" EMAILID (M6d99ac3275bb4e) THREADID NIL "
                + "THREADID (T64b478a75b7ea9) PREVIEW NIL PREVIEW \"This is \\\"it\\\"\" BINARY.SIZE[1.2] 0)\r\n")
    }

    @Test func everySetOfFlags() {
        for raw in UInt8(0)..<32 {
            let flags = SystemFlags(rawValue: raw)
            let text = written {
                $0.beginFetch(1)
                $0.flags(flags, isRecent: false)
                $0.endFetch()
            }
            var session = Session.loggedIn(selected: true)
            session.send("a STORE 1 FLAGS \(text.dropFirst("* 1 FETCH (FLAGS ".count).dropLast(2))\r\n")
            guard case .store(let request)? = session.performed.first else {
                Issue.record("\(text)")
                continue
            }
            #expect(request.flags == IMAPFlags(system: flags))
        }
    }

    /// The name of a section is read as the section it was made from.
    @Test(arguments: [
        "BODY[]", "BODY[1]", "BODY[4.1.MIME]", "BODY[HEADER]", "BODY[TEXT]", "BODY[3.TEXT]", "RFC822", "RFC822.HEADER",
        "RFC822.TEXT", "BODY[HEADER.FIELDS (DATE FROM)]", "BODY[2.HEADER.FIELDS.NOT (X-A \"x]y\" \"q\\\"\")]",
        "BINARY[1.2]", "BINARY[]",
    ])
    func sectionNames(_ text: String) {
        var session = Session.loggedIn(selected: true)
        session.send("a FETCH 1 \(text)\r\n")
        guard case .fetch(let request)? = session.performed.first else {
            Issue.record("not understood")
            return
        }
        let name = written {
            switch request.attributes[0] {
            case .body(let section): $0.beginSection(section)
            case .binary(let section): $0.beginSection(section)
            default: break
            }
        }
        #expect(name == text)
    }

    @Test func sections() {
        let text = written {
            $0.beginFetch(1)
            $0.beginSection(BodySection(.text, partial: PartialRange(offset: 7, count: 3)))
            $0.literal(count: 3)
            $0.append("abc")
            $0.beginSection(BinarySection(part: [1], partial: PartialRange(offset: 0, count: 9)))
            $0.literal(count: 1, isBinary: true)
            $0.append("\0")
            $0.beginSection(BodySection(part: [9]))
            $0.nilValue()
            $0.endFetch()
        }
        #expect(text == "* 1 FETCH (BODY[TEXT]<7> {3}\r\nabc BINARY[1]<0> ~{1}\r\n\0 BODY[9] NIL)\r\n")
    }

    @Test(arguments: [
        (Int64(0), 0, "\" 1-Jan-1970 00:00:00 +0000\""),
        (951_782_400, 0, "\"29-Feb-2000 00:00:00 +0000\""),
        (-1, 0, "\"31-Dec-1969 23:59:59 +0000\""),
        (253_402_300_799, 0, "\"31-Dec-9999 23:59:59 +0000\""),
        (Int64.max / 2_000, 0, "\"31-Dec-9999 23:59:59 +0000\""),
        (Int64.min / 2_000, 0, "\" 1-Jan-0000 00:00:00 +0000\""),
        (1_700_000_000, 345, "\"15-Nov-2023 03:58:20 +0545\""),
        (1_700_000_000, -210, "\"14-Nov-2023 18:43:20 -0330\""),
    ])
    func dates(_ seconds: Int64, _ zone: Int, _ text: String) {
        var octets: [UInt8] = []
        DateText.append(InternalDate(time: Timestamp(seconds: seconds), zoneMinutes: Int16(zone)), to: &octets)
        #expect(String(decoding: octets, as: UTF8.self) == text)
    }

    /// Every day from 1600 to 2400 has its date and its number, and all follow each other.
    @Test func calendar() {
        var expected = CalendarDay(year: 1_600, month: 1, day: 1)!.daysSince1970
        #expect(CalendarDay(year: 1_970, month: 1, day: 1)!.daysSince1970 == 0)
        for year in 1_600...2_400 {
            for month in 1...12 {
                var day = 1
                while let date = CalendarDay(year: year, month: month, day: day) {
                    let back = date.yearMonthDay
                    guard date.daysSince1970 == expected, back.year == year, back.month == month, back.day == day else {
                        Issue.record("\(year)-\(month)-\(day)")
                        return
                    }
                    expected += 1
                    day += 1
                }
                guard (28...31).contains(day - 1) else {
                    Issue.record("\(year)-\(month) has \(day - 1) days")
                    return
                }
            }
        }
    }

    // MARK: Structure

    /// RFC 9051 section 8, and what the strings may be.
    @Test func envelope() {
        let message = """
            Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r
            From: Terry Gray <gray@cac.washington.edu>\r
            Subject: IMAP4rev2 WG mtg summary and minutes\r
            To: imap@cac.washington.edu\r
            cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r
            Message-Id: <B27397-0100000@cac.washington.edu>\r
            MIME-Version: 1.0\r
            Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r
            \r
            hello\r

            """
        let summary = Array(message.utf8).withUnsafeBytes { MessageSummary(scanning: $0) }
        #expect(
            written {
                $0.beginFetch(12)
                $0.envelope(summary.envelope)
                $0.bodyStructure(summary.structure, extended: false)
                $0.endFetch()
            }
                == "* 12 FETCH (ENVELOPE (\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" "
                + "\"IMAP4rev2 WG mtg summary and minutes\" "
                + "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
                + "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
                + "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
                + "((NIL NIL \"imap\" \"cac.washington.edu\")) "
                + "((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL "
                + "\"<B27397-0100000@cac.washington.edu>\") "
                + "BODY (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 7 1))\r\n")
    }

    @Test func bodyStructure() {
        let message = """
            Content-Type: multipart/mixed; boundary=x\r
            Content-Language: en, fr\r
            \r
            --x\r
            Content-Type: text/html\r
            Content-MD5: abc==\r
            Content-Disposition: inline\r
            Content-Location: http://x/\r
            \r
            hi\r
            --x\r
            Content-Type: message/rfc822\r
            Content-Disposition: attachment; filename=a.eml\r
            \r
            Subject: inner\r
            \r
            text\r
            --x\r
            Content-Type: application/pdf; name="a \\"b\\""\r
            Content-ID: <1@x>\r
            Content-Transfer-Encoding: base64\r
            \r
            AAAA\r
            --x--\r

            """
        let summary = Array(message.utf8).withUnsafeBytes { MessageSummary(scanning: $0) }
        let inner = "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 4 0 NIL NIL NIL NIL)"
        #expect(
            written {
                $0.beginFetch(1)
                $0.bodyStructure(summary.structure, extended: true)
                $0.endFetch()
            }
                == "* 1 FETCH (BODYSTRUCTURE ("
                + "(\"text\" \"html\" NIL NIL NIL \"7BIT\" 2 0 \"abc==\" (\"inline\" NIL) NIL \"http://x/\")"
                + "(\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" 22 "
                + "(NIL \"inner\" NIL NIL NIL NIL NIL NIL NIL NIL) \(inner) 2 "
                + "NIL (\"attachment\" (\"filename\" \"a.eml\")) NIL NIL)"
                + "(\"application\" \"pdf\" (\"name\" \"a \\\"b\\\"\") \"<1@x>\" NIL \"base64\" 4 NIL NIL NIL NIL) "
                + "\"mixed\" (\"boundary\" \"x\") NIL (\"en\" \"fr\") NIL))\r\n")
    }
}
