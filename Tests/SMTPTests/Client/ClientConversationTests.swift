// Conversations with a next host, from our side: `S:` is the server, `C:` what we must say then, `+` an event of the
// connection, `=` what the machine must answer about the message. Each is fed whole, then octet by octet.
import SMTP
import Testing

struct ClientConversation: Sendable, CustomTestStringConvertible {
    let name: String
    var configuration = SMTPClientConfiguration(helloName: "mx.example.test")
    var message = SMTPClientMessage(sender: "a@example.test", recipients: ["x@there.test", "y@there.test"], octets: 10)
    let script: String

    init(_ name: String, _ script: String) { self.init(name, { _ in }, script) }

    init(_ name: String, _ change: (inout ClientConversation) -> Void, _ script: String) {
        self.name = name
        self.script = script
        change(&self)
    }

    var testDescription: String { name }
}

private let hello = """
    S: 220 there.test ready
    C: EHLO mx.example.test

    """
private let plain =
    hello + """
        S: 250 there.test
        = ready

        """
private let pipelined =
    hello + """
        S: 250-there.test
        S: 250-PIPELINING
        S: 250-SIZE 1000
        S: 250 8BITMIME
        = ready

        """
private let asked = """
    C: MAIL FROM:<a@example.test> SIZE=10
    C: RCPT TO:<x@there.test>
    C: RCPT TO:<y@there.test>
    C: DATA

    """

