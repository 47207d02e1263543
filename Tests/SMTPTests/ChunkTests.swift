// BDAT (RFC 3030): bodies in chunks, and what becomes of chunks that cannot be taken. Every input is fed whole, octet by
// octet and in odd pieces; the record must be the same.
import InputSupport
import MailTypes
import SMTP
import Testing

@Suite struct ChunkTests {
    private static let begin = "EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nRCPT TO:<alice@example.test>\r\n"

    /// Replies after EHLO, MAIL and RCPT, as `code enhanced`, and the whole record.
    private func run(_ input: String, site: Site = Site(), skip: Int = 3) -> (replies: [String], record: Record) {
        let whole = Session.run(input, .whole, site: site)
        for chunking in [Chunking.octetByOctet, .sizes([3, 1, 7])] {
            #expect(Session.run(input, chunking, site: site) == whole)
        }
        let replies = whole.lines.filter { $0.dropFirst(3).first == " " }.map { String($0.prefix(9)) }
        // The greeting comes first.
        return (Array(replies.dropFirst(1 + skip)), whole)
    }

    private func text(_ record: Record) -> [String] { record.messages.map { String(decoding: $0.body, as: UTF8.self) } }

    @Test("RFC 3030 section 4.1: one chunk, the last")
    func oneChunk() {
        let body = "Subject: x\r\n\r\n.\r\n..dots stay\r\n"
        let (replies, record) = run(Self.begin + "BDAT \(body.utf8.count) LAST\r\n" + body + "QUIT\r\n")
        #expect(replies == ["250 2.6.0", "221 2.0.0"])
        #expect(text(record) == [body])
    }

    @Test("RFC 3030 section 4.2: chunks cut anywhere, then an empty last one")
    func manyChunks() {
        let input = Self.begin + "BDAT 12\r\nSubject: x\r\nBDAT 1\r\n\rbdat 3\r\n\nhiBDAT 2\r\n\r\nBDAT 0 last\r\n"
        let (replies, record) = run(input)
        #expect(replies == ["250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.6.0"])
        #expect(text(record) == ["Subject: x\r\n\r\nhi\r\n"])
    }

    @Test("a second message may follow, by DATA or BDAT")
    func nextTransaction() {
        let again = "MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\n"
        let (replies, record) = run(
            Self.begin + "BDAT 2 LAST\r\n\r\n" + again + "DATA\r\nx\r\n.\r\n" + again + "BDAT 4 LAST\r\nyy\r\n")
        #expect(replies.filter { $0 == "250 2.6.0" }.count == 3)
        #expect(text(record) == ["\r\n", "x\r\n", "yy\r\n"])
    }

    @Test("LMTP answers a last chunk once for each recipient (RFC 2033 section 4.2)")
    func lmtp() {
        let begin = "LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\n"
        var site = Site(.lmtp)
        site.outcomes = ["bob@example.test": .overQuota]
        let (replies, record) = run(begin + "BDAT 2\r\nxyBDAT 2 LAST\r\n\r\n", site: site, skip: 4)
        #expect(replies == ["250 2.0.0", "250 2.1.5", "452 4.2.2"])
        #expect(text(record) == ["xy\r\n"])
    }

    @Test(
        "octets are taken before a refusal is told",
        arguments: [
            // No transaction, no recipients, after a LAST, an unknown recipient only.
            ("EHLO c\r\nBDAT 6 LAST\r\nNOOP\r\nNOOP\r\n", 1, ["503 5.5.1", "250 2.0.0"]),
            ("EHLO c\r\nMAIL FROM:<>\r\nBDAT 6\r\nQUIT\r\nRSET\r\n", 2, ["503 5.5.1", "250 2.0.0"]),
            (begin + "BDAT 0 LAST\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", 3, ["250 2.6.0", "503 5.5.1", "250 2.0.0"]),
            (
                "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@example.test>\r\nBDAT 6 LAST\r\nQUIT\r\nMAIL FROM:<>\r\n", 3,
                ["554 5.5.1", "250 2.1.0"]
            ),
        ])
    func refusedChunks(_ input: String, _ skip: Int, _ expected: [String]) {
        let (replies, record) = run(input, skip: skip)
        #expect(replies == expected)
        #expect(record.closed == nil)
        #expect(record.messages.allSatisfy { $0.body.isEmpty })
    }

