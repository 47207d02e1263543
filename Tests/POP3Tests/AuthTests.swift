// AUTH (RFC 5034): conversations with a mechanism TEST, and the bounds of an exchange.
import MailTypes
import POP3
import Testing

let authConversations: [Conversation] = [
    Conversation(
        "AUTH with an initial response, and what may not follow", .withMechanisms,
        """
        S: +OK pop.example.test POP3 Letterlog
        C: AUTH TEST cGFzcw==
        S: +OK Maildrop has 3 messages (89 octets)
        C: AUTH TEST cGFzcw==
        S: -ERR Already logged in
        C: NOOP
        S: +OK
        """),
    Conversation(
        "AUTH without an initial response, with challenges", .withMechanisms,
        """
        S: +OK pop.example.test POP3 Letterlog
        C: auth test
        S: +\u{20}
        C: bW9yZQ==
        S: + bW9yZQ==
        C: cGFzcw==
        S: +OK Maildrop has 3 messages (89 octets)
        """),
    Conversation(
        "an empty initial response, an empty response", .withMechanisms,
        """
        S: +OK pop.example.test POP3 Letterlog
        C: AUTH TEST =
        S: -ERR [AUTH] Wrong name or password
        C: AUTH TEST
        S: +\u{20}
        C:\u{20}
        S: -ERR [AUTH] Wrong name or password
        """),
    Conversation(
        "everything that ends an exchange", .withMechanisms,
        """
        S: +OK pop.example.test POP3 Letterlog
        C: AUTH TEST
        S: +\u{20}
        C: *
        S: -ERR Authentication cancelled
        C: AUTH TEST
        S: +\u{20}
        C: =AAA
        S: -ERR The response is not base64
        C: AUTH TEST
        S: +\u{20}
        C: cGFzcw
        S: -ERR The response is not base64
        C: AUTH TEST YmFk
        S: -ERR The response is none of this mechanism
        C: AUTH TEST AAA=BBB=
        S: -ERR The initial response is not base64
        C: AUTH OTHER
        S: -ERR Mechanism not available
        C: AUTH TE$T
        S: -ERR AUTH mechanism [initial-response]
        C: AUTH TEST a b
        S: -ERR AUTH mechanism [initial-response]
        C: AUTH TEST d3Jvbmc=
        S: -ERR [AUTH] Wrong name or password
        C: USER mrose
        S: +OK Send PASS
        """),
    Conversation(
        "mechanisms are listed by CAPA, and by AUTH alone", .withMechanisms,
        """
        S: +OK pop.example.test POP3 Letterlog
        C: AUTH
        S: +OK Mechanisms follow
        S: TEST
        S: OTHER
        S: .
        C: CAPA
        S: +OK Capability list follows
        S: TOP
        S: USER
        S: SASL TEST OTHER
        S: UIDL
        S: RESP-CODES
        S: AUTH-RESP-CODE
        S: PIPELINING
        S: EXPIRE NEVER
        S: LOGIN-DELAY 0
        S: UTF8 USER
        S: LANG
        S: IMPLEMENTATION Letterlog
        S: .
        """),
]

extension Site {
    static let withMechanisms: Site = {
        var site = Site()
        site.mechanisms = ["TEST", "OTHER"]
        return site
    }()
}

@Suite struct AuthTests {
    private func begun() -> Session {
        var session = Session(.withMechanisms)
        session.send("AUTH TEST\r\n")
        return session
    }

    @Test func aResponseHasARoomOfItsOwn() {
        // 12,288 octets of base64 fit, one more line octet does not.
        let fits = String(repeating: "bW9y", count: 3_072)
        var session = begun()
        session.send(fits + "\r\n")
        #expect(session.record.lines.last == "-ERR [AUTH] Wrong name or password")
        #expect(session.record.messages.last??.octets.count == 9_216)
        session = begun()
        session.send(fits + "bW9y\r\nNOOP\r\n")
        #expect(session.record.lines.suffix(2) == ["-ERR Response line too long", "-ERR Log in first"])
        #expect(session.record.cancelled == 1)
    }

    @Test func aChallengeIsNeverCut() {
        var session = begun()
        // "more" and more of it, as a mechanism with long challenges sends.
        let long = String(repeating: "bW9y", count: 1_000) + "ZQ=="
        session.send("bW9yZW1v" + long + "\r\n")
        #expect(session.record.lines.last == "+ bW9yZW1v" + long)
    }

    @Test func pipelinedInputIsTheResponse() {
        var session = Session(.withMechanisms)
        session.send("AUTH TEST\r\nbW9yZQ==\r\n*\r\nCAPA\r\n")
        #expect(Array(session.record.lines[1...3]) == ["+ ", "+ bW9yZQ==", "-ERR Authentication cancelled"])
        #expect(session.record.lines[4] == "+OK Capability list follows")
    }

    @Test func failuresOfAuthAndPassCountTogether() {
        var session = Session(.withMechanisms)
        session.send("AUTH TEST d3Jvbmc=\r\nUSER mrose\r\nPASS x\r\n")
        for _ in 0..<3 { session.send("AUTH TEST d3Jvbmc=\r\n") }
        #expect(session.record.closed == .tooManyLoginFailures)
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
        var machine = POP3ServerMachine(POP3ServerConfiguration(hostName: "x", allowsPlaintextLogin: true))
        var actions: [POP3Action] = []
        machine.start(into: &actions)
        _ = Array("AUTH TEST cGFzcw==\r\n".utf8).withUnsafeBytes { machine.receive($0, into: &actions) }
        let shown = "\(actions) \(String(reflecting: actions)) \(String(reflecting: machine))"
        #expect(actions.count == 2)
        #expect(!shown.contains("pass") && !shown.contains("112, 97"))
    }
}
