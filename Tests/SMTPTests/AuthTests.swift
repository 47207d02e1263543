// AUTH (RFC 4954): conversations with a mechanism TEST, and the bounds of an exchange.
import MailTypes
import SMTP
import Testing

let authConversations: [Conversation] = [
    Conversation(
        "AUTH, then a message from an address of one's own (RFC 6409 section 6.1)", .withMechanisms,
        """
        S: 220 mx.example.test ESMTP Letterlog
        C: EHLO client.example
        S: 250-mx.example.test
        S: 250-PIPELINING
        S: 250-SIZE 52428800
        S: 250-8BITMIME
        S: 250-ENHANCEDSTATUSCODES
        S: 250-SMTPUTF8
        S: 250-AUTH TEST TLS
        S: 250-CHUNKING
        S: 250 LIMITS RCPTMAX=1000
        C: MAIL FROM:<alice@example.test>
        S: 530 5.7.0 Authentication required
        C: AUTH TEST cGFzcw==
        S: 235 2.7.0 Authentication successful
        C: AUTH TEST cGFzcw==
        S: 503 5.5.1 Already authenticated
        C: MAIL FROM:<bob@example.test>
        S: 553 5.7.1 Sender address does not belong to this login
        C: MAIL FROM:<later@example.test>
        S: 451 4.3.0 Cannot look up the sender now, try again later
        C: RCPT TO:<bob@example.test>
        S: 503 5.5.1 MAIL comes first
        C: MAIL FROM:<alice@example.test> AUTH=alice+40example.test
        S: 250 2.1.0 Sender accepted
        C: AUTH TEST cGFzcw==
        S: 503 5.5.1 A transaction is open; RSET ends it
        C: RCPT TO:<bob@example.test>
        S: 250 2.1.5 Recipient accepted
        C: RCPT TO:<bob@elsewhere.test>
        S: 550 5.7.1 Relaying denied: this host takes mail for its own domains only
        C: DATA
        S: 354 End data with <CR><LF>.<CR><LF>
        C: .
        S: 250 2.6.0 Stored as 42
        C: MAIL FROM:<> AUTH=<>
        S: 250 2.1.0 Sender accepted
        """),
    Conversation(
        "AUTH without an initial response, with challenges", .withMechanisms,
        """
        S: 220 mx.example.test ESMTP Letterlog
        C: AUTH TEST
        S: 503 5.5.1 EHLO or HELO comes first
        C: HELO client.example
        S: 250 mx.example.test
        C: AUTH TEST
        S: 503 5.5.1 EHLO comes first
        C: EHLO client.example
        S: 250-mx.example.test
        S: 250-PIPELINING
        S: 250-SIZE 52428800
        S: 250-8BITMIME
        S: 250-ENHANCEDSTATUSCODES
        S: 250-SMTPUTF8
        S: 250-AUTH TEST TLS
        S: 250-CHUNKING
        S: 250 LIMITS RCPTMAX=1000
        C: auth test
        S: 334\u{20}
        C: bW9yZQ==
        S: 334 bW9yZQ==
        C: cGFzcw==
        S: 235 2.7.0 Authentication successful
        """),
    Conversation(
        "everything that ends an exchange", .withMechanisms,
        """
        S: 220 mx.example.test ESMTP Letterlog
        C: EHLO client.example
        S: 250-mx.example.test
        S: 250-PIPELINING
        S: 250-SIZE 52428800
        S: 250-8BITMIME
        S: 250-ENHANCEDSTATUSCODES
        S: 250-SMTPUTF8
        S: 250-AUTH TEST TLS
        S: 250-CHUNKING
        S: 250 LIMITS RCPTMAX=1000
        C: AUTH TEST
        S: 334\u{20}
        C: *
        S: 501 5.7.0 Authentication cancelled
        C: AUTH TEST
        S: 334\u{20}
        C: =AAA
        S: 501 5.5.2 The response is not base64
        C: AUTH TEST cGFzcw
        S: 501 5.5.2 The response is not base64
        C: AUTH TEST YmFk
        S: 501 5.5.2 The response is none of this mechanism
        C: AUTH OTHER
        S: 504 5.5.4 Mechanism not available
        C: AUTH TLS
        S: 538 5.7.11 Encryption required for the requested mechanism
        C: AUTH TE$T
        S: 501 5.5.4 AUTH mechanism [initial-response]
        C: AUTH TEST bGF0ZXI=
        S: 454 4.7.0 Temporary authentication failure, try again later
        C: AUTH TEST =
        S: 535 5.7.8 Authentication credentials invalid
        C: MAIL FROM:<alice@example.test>
        S: 530 5.7.0 Authentication required
        """),
]

