// Reports as RFC 3464 and RFC 6522 want them.
import Foundation
import SMTP
import Testing

@testable import Delivery

@Suite struct ReportTests {
    private func report(_ kind: DeliveryReport.Kind, _ recipients: [ReportedRecipient]) -> String {
        let report = DeliveryReport(
            kind: kind, hostName: "mx.example.test", id: "7.1.0.f", date: "Tue, 1 Jul 2003 10:52:37 +0200",
            arrival: "Mon, 30 Jun 2003 09:00:00 +0200", sender: "alice@example.test", recipients: recipients,
            header: Array("Subject: hello\r\nTo: bob@there.test\r\n".utf8),
            triedUntil: kind == .delay ? "Sat, 5 Jul 2003 09:00:00 +0200" : nil)
        return String(decoding: report.prologue + report.header + report.epilogue, as: UTF8.self)
    }

    private let refused = ReportedRecipient(
        address: "bob@there.test", reply: SMTPServerReply(550, SMTPEnhancedCode(5, 1, 1), lines: ["no such user"]),
        text: "no such user", remoteHost: "mx.there.test [192.0.2.1]")

    @Test func failure() {
        let text = report(.failure, [refused])
        let parts = text.components(separatedBy: "--report-7.1.0.f")
        #expect(parts.count == 5)
        // RFC 6522 section 3: text for people, the status, what was sent.
        #expect(
            parts[0].contains(
                "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"report-7.1.0.f\""))
        #expect(parts[1].contains("mx.there.test [192.0.2.1] said: 550 5.1.1 no such user"))
        #expect(
            parts[2] == "\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.test\r\n"
                + "Arrival-Date: Mon, 30 Jun 2003 09:00:00 +0200\r\n\r\nFinal-Recipient: rfc822; bob@there.test\r\n"
                + "Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.there.test [192.0.2.1]\r\n"
                + "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
                + "Last-Attempt-Date: Tue, 1 Jul 2003 10:52:37 +0200\r\n\r\n")
        #expect(parts[3] == "\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: hello\r\nTo: bob@there.test\r\n\r\n")
        #expect(parts[4] == "--\r\n")
        // RFC 3834 section 5.1: nobody answers it.
        #expect(parts[0].contains("Auto-Submitted: auto-replied\r\n"))
    }

    @Test func lines() {
        for kind in [DeliveryReport.Kind.failure, .delay] {
            let octets = Array(report(kind, [refused, refused]).utf8)
            for (index, octet) in octets.enumerated() where octet == 10 { #expect(octets[index - 1] == 13) }
        }
    }

    @Test("a temporary reply that became final is a failure of class 5, and the other way round")
    func classes() {
        var put = refused
        put.reply = SMTPServerReply(450, SMTPEnhancedCode(4, 2, 0), lines: ["later"])
        #expect(report(.failure, [put]).contains("Status: 5.2.0\r\n"))
        #expect(report(.delay, [put]).contains("Action: delayed\r\nStatus: 4.2.0\r\n"))
        put.reply = nil
        put.remoteHost = ""
        put.text = "cannot look up there.test"
        #expect(report(.failure, [put]).contains("Status: 5.4.7\r\n"))
        #expect(report(.failure, [put]).contains("cannot look up there.test"))
        #expect(!report(.failure, [put]).contains("Diagnostic-Code"))
    }

    @Test("text from elsewhere breaks neither lines nor parts")
    func hostileText() {
        var bad = refused
        bad.address = "bob\r\nX: y@there.test"
        bad.reply = SMTPServerReply(550, lines: ["a\r\n--report-7.1.0.f--", String(repeating: "x", count: 5_000)])
        bad.remoteHost = "evil\r\n\r\n"
        let text = report(.failure, [bad])
        #expect(text.components(separatedBy: "\r\n--report-7.1.0.f").count == 5)
        #expect(!text.contains("\r\nX: y"))
        #expect(text.utf8.count < 6_000)
    }

    @Test(
        "the header that goes back",
        arguments: [
            ("A: b\r\nC: d\r\n\r\nbody\r\n", "A: b\r\nC: d\r\n"), ("A: b\r\n", "A: b\r\n"), ("\r\nbody", ""),
            ("no line end", ""),
            ("A: b\n\nbody\n", "A: b\n"),
        ])
    func header(_ message: String, _ expected: String) throws {
        let handle = MemoryHandle(Array(message.utf8))
        #expect(String(decoding: try AttemptRecorder.header(of: handle), as: UTF8.self) == expected)
    }

    @Test(
        "what the octets ask of the next host",
        arguments: [
            ("A: b\r\n\r\nbody\r\n", false, false), ("A: b\r\n\r\nb\u{e9}\r\n", true, false),
            ("A: \u{e9}\r\n\r\nb\r\n", true, true),
            ("", false, false), ("A: b\n\n\u{e9}", true, false),
        ])
    func nature(_ message: String, _ is8Bit: Bool, _ hasUTF8Header: Bool) throws {
        let nature = try BodyNature(of: MemoryHandle(Array(message.utf8)))
        #expect(nature.is8Bit == is8Bit)
        #expect(nature.hasUTF8Header == hasUTF8Header)
    }
}
