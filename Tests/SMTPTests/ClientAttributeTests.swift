// XCLIENT and XFORWARD: for peers that are trusted, and unknown to all others.
import InputSupport
import SMTP
import Testing

@Suite struct ClientAttributeTests {
    private static var site: Site {
        var site = Site()
        site.configuration.trustsPeer = true
        return site
    }

    @Test func strangersDoNotHaveThem() {
        let record = Session.run("EHLO c\r\nXCLIENT ADDR=192.0.2.1\r\nXFORWARD ADDR=192.0.2.1\r\n")
        #expect(!record.text.contains("250-X"))
        #expect(record.lines.suffix(2).allSatisfy { $0 == "500 5.5.1 Command not known here" })
        #expect(record.clients == [])
    }

    @Test func anotherClientTakesTheSession() {
        for chunking in [Chunking.whole, .octetByOctet] {
            let record = Session.run(
                "EHLO proxy\r\nXCLIENT NAME=mail.example ADDR=IPV6:2001:db8::1 PORT=25\r\nMAIL FROM:<>\r\n"
                    + "XCLIENT HELO=client.example PROTO=ESMTP NAME=[UNAVAILABLE]\r\nMAIL FROM:<>\r\n"
                    + "XCLIENT ADDR=192.0.2.1\r\n",
                chunking, site: Self.site)
            #expect(
                record.clients.last
                    == {
                        var client = SMTPClientIdentity()
                        client.address = "2001:db8::1"
                        client.port = 25
                        client.greeting = "client.example"
                        client.isExtended = true
                        return client
                    }())
            #expect(
                record.lines.suffix(5).map { $0.prefix(9) } == [
                    "220 mx.ex", "503 5.5.1", "220 mx.ex", "250 2.1.0", "503 5.5.1",
                ])
        }
    }

    @Test(arguments: [
        "XCLIENT", "XCLIENT ADDR", "XCLIENT ADDR=", "XCLIENT ADDR=localhost", "XCLIENT PORT=65536",
        "XCLIENT LOGIN=alice",
        "XCLIENT PROTO=UUCP", "XCLIENT HELO=a+20b", "XCLIENT NAME=a+0D+0Ab", "XCLIENT NAME=a,ADDR=192.0.2.1",
        "XCLIENT NAME=" + .init(repeating: "x", count: SMTPLimits.clientAttributeOctetsMax + 1), "XFORWARD",
        "XFORWARD X=1",
        "XFORWARD ADDR=nowhere",
    ])
    func refused(_ line: String) {
        let record = Session.run("EHLO c\r\n\(line)\r\n", site: Self.site)
        #expect(record.lines.last?.hasPrefix("501 5.5.4 ") == true, "\(record.lines)")
        #expect(record.clients == [])
    }

    @Test func aClientWithTooManyConnectionsIsTurnedAway() {
        let record = Session.run("XCLIENT ADDR=192.0.2.99\r\nNOOP\r\n", site: Self.site)
        #expect(record.closed == .tooManyConnections)
        #expect(record.lines.last?.hasPrefix("421 4.7.0 ") == true)
    }

    /// It holds for one message: RSET and the end of a transaction end it, RSET before MAIL does not.
    @Test func whereAMessageComesFrom() {
        var session = Session(Self.site)
        session.send(
            "EHLO c\r\nXFORWARD NAME=mail.example ADDR=192.0.2.1 PORT=4711\r\nXFORWARD IDENT=4Yx+2B1 SOURCE=REMOTE\r\n")
        #expect(session.machine.forwarded.identity == "4Yx+1")
        #expect(session.machine.forwarded.address == "192.0.2.1")
        session.send("RSET\r\nMAIL FROM:<>\r\n")
        #expect(session.machine.forwarded.name == "mail.example")
        session.send("XFORWARD IDENT=2\r\nRSET\r\n")
        #expect(session.machine.forwarded == SMTPForwardedMessage())
        #expect(session.record.lines.suffix(2).map { $0.prefix(9) } == ["503 5.5.1", "250 2.0.0"])
    }
}