let clientConversations: [ClientConversation] = [
    ClientConversation(
        "one by one without PIPELINING",
        plain + """
            + send
            C: MAIL FROM:<a@example.test>
            S: 250 ok
            C: RCPT TO:<x@there.test>
            S: 250 ok
            C: RCPT TO:<y@there.test>
            S: 550 5.1.1 nobody
            C: DATA
            S: 354 go on
            = body
            + sent
            S: 250 2.0.0 stored as 7
            = delivered 250, failed 550
            = ready
            + quit
            C: QUIT
            S: 221 bye
            = close quit
            """),
    ClientConversation(
        "a group of commands with PIPELINING (RFC 2920)",
        pipelined + "+ send\n" + asked + """
            S: 250 ok
            S: 250 ok
            S: 451 4.2.1 later
            S: 354 go on
            = body
            + sent
            S: 250 stored
            = delivered 250, deferred 451
            = ready
            """),
    ClientConversation(
        "MAIL refused in a pipeline: its reply is the reason, not those after it",
        pipelined + "+ send\n" + asked + """
            S: 550 5.7.1 not from you
            S: 503 out of order
            S: 503 out of order
            S: 503 out of order
            = failed 550, failed 550
            C: RSET
            S: 250 ok
            = ready
            """),
    ClientConversation(
        "nobody taken, and DATA accepted all the same: an empty message (RFC 2920 section 3.1)",
        pipelined + "+ send\n" + asked + """
            S: 250 ok
            S: 550 no
            S: 450 not now
            S: 354 go on
            C: .
            S: 554 no valid recipients
            = failed 550, deferred 450
            C: RSET
            S: 250 ok
            = ready
            """),
    ClientConversation(
        "DATA refused",
        pipelined + "+ send\n" + asked + """
            S: 250 ok
            S: 250 ok
            S: 550 no
            S: 452 4.3.1 no room
            = deferred 452, failed 550
            C: RSET
            S: 250 ok
            = ready
            """),
    ClientConversation(
        "the end of the message refused for good",
        pipelined + "+ send\n" + asked + """
            S: 250 ok
            S: 250 ok
            S: 250 ok
            S: 354 go on
            = body
            + sent
            S: 554 5.6.0 no
            = failed 554, failed 554
            C: RSET
            S: 250 ok
            = ready
            """),
    ClientConversation(
        "the connection breaks before the last reply: nobody has it for certain",
        pipelined + "+ send\n" + asked + """
            S: 250 ok
            S: 250 ok
            S: 550 no
            S: 354 go on
            = body
            + sent
            + lost
            = unanswered, failed 550
            = close disconnected
            """),
    ClientConversation(
        "421 at any time ends it (RFC 5321 section 3.8)",
        pipelined + "+ send\n" + asked + """
            S: 250 ok
            S: 421 4.3.2 going down
            = deferred 421, deferred 421
            = close refused 421
            """),
    ClientConversation(
        "a refusal in the middle of the body",
        pipelined + "+ send\n" + asked + """
            S: 250 ok
            S: 250 ok
            S: 250 ok
            S: 354 go on
            = body
            S: 552 5.3.4 too big
            = failed 552, failed 552
            = close refused 552
            """),
    ClientConversation(
        "STARTTLS when it is offered; what was offered before is forgotten (RFC 3207 section 4.2)",
        hello + """
            S: 250-there.test
            S: 250-PIPELINING
            S: 250 STARTTLS
            C: STARTTLS
            S: 220 go ahead
            = tls
            + secured
            C: EHLO mx.example.test
            S: 250 there.test
            = ready
            + send
            C: MAIL FROM:<a@example.test>
            """),
    ClientConversation(
        "octets in the clear behind the reply to STARTTLS are no reply of the secured server",
        hello + """
            S: 250-there.test
            S: 250 STARTTLS
            C: STARTTLS
            S: 220 go ahead\r\n250 injected
            = tls
            = close malformed
            """),
    ClientConversation(
        "STARTTLS refused, TLS wanted but not required",
        hello + """
            S: 250-there.test
            S: 250 STARTTLS
            C: STARTTLS
            S: 454 4.7.0 not now
            = ready
            """),
    ClientConversation(
        "TLS required and not offered", { $0.configuration.tls = .required },
        hello + """
            S: 250 there.test
            = close noTLS
            """),
    ClientConversation(
        "a server from before EHLO",
        hello + """
            S: 502 what
            C: HELO mx.example.test
            S: 250 there.test
            = ready
            """),
    ClientConversation(
        "turned away at the door",
        """
        S: 554 5.7.1 not you
        = close refused 554
        """),
    ClientConversation(
        "a smart host that wants a login over TLS (RFC 4954, RFC 4616)",
        {
            $0.configuration.isImplicitTLS = true
            $0.configuration.credentials = SMTPClientCredentials(user: "tim", password: "tanstaaftanstaaf")
        },
        hello + """
            S: 250-there.test
            S: 250 AUTH LOGIN PLAIN
            C: AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm
            S: 235 2.7.0 ok
            = ready
            """),
    ClientConversation(
        "AUTH LOGIN where there is no PLAIN; a wrong password ends it",
        {
            $0.configuration.isImplicitTLS = true
            $0.configuration.credentials = SMTPClientCredentials(user: "tim", password: "x")
        },
        hello + """
            S: 250-there.test
            S: 250 AUTH LOGIN
            C: AUTH LOGIN
            S: 334 VXNlcm5hbWU6
            C: dGlt
            S: 334 UGFzc3dvcmQ6
            C: eA==
            S: 535 5.7.8 no
            = close refused 535
            """),
    ClientConversation(
        "a password does not go out in the clear",
        { $0.configuration.credentials = SMTPClientCredentials(user: "tim", password: "x") },
        hello + """
            S: 250-there.test
            S: 250 AUTH PLAIN
            = close noTLS
            """),
    ClientConversation(
        "what the server said it cannot take is not offered to it", { $0.message.octets = 1_001 },
        pipelined + """
            + send
            = failed 552, failed 552
            = ready
            """),
    ClientConversation(
        "internationalized mail needs SMTPUTF8 (RFC 6531 section 3.2)", { $0.message.needsUTF8 = true },
        pipelined + """
            + send
            = failed 550, failed 550
            = ready
            """),
    ClientConversation(
        "8BITMIME is said where it is offered (RFC 6152)", { $0.message.is8Bit = true },
        pipelined + """
            + send
            C: MAIL FROM:<a@example.test> SIZE=10 BODY=8BITMIME
            C: RCPT TO:<x@there.test>
            C: RCPT TO:<y@there.test>
            C: DATA
            """),
    ClientConversation(
        "wishes go where they are known (RFC 3461 section 5.2)",
        {
            $0.message.envelopeID = "QQ"
            $0.message.returns = .headers
            $0.message.notify = ["NEVER", ""]
            $0.message.originals = ["", "rfc822;y@there.test"]
        },
        hello + """
            S: 250-there.test
            S: 250-PIPELINING
            S: 250 DSN
            = ready
            + send
            C: MAIL FROM:<a@example.test> RET=HDRS ENVID=QQ
            C: RCPT TO:<x@there.test> NOTIFY=NEVER
            C: RCPT TO:<y@there.test> ORCPT=rfc822;y@there.test
            C: DATA
            """),
    ClientConversation(
        "REQUIRETLS is promised over TLS only (RFC 8689 section 4.2.1)",
        {
            $0.message.wantsRequireTLS = true
            $0.message.mustRequireTLS = true
        },
        hello + """
            S: 250-there.test
            S: 250 REQUIRETLS
            = ready
            + send
            = incapable 550, incapable 550
            = ready
            """),
    ClientConversation(
        "REQUIRETLS over TLS, and no report with the text (section 5)",
        {
            $0.configuration.isImplicitTLS = true
            $0.message.wantsRequireTLS = true
            $0.message.mustRequireTLS = true
            $0.message.returns = .full
        },
        hello + """
            S: 250-there.test
            S: 250-DSN
            S: 250 REQUIRETLS
            = ready
            + send
            C: MAIL FROM:<a@example.test> REQUIRETLS RET=HDRS
            S: 250 ok
            C: RCPT TO:<x@there.test>
            """),
    ClientConversation(
        "a time to deliver by (RFC 2852 section 4)",
        { $0.message.deliverBy = SMTPDeliverBy(seconds: 120, mode: .return, isTraced: true) },
        hello + """
            S: 250-there.test
            S: 250 DELIVERBY 60
            = ready
            + send
            C: MAIL FROM:<a@example.test> BY=120;RT
            S: 250 ok
            C: RCPT TO:<x@there.test>
            """),
    ClientConversation(
        "a host that needs more time than there is (section 4.1.4.1)",
        { $0.message.deliverBy = SMTPDeliverBy(seconds: 59, mode: .return) },
        hello + """
            S: 250-there.test
            S: 250 DELIVERBY 60
            = ready
            + send
            = incapable 550, incapable 550
            = ready
            """),
    ClientConversation(
        "a binary message goes in one chunk, when somebody is to have it (RFC 3030)", { $0.message.isBinary = true },
        hello + """
            S: 250-there.test
            S: 250-PIPELINING
            S: 250-CHUNKING
            S: 250 BINARYMIME
            = ready
            + send
            C: MAIL FROM:<a@example.test> BODY=BINARYMIME
            C: RCPT TO:<x@there.test>
            C: RCPT TO:<y@there.test>
            S: 250 ok
            S: 250 ok
            S: 550 no
            C: BDAT 10 LAST
            = chunk
            + sent
            S: 250 stored
            = delivered 250, failed 550
            = ready
            """),
    ClientConversation(
        "a binary message that nobody takes", { $0.message.isBinary = true },
        hello + """
            S: 250-there.test
            S: 250-CHUNKING
            S: 250 BINARYMIME
            = ready
            + send
            C: MAIL FROM:<a@example.test> BODY=BINARYMIME
            S: 250 ok
            C: RCPT TO:<x@there.test>
            S: 550 no
            C: RCPT TO:<y@there.test>
            S: 550 no
            = failed 550, failed 550
            C: RSET
            S: 250 ok
            = ready
            """),
    ClientConversation(
        "a host without BINARYMIME gets no binary message", { $0.message.isBinary = true },
        pipelined + """
            + send
            = incapable 554, incapable 554
            = ready
            """),
    ClientConversation(
        "no SMTP at all",
        """
        S: HTTP/1.1 400 Bad Request
        = close malformed
        """),
    ClientConversation(
        "a reply that nobody asked for",
        plain + """
            S: 250 and another thing
            = close refused 250
            """),
]

