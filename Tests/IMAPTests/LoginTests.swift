// LOGIN, AUTHENTICATE and STARTTLS: what is asked of the handler, and what its answers lead to.
import IMAP
import Testing

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

@Suite struct LoginTests {
    @Test func authenticateWithChallenge() {
        var session = Session()
        session.send("a AUTHENTICATE plain\r\nAHUAcA==\r\n")
        #expect(
            session.entries.dropLast() == [
                .action(.authenticate(mechanism: "PLAIN", initialResponse: nil)), .sent("+ "),
                .action(.authenticationResponse(bytes("\0u\0p"))),
            ])
        #expect(session.sent.last?.hasPrefix("a OK [CAPABILITY ") == true)
        #expect(session.machine.isLoggedIn)
    }

    @Test func initialResponse() {
        var session = Session()
        session.send("a AUTHENTICATE PLAIN AHUAcA==\r\n")
        #expect(session.actions == [.authenticate(mechanism: "PLAIN", initialResponse: bytes("\0u\0p"))])
        var empty = Session()
        empty.send("a AUTHENTICATE PLAIN =\r\n")
        #expect(empty.actions == [.authenticate(mechanism: "PLAIN", initialResponse: [])])
    }

    @Test(arguments: ["*", "not base64", "AAA", String(repeating: "A", count: IMAPLimits.saslLineOctetsMax + 100)])
    func exchangeBrokenOff(_ line: String) {
        var start = Session()
        start.send("a AUTHENTICATE PLAIN\r\n")
        start.entries = []
        for pieces in [Pieces.whole, .octets(1), .octets(100)] {
            var session = start
            session.send("\(line)\r\nb NOOP\r\n", pieces)
            #expect(session.actions == [.authenticationCancelled])
            #expect(session.sent.count == 2 && session.sent[0].hasPrefix("a BAD ") && session.sent[1] == "b OK Done")
            #expect(!session.machine.isLoggedIn)
        }
    }

    /// An empty line is an empty response, and no line to pass over.
    @Test func emptyResponse() {
        var session = Session()
        session.send("a AUTHENTICATE PLAIN\r\n\r\n")
        #expect(session.actions.last == .authenticationResponse([]))
    }

    @Test func everyLoginResult() {
        let results: [(IMAPLoginResult, String)] = [
            (.failure, "a NO [AUTHENTICATIONFAILED] Wrong name or password"),
            (.notAuthorized, "a NO [AUTHORIZATIONFAILED] This login is not allowed"),
            (.malformed, "a BAD The exchange is malformed"),
            (.unknownMechanism, "a NO [CANNOT] There is no such mechanism"),
            (.limited, "a NO [LIMIT] Too many logins, try again later"),
            (.temporary, "a NO [UNAVAILABLE] Logins are not possible now, try again later"),
        ]
        for (result, reply) in results {
            var session = Session()
            session.answer = { action, machine, actions in
                if case .login = action { machine.loginFinished(result, into: &actions) }
            }
            session.send("a LOGIN u p\r\n")
            #expect(session.sent == [reply])
            #expect(!session.machine.isLoggedIn)
        }
    }

    @Test func tooManyFailedLogins() {
        var session = Session()
        session.answer = { action, machine, actions in
            if case .login = action { machine.loginFinished(.failure, into: &actions) }
        }
        for _ in 0..<10 { session.send("a LOGIN u p\r\n") }
        #expect(session.sent.count == IMAPLimits.loginFailuresMax + 1)
        #expect(session.sent.last == "* BYE Too many failed logins")
        #expect(session.actions.last == .close(.tooManyLoginFailures))
    }

    @Test func startTLS() {
        var configuration = Session.configuration
        configuration.allowsPlaintextLogin = false
        configuration.mechanisms = []
        var machine = IMAPServerMachine(configuration)
        var actions: [IMAPAction] = []
        machine.start(into: &actions)
        actions = []
        // What is pipelined behind STARTTLS in the clear is never seen.
        let input = bytes("a STARTTLS\r\nb LOGIN evil evil\r\n")
        let consumed = input.withUnsafeBytes { machine.receive($0, into: &actions) }
        #expect(consumed == input.count)
        #expect(actions == [.reply(.tagged("a", .ok("Begin TLS now"))), .startTLS])
        #expect(machine.isWaiting)
        configuration.allowsPlaintextLogin = true
        machine.tlsStarted(configuration, into: &actions)
        #expect(!machine.isWaiting)
        #expect(!machine.capabilityNames.contains("STARTTLS"))
        actions = []
        _ = bytes("c LOGIN u p\r\nd NOOP\r\n").withUnsafeBytes { machine.receive($0, into: &actions) }
        #expect(actions == [.login(IMAPCredentials(user: "u", password: bytes("p")))])
    }

    @Test func credentialsAreNotPrinted() {
        let credentials = IMAPCredentials(user: "alice", password: bytes("secret"))
        #expect(!"\(credentials) \(String(reflecting: credentials))".contains("secret"))
        var dumped = ""
        dump(IMAPAction.login(credentials), to: &dumped)
        #expect(!dumped.contains("115"))
    }
}
