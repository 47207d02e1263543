import MailTypes
import SMTP
import Testing

@Suite struct TraceTests {
    /// Dates from RFC 5322 appendix A and calendars; seconds as `date -u +%s` has them.
    @Test(arguments: [
        (1_057_049_557, 120, "Tue, 1 Jul 2003 10:52:37 +0200"),
        (880_127_706, -360, "Fri, 21 Nov 1997 09:55:06 -0600"),
        (-27_723_480, -210, "Thu, 13 Feb 1969 23:32:00 -0330"),
        (0, 0, "Thu, 1 Jan 1970 00:00:00 +0000"),
        (-1, 0, "Wed, 31 Dec 1969 23:59:59 +0000"),
        (951_825_600, 0, "Tue, 29 Feb 2000 12:00:00 +0000"),
        (4_107_542_400, 0, "Mon, 1 Mar 2100 00:00:00 +0000"),
        (946_683_000, 60, "Sat, 1 Jan 2000 00:30:00 +0100"),
    ])
    func dates(_ seconds: Int64, _ zone: Int16, _ text: String) {
        #expect(MailDate.text(InternalDate(time: Timestamp(seconds: seconds), zoneMinutes: zone)) == text)
    }

    /// Rounded towards the past, also at the ends of what 64 bits hold.
    @Test(arguments: [
        (Int64.min, -9_223_372_036_854_776, -106_751_991_168), (Int64.max, 9_223_372_036_854_775, 106_751_991_167),
        (-1, -1, -1), (-1000, -1, -1), (-1001, -2, -1), (-86_400_000, -86_400, -1), (-86_400_001, -86_401, -2),
        (999, 0, 0), (86_400_000, 86_400, 1),
    ])
    func wholeSecondsAndDays(_ milliseconds: Int64, _ seconds: Int64, _ days: Int64) {
        let time = Timestamp(milliseconds: milliseconds)
        #expect(time.seconds == seconds)
        #expect(time.days == days)
    }

    private func trace(_ sender: String?, client: String = "client.example", address: String?) -> String {
        let trace = SMTPTrace(
            returnPath: sender.map { Address($0)! }, clientName: client, clientAddress: address,
            hostName: "mx.example.test", transmissionType: "ESMTP", id: "0a1b2c3d",
            date: "Tue, 1 Jul 2003 10:52:37 +0200")
        return String(decoding: traceHeaders(trace), as: UTF8.self)
    }

    @Test func ipv4() {
        let expected =
            "Return-Path: <a@b.example>\r\n"
            + "Received: from client.example ([192.0.2.1]) by mx.example.test with ESMTP id\r\n"
            + "\t0a1b2c3d; Tue, 1 Jul 2003 10:52:37 +0200\r\n"
        #expect(trace("a@b.example", address: "192.0.2.1") == expected)
    }

    @Test func nullSenderOverIPv6() {
        let text = trace(nil, address: "2001:db8::1")
        #expect(text.hasPrefix("Return-Path: <>\r\nReceived: from client.example ([IPv6:2001:db8::1]) by "))
    }

    @Test func unixSocketHasNoAddress() {
        #expect(trace("a@b", address: nil).contains("Received: from client.example by mx.example.test with"))
    }

    @Test func quotedSender() {
        #expect(trace("a b@c.example", address: nil).hasPrefix("Return-Path: <\"a b\"@c.example>\r\n"))
    }

    @Test func linesAreFolded() {
        let name = String(repeating: "n", count: 200)
        for line in trace("a@b", client: name, address: "192.0.2.1").split(separator: "\r\n") {
            #expect(line.utf8.count <= SMTPLimits.traceLineOctetsMax || line == "\t\(name)")
        }
    }

    /// RFC 5321 section 4.4, RFC 3848, RFC 6531 section 4.3.
    @Test(arguments: [
        ("HELO c\r\nMAIL FROM:<>\r\n", SMTPDialect.smtp, false, false, "SMTP"),
        ("EHLO c\r\nMAIL FROM:<>\r\n", .smtp, false, false, "ESMTP"),
        ("EHLO c\r\nMAIL FROM:<>\r\n", .smtp, true, false, "ESMTPS"),
        ("EHLO c\r\nMAIL FROM:<>\r\n", .smtp, true, true, "ESMTPSA"),
        ("EHLO c\r\nMAIL FROM:<> SMTPUTF8\r\n", .smtp, false, false, "UTF8SMTP"),
        ("EHLO c\r\nMAIL FROM:<> SMTPUTF8\r\n", .smtp, true, true, "UTF8SMTPSA"),
        ("LHLO c\r\nMAIL FROM:<>\r\n", .lmtp, false, false, "LMTP"),
        ("LHLO c\r\nMAIL FROM:<> SMTPUTF8\r\n", .lmtp, true, false, "UTF8LMTPS"),
    ])
    func transmissionTypes(
        _ input: String, _ dialect: SMTPDialect, _ isEncrypted: Bool, _ isAuthenticated: Bool, _ expected: String
    ) {
        var session = Session(Site(dialect))
        session.send(input)
        let type = session.machine.transmissionType(isEncrypted: isEncrypted, isAuthenticated: isAuthenticated)
        #expect(type == expected)
    }
}