extension Site {
    static let withMechanisms: Site = {
        var site = Site(.submission)
        site.mechanisms = ["TEST", "TLS"]
        return site
    }()
}

@Suite struct AuthTests {
    private func begun() -> Session {
        var session = Session(.withMechanisms)
        session.send("EHLO client.example\r\nAUTH TEST\r\n")
        return session
    }

    @Test func aResponseHasARoomOfItsOwn() {
        let fits = String(repeating: "bW9y", count: 3_072)
        var session = begun()
        session.send(fits + "\r\n")
        #expect(session.record.lines.last == "535 5.7.8 Authentication credentials invalid")
        #expect(session.record.logins.last??.octets.count == 9_216)
        session = begun()
        session.send(fits + "bW9y\r\nNOOP\r\n")
        #expect(
            session.record.lines.suffix(2) == [
                "500 5.5.6 Authentication exchange line is too long", "250 2.0.0 OK",
            ])
        #expect(session.record.cancelled == 1)
    }

    @Test func aChallengeIsNeverCut() {
        var session = begun()
        let long = String(repeating: "bW9y", count: 1_000) + "ZQ=="
        session.send("bW9yZW1v" + long + "\r\n")
        #expect(session.record.lines.last == "334 bW9yZW1v" + long)
    }

    @Test func aFifthFailureEndsTheSession() {
        var session = Session(.withMechanisms)
        session.send("EHLO client.example\r\n")
        for _ in 0..<5 { session.send("AUTH TEST d3Jvbmc=\r\n") }
        #expect(session.record.closed == .tooManyLoginFailures)
        #expect(session.record.lines.last == "535 5.7.8 Authentication credentials invalid")
    }

    @Test func portTwentyFiveHasNoLogins() {
        var site = Site()
        site.mechanisms = ["TEST"]
        let record = Session.run("EHLO client.example\r\nAUTH TEST\r\nMAIL FROM:<a@b> AUTH=<>\r\n", site: site)
        #expect(!record.text.contains("AUTH TEST"))
        #expect(record.lines.suffix(2).map { $0.prefix(3) } == ["500", "555"])
    }

    @Test(arguments: ["", "a+4", "a+4g", "a+", "a=b"])
    func theAddressOfAuthIsXtext(_ value: String) {
        let record = Session.run(
            "EHLO client.example\r\nAUTH TEST cGFzcw==\r\nMAIL FROM:<alice@example.test> AUTH=\(value)\r\n",
            site: .withMechanisms)
        #expect(record.lines.last?.hasPrefix("501 5.5.4") == true)
    }

    @Test func aCloseEndsTheExchange() {
        var session = begun()
        session.tell { $0.timedOut(into: &$1) }
        #expect(session.record.closed == .timedOut)
        session = begun()
        session.tell { $0.shuttingDown(into: &$1) }
        #expect(session.record.closed == .shuttingDown)
    }

    @Test func noDescriptionShowsAMessage() {
        var machine = SMTPServerMachine(SMTPServerConfiguration(dialect: .submission, hostName: "x"))
        var actions: [SMTPAction] = []
        machine.start(into: &actions)
        _ = Array("EHLO x\r\nAUTH TEST cGFzcw==\r\n".utf8).withUnsafeBytes { machine.receive($0, into: &actions) }
        let shown = "\(actions) \(String(reflecting: actions)) \(String(reflecting: machine))"
        #expect(actions.count == 3)
        #expect(!shown.contains("pass") && !shown.contains("112, 97"))
    }
}