    @Test("after a failed chunk those in the pipeline are taken and refused, until RSET")
    func failureLasts() {
        let (replies, record) = run(
            Self.begin + "BDAT 3\r\na\nbBDAT 4\r\nabcdBDAT 2 LAST\r\n\r\nBDAT 1\r\nxRSET\r\nMAIL FROM:<>\r\n")
        #expect(replies == ["550 5.6.0", "503 5.5.1", "503 5.5.1", "503 5.5.1", "250 2.0.0", "250 2.1.0"])
        #expect(record.messages.isEmpty)
        #expect(record.discarded == 1)
    }

    @Test("a chunk that takes the message over the limit")
    func tooLarge() {
        var site = Site()
        site.configuration.messageOctetsMax = 5
        let (replies, record) = run(Self.begin + "BDAT 4\r\nabcdBDAT 2 LAST\r\nefNOOP\r\n", site: site)
        #expect(replies == ["250 2.0.0", "552 5.3.4", "250 2.0.0"])
        #expect(record.discarded == 1)
        #expect(record.messages.isEmpty)
    }

    @Test(
        "a CR at the very end, a NUL, a lone LF",
        arguments: [("2", "x\r", "550 5.6.0"), ("2", "x\0", "550 5.6.0"), ("2", "\n\n", "550 5.6.0")])
    func badOctets(_ size: String, _ octets: String, _ expected: String) {
        let (replies, record) = run(Self.begin + "BDAT \(size) LAST\r\n" + octets + "NOOP\r\n")
        #expect(replies == [expected, "250 2.0.0"])
        #expect(record.messages.isEmpty)
        #expect(record.discarded == 1)
    }

    @Test("RSET, EHLO and the end of the connection between chunks let the body go")
    func givenUp() {
        for word in ["RSET\r\n", "EHLO c\r\n", "QUIT\r\n"] {
            let (_, record) = run(Self.begin + "BDAT 1\r\nx" + word)
            #expect(record.discarded == 1, "\(word)")
        }
        var session = Session()
        session.send(Self.begin + "BDAT 10\r\nx")
        session.tell { $0.disconnected(into: &$1) }
        #expect(session.record.discarded == 1)
    }

    @Test("DATA and RCPT after BDAT (RFC 3030 section 2)")
    func mixed() {
        let (replies, record) = run(
            Self.begin + "BDAT 1\r\nxDATA\r\nRCPT TO:<bob@example.test>\r\nBDAT 2 LAST\r\n\r\n")
        #expect(replies == ["250 2.0.0", "503 5.5.1", "503 5.5.1", "250 2.6.0"])
        #expect(text(record) == ["x\r\n"])
    }

    @Test("a body that cannot be begun: the octets go by, then the reason")
    func notReady() {
        var site = Site()
        site.bodyVerdict = .storageFull
        let (replies, record) = run(
            Self.begin + "BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", site: site)
        #expect(replies == ["452 4.3.1", "503 5.5.1", "250 2.0.0"])
        #expect(record.messages.isEmpty)
    }

    @Test(
        "what is no BDAT command has no octets to take",
        arguments: ["BDAT", "BDAT x", "BDAT -1", "BDAT 1 LASTS", "BDAT 1 LAST x", "BDAT 1234567890123456789"])
    func malformed(_ line: String) {
        let (replies, record) = run(Self.begin + line + "\r\nNOOP\r\n")
        #expect(replies == ["501 5.5.4", "250 2.0.0"])
        #expect(record.closed == nil)
    }

    @Test("the largest size that is read is refused by the limit, not by arithmetic")
    func longestNumber() {
        let size = String(repeating: "9", count: SMTPLimits.chunkDigitsMax)
        var session = Session()
        session.send(Self.begin + "BDAT \(size)\r\n" + String(repeating: "x", count: 1_000))
        #expect(session.machine.isReceivingBody)
        session.tell { $0.disconnected(into: &$1) }
        #expect(session.record.discarded == 1)
    }
}
