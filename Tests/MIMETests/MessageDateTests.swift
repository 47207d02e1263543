import MIME
import MailTypes
import Testing

/// Expected seconds are from date(1): `date -ud '2003-07-01 08:52:37' +%s`.
@Suite("Dates of messages")
struct MessageDateTests {
    @Test(
        "what mail says",
        arguments: [
            ("Tue, 1 Jul 2003 10:52:37 +0200", 1_057_049_557, 120),  // RFC 5322 appendix A.1.2
            ("Fri, 21 Nov 1997 09:55:06 -0600", 880_127_706, -360),  // appendix A.1.1
            // appendix A.5
            ("Thu, 13\r\n     Feb\r\n  1969\r\n    23:32\r\n             -0330 (Newfoundland Time)", -27_723_480, -210),
            ("21 Nov 97 09:55:06 GMT", 880_106_106, 0),  // appendix A.6.2
            ("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", nil, 0),  // appendix A.6.3, which we do not read
            ("Mon, 24 Nov 2003 14:22:01 EST", 1_069_701_721, -300), ("1 Jan 1970 00:00 Z", 0, 0),
            ("Sat, 29 Feb 2020 12:00:00 +0000", 1_582_977_600, 0), ("Mon, 29 Feb 2021 12:00:00 +0000", nil, 0),
            ("Mon 31 Dec 2018 23:59:60 +0000", 1_546_300_800, 0), ("Tue, 1 Jul 103 10:52:37 +0000", 1_057_056_757, 0),
            ("1 Jul 2003 10:52:37", 1_057_056_757, 0), ("", nil, 0), ("yesterday", nil, 0),
            ("Tue, 32 Jul 2003 10:52:37 +0200", nil, 0), ("Tue, 1 Jul 2003 24:52:37 +0200", nil, 0),
            ("Tue, 1 Jul 2003 10:52:37 +0260", nil, 0), ("Tue, 1 Jul 2003 10:52:37 +0200 x", nil, 0),
            ("Tue, 1 Jul 2003 10:52:37 (open +0200", nil, 0),
            ("Tue, 1 July 2003 10:52:37 (a (b \\) c)) +0200", 1_057_049_557, 120),
        ] as [(String, Int?, Int16)])
    func dates(_ row: (text: String, seconds: Int?, zone: Int16)) {
        let date = MessageDate.parse(row.text)
        #expect(date?.time.seconds == row.seconds.map(Int64.init))
        if let date { #expect(date.zoneMinutes == row.zone) }
    }

    @Test("a date of endless text or comments is none")
    func limits() {
        let date = "1 Jul 2003 10:52:37 +0200"
        let blanks = String(repeating: " ", count: MIMELimits.dateOctetsMax - date.utf8.count)
        #expect(MessageDate.parse(date + blanks) != nil)
        #expect(MessageDate.parse(date + blanks + " ") == nil)
        let comment = { (depth: Int) in
            " " + String(repeating: "(", count: depth) + String(repeating: ")", count: depth)
        }
        #expect(MessageDate.parse(date + comment(MIMELimits.commentDepthMax)) != nil)
        #expect(MessageDate.parse(date + comment(MIMELimits.commentDepthMax + 1)) == nil)
    }

    @Test(
        "lines that begin a message",
        arguments: [
            ("From ada@example.test Tue Jul  1 10:52:37 2003", "ada@example.test", 1_057_056_757),
            ("From MAILER-DAEMON Fri Jul 8 12:08:34 2011", "MAILER-DAEMON", 1_310_126_914),
            ("From a b@c Tue Jul  1 10:52 2003", "a b@c", 1_057_056_720),
            ("From  Tue Jul  1 10:52:37 +0200 2003", "", 1_057_049_557),
            ("From x Tue Jul  1 10:52:37 2003 -0100", "x", 1_057_060_357),
            ("From x Tue Jul  1 10:52:37 EDT 2003", "x", 1_057_071_157),
            ("From x Tue Jul  1 10:52:37 2003 remote from y", "x", 1_057_056_757),
            ("From here on it is text", nil, 0), ("From ", nil, 0), ("From x Tue Jul 32 10:52:37 2003", nil, 0),
            ("From x Tue Jul  1 10:52:37", nil, 0), ("from x Tue Jul  1 10:52:37 2003", nil, 0),
        ] as [(String, String?, Int64)])
    func fromLines(_ row: (text: String, sender: String?, seconds: Int64)) {
        let line = MboxFromLine(parsing: row.text.utf8)
        #expect(line?.sender == row.sender)
        if let line { #expect(line.date.time.seconds == row.seconds) }
    }
}
