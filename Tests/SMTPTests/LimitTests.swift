import InputSupport
import MailTypes
import SMTP
import Testing

@Suite struct LimitTests {
    @Test func longestCommandLine() {
        let noop = "NOOP " + String(repeating: "x", count: SMTPLimits.commandLineOctetsMax - 7)
        for chunking in [Chunking.whole, .octetByOctet, .sizes([1_000])] {
            #expect(Session.run(noop + "\r\n", chunking).lines.last == "250 2.0.0 OK")
            let record = Session.run(noop + "x\r\nNOOP\r\n", chunking)
            #expect(record.lines.suffix(2).map { $0.prefix(9) } == ["500 5.5.2", "250 2.0.0"])
        }
    }

    @Test func endlessLineCostsNothing() {
        var session = Session()
        let chunk = [UInt8](repeating: 0x41, count: 65_536)
        for _ in 0..<32 { session.send(chunk[...]) }
        #expect(session.record.lines.count == 1)
        session.send("\r\nNOOP\r\n")
        #expect(session.record.lines.suffix(2).map { $0.prefix(9) } == ["500 5.5.2", "250 2.0.0"])
    }

    @Test(arguments: ["NOOP\n", "NOOP\rx\r\n", "NO\0OP\r\n", "\n", "NOOP \r\r\n"])
    func oddOctetsInCommands(_ line: String) {
        for chunking in [Chunking.whole, .octetByOctet] {
            let record = Session.run(line + "NOOP\r\n", chunking)
            #expect(record.lines.suffix(2).map { $0.prefix(9) } == ["500 5.5.2", "250 2.0.0"])
        }
    }

    @Test(arguments: ["\r\n", " NOOP\r\n", "NOOPS\r\n", "XYZZY and more\r\n", "NOOPNOOPN\r\n", "NOOP=\r\n", "ü\r\n"])
    func unknownCommands(_ line: String) {
        #expect(Session.run(line).lines.last == "500 5.5.1 Command not known here")
    }

    @Test func tooManyErrorsEndTheSession() {
        let record = Session.run(String(repeating: "FOO\r\n", count: SMTPLimits.errorsMax + 5))
        #expect(record.closed == .tooManyErrors)
        #expect(record.lines.count == 1 + SMTPLimits.errorsMax)
        #expect(record.lines.last == "421 4.7.0 Too many errors, closing")
    }

    /// A sender that pipelines to unknown recipients all day makes no errors.
    @Test func pipelinedFailuresAreNoErrors() {
        let transaction = "MAIL FROM:<>\r\nRCPT TO:<nobody@example.test>\r\nDATA\r\nRSET\r\n"
        let record = Session.run("EHLO c\r\n" + String(repeating: transaction, count: 50))
        #expect(record.closed == nil)
        #expect(record.lines.last == "250 2.0.0 Transaction reset")
    }

    @Test func tooManyRecipients() {
        let recipients = (0...SMTPLimits.recipientsMax).map { "RCPT TO:<u\($0)@example.test>\r\n" }.joined()
        let record = Session.run("EHLO c\r\nMAIL FROM:<>\r\n" + recipients + "DATA\r\n.\r\n")
        #expect(record.lines.suffix(3).map { $0.prefix(9) } == ["452 4.5.3", "354 End d", "250 2.6.0"])
        #expect(record.messages.first?.envelope.recipients.count == SMTPLimits.recipientsMax)
    }

    @Test func replyLinesAreCutAndClean() {
        let reply = SMTPReply(451, .init(4, 3, 0), "a\r\n250 b\u{0}ü" + String(repeating: "x", count: 1_000))
        #expect(reply.bytes.count == SMTPLimits.replyLineOctetsMax)
        #expect(String(decoding: reply.bytes, as: UTF8.self).hasPrefix("451 4.3.0 a??250 b???x"))
        #expect(reply.bytes.suffix(2) == [13, 10])
    }

    @Test func enhancedCodeOpensEveryLine() {
        let reply = SMTPReply(250, .init(2, 0, 0), lines: ["one", "two"])
        #expect(String(decoding: reply.bytes, as: UTF8.self) == "250-2.0.0 one\r\n250 2.0.0 two\r\n")
    }
}