@Suite struct ClientConversationTests {
    @Test(arguments: clientConversations)
    func goesAsWritten(_ conversation: ClientConversation) {
        for pieces in [Int.max, 1] { play(conversation, pieces) }
    }

    private func play(_ conversation: ClientConversation, _ pieceMax: Int) {
        var machine = SMTPClientMachine(conversation.configuration)
        var actions: [SMTPClientAction] = []
        var said: [String] = []
        for line in conversation.script.split(separator: "\n") {
            let rest = String(line.dropFirst(line.hasPrefix("S:") || line.hasPrefix("C:") ? 3 : 2))
            switch line.prefix(1) {
            case "S":
                let octets = Array((rest + "\r\n").utf8)
                var start = 0
                while start < octets.count {
                    let end = pieceMax < octets.count ? start + pieceMax : octets.count
                    Array(octets[start..<end]).withUnsafeBytes { machine.receive($0, into: &actions) }
                    start = end
                }
            case "+": event(rest, conversation, &machine, &actions)
            default:
                said += actions.flatMap(describe)
                actions = []
                let next = said.isEmpty ? "nothing" : said.removeFirst()
                #expect(next == String(line), "\(conversation.name), pieces of \(pieceMax)")
            }
        }
        #expect((said + actions.flatMap(describe)).isEmpty, "\(conversation.name): said more than was expected")
        // Whatever state it is in, a message under way is answered when the connection goes.
        actions = []
        let wasSending = machine.isSending
        machine.disconnected(into: &actions)
        let answers = actions.filter { if case .finished = $0 { true } else { false } }
        #expect(answers.count == (wasSending ? 1 : 0))
        #expect(machine.isClosed)
    }

    private func event(
        _ name: String, _ conversation: ClientConversation, _ machine: inout SMTPClientMachine,
        _ actions: inout [SMTPClientAction]
    ) {
        switch name {
        case "send": machine.send(conversation.message, into: &actions)
        case "sent": machine.bodySent(into: &actions)
        case "secured": machine.tlsStarted(into: &actions)
        case "quit": machine.quit(into: &actions)
        case "lost": machine.disconnected(into: &actions)
        default: Issue.record("no event \(name)")
        }
    }

    private func describe(_ action: SMTPClientAction) -> [String] {
        switch action {
        case .send(let octets):
            return String(decoding: octets, as: UTF8.self).split(separator: "\r\n").map { "C: \($0)" }
        case .startTLS: return ["= tls"]
        case .ready: return ["= ready"]
        case .sendBody: return ["= body"]
        case .sendChunk: return ["= chunk"]
        case .prove: return ["= prove"]
        case .finished(let outcomes): return ["= " + outcomes.map(describe).joined(separator: ", ")]
        case .close(.refused(let reply)): return ["= close refused \(reply.code)"]
        case .close(let end): return ["= close \(end)"]
        }
    }

    private func describe(_ outcome: SMTPRecipientOutcome) -> String {
        switch outcome {
        case .delivered(let reply): "delivered \(reply.code)"
        case .deferred(let reply): "deferred \(reply.code)"
        case .failed(let reply): "failed \(reply.code)"
        case .incapable(let reply): "incapable \(reply.code)"
        case .unanswered: "unanswered"
        }
    }
}
