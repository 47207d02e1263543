// The machine's states: what each command and each answer leads to.
import IMAP
import MailTypes
import Testing

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

@Suite struct MachineTests {
    @Test func fromGreetingToLogout() {
        var session = Session()
        session.send("a LOGIN u {1}\r\np\r\nb SELECT INBOX\r\nc NOOP\r\nd LOGOUT\r\ne NOOP\r\n")
        #expect(session.sent.suffix(3) == ["c OK Done", "* BYE Logging out", "d OK Done"])
        #expect(session.actions.last == .close(.logout))
        #expect(session.machine.isClosed)
    }

    /// An empty literal that is waited for has not come when its header has (RFC 9051 section 4.3).
    @Test func emptyLiteral() {
        var session = Session()
        session.send("a LOGIN u p\r\n")
        session.send("b LIST {0}\r\n")
        #expect(session.sent.last == "+ OK")
        session.send(" {0}\r\n")
        #expect(session.sent.last == "+ OK")
        session.send("\r\nc NOOP\r\n")
        #expect(session.sent.suffix(2) == ["b OK Done", "c OK Done"])
    }

    @Test func greeting() {
        var machine = IMAPServerMachine(Session.configuration)
        var actions: [IMAPAction] = []
        machine.start(into: &actions)
        guard case .reply(let reply)? = actions.first else {
            Issue.record("no greeting")
            return
        }
        let text = String(decoding: reply.bytes, as: UTF8.self)
        #expect(text.hasPrefix("* OK [CAPABILITY IMAP4rev1 IMAP4rev2 "))
        #expect(text.hasSuffix("] imap.example.test IMAP Letterlog\r\n"))
    }

    @Test func refusedConnection() {
        var machine = IMAPServerMachine(Session.configuration)
        var actions: [IMAPAction] = []
        machine.refuseConnection(into: &actions)
        #expect(
            actions == [
                .reply(.untagged(.bye("Too many connections, try again later", code: .unavailable))),
                .close(.tooManyConnections),
            ])
    }

    // MARK: Capabilities

    @Test func capabilitiesByState() {
        var session = Session()
        let before = session.machine.capabilityNames
        #expect(
            before == [
                "IMAP4rev1", "IMAP4rev2", "LITERAL+", "SASL-IR", "ENABLE", "ID", "STARTTLS", "AUTH=SCRAM-SHA-256",
                "AUTH=PLAIN",
            ])
        session.send("a LOGIN u p\r\n")
        let after = session.machine.capabilityNames
        #expect(after.contains("QRESYNC") && after.contains("APPENDLIMIT=100000") && after.contains("COMPRESS=DEFLATE"))
        #expect(!after.contains("STARTTLS") && !after.contains { $0.hasPrefix("AUTH=") })
        #expect(Set(after).count == after.count)
        session.send("b CAPABILITY\r\n")
        #expect(session.sent.suffix(2) == ["* CAPABILITY " + after.joined(separator: " "), "b OK Done"])
    }

    @Test func loginDisabledWithoutEncryption() {
        var configuration = Session.configuration
        configuration.allowsPlaintextLogin = false
        configuration.mechanisms = ["SCRAM-SHA-256"]
        configuration.mechanismsUnderTLS = ["PLAIN"]
        configuration.usesLiteralMinus = true
        var session = Session(configuration)
        #expect(session.machine.capabilityNames.contains("LOGINDISABLED"))
        #expect(session.machine.capabilityNames.contains("LITERAL-"))
        session.send("a LOGIN u p\r\nb AUTHENTICATE PLAIN AHUAcA==\r\nc AUTHENTICATE LOGIN\r\n")
        #expect(
            session.sent == [
                "a NO [PRIVACYREQUIRED] Passwords are not taken over an unencrypted connection",
                "b NO [PRIVACYREQUIRED] Passwords are not taken over an unencrypted connection",
                "c NO [CANNOT] There is no such mechanism",
            ])
        #expect(session.actions.isEmpty)
    }

    /// What an account is not offered is not there for it.
    @Test func hiddenCapabilities() {
        var session = Session()
        session.answer = { action, machine, actions in
            if case .login = action {
                machine.loginFinished(
                    .success(hidden: [.compressDeflate, .qresync, .idle, .imap4rev2]), into: &actions)
            } else {
                Session.sayYes(action, &machine, &actions)
            }
        }
        session.send("a LOGIN u p\r\nb COMPRESS DEFLATE\r\nc ENABLE QRESYNC CONDSTORE\r\nd IDLE\r\ne MOVE 1 x\r\n")
        #expect(session.sent[1].hasPrefix("b BAD "))
        #expect(session.sent[2...3] == ["* ENABLED CONDSTORE", "c OK Done"])
        #expect(session.sent[4].hasPrefix("d BAD "))
        #expect(session.sent[5] == "e BAD Select a mailbox first")
        // IMAP4rev2 has MOVE in itself, so hiding the name alone does not take the command away.
        var other = Session()
        other.answer = { action, machine, actions in
            if case .login = action {
                machine.loginFinished(.success(hidden: [.move]), into: &actions)
            } else {
                Session.sayYes(action, &machine, &actions)
            }
        }
        other.send("a LOGIN u p\r\nb SELECT x\r\nc MOVE 1 y\r\n")
        #expect(other.performed.last == .move(set((1, 1)), name("y"), isUID: false))
        #expect(!other.machine.capabilityNames.contains("MOVE"))
    }

    /// What belongs to an extension among the arguments of other commands goes with it.
    @Test(arguments: [
        ("FETCH 1 SAVEDATE", IMAPCapability.saveDate), ("FETCH 1 (UID PREVIEW (LAZY))", .preview),
        ("FETCH 1 EMAILID", .objectID), ("FETCH 1 THREADID", .objectID), ("FETCH 1 MODSEQ", .condstore),
        ("FETCH 1 UID (CHANGEDSINCE 1)", .condstore), ("STORE 1 (UNCHANGEDSINCE 1) FLAGS ()", .condstore),
        ("SELECT x (CONDSTORE)", .condstore), ("SEARCH NOT SAVEDATESUPPORTED", .saveDate),
        ("SEARCH SAVEDON 1-Jan-2020", .saveDate), ("SEARCH OLDER 5", .within), ("SEARCH EMAILID x", .objectID),
        ("SEARCH OR ALL MODSEQ 1", .condstore), ("STATUS x (HIGHESTMODSEQ)", .condstore),
        ("STATUS x (APPENDLIMIT)", .appendLimit), ("STATUS x (MAILBOXID)", .objectID),
        ("STATUS x (DELETED-STORAGE)", .quotaStorage), ("SORT (DISPLAYTO) UTF-8 ALL", .sortDisplay),
        ("THREAD REFERENCES UTF-8 ALL", .threadReferences), ("THREAD ORDEREDSUBJECT UTF-8 ALL", .threadOrderedSubject),
        ("CREATE x (USE (\\Sent))", .createSpecialUse), ("APPEND x {1+}\r\na {1+}\r\nb", .multiAppend),
        ("APPEND x CATENATE (URL /x)", .catenate), ("APPEND x UTF8 (~{1+}\r\na)", .utf8Accept),
        ("REPLACE 1 x {1+}\r\na", .replace),
    ])
    func argumentsOfHiddenCapabilities(_ command: String, _ capability: IMAPCapability) {
        var offering = Session.loggedIn(selected: true)
        offering.send("a \(command)\r\n")
        #expect(offering.sent.last?.hasPrefix("a OK ") == true)
        var configuration = Session.configuration
        configuration.capabilities.remove(capability)
        var session = Session.loggedIn(selected: true, configuration)
        session.send("a \(command)\r\nb NOOP\r\n")
        #expect(session.sent.count == 2 && session.sent[0].hasPrefix("a BAD ") && session.sent[1] == "b OK Done")
    }

    // MARK: Logging in

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

    // MARK: Mailboxes

    @Test func selectingAnotherMailbox() {
        var session = Session.loggedIn(selected: true)
        session.send("a EXAMINE x\r\n")
        #expect(
            session.entries == [
                .action(.leaveMailbox), .sent("* OK [CLOSED] Previous mailbox closed"),
                .action(.perform(.select(SelectRequest(mailbox: name("x"), isReadOnly: true)))),
                .sent("a OK [READ-ONLY] Selected"),
            ])
        #expect(session.machine.state == .selected(isReadOnly: true))
    }

    /// RFC 9051 section 6.3.2: after a SELECT that fails nothing is selected; after one that is BAD all is as it was.
    @Test func selectThatFails() {
        var session = Session.loggedIn(selected: true)
        session.answer = { action, machine, actions in
            if case .perform = action { machine.commandFinished(.no("No", code: .nonExistent), into: &actions) }
        }
        session.send("a SELECT x (\r\n")
        #expect(session.machine.isSelected)
        session.send("b SELECT x\r\n")
        #expect(session.machine.state == .authenticated)
        #expect(session.sent.last == "b NO [NONEXISTENT] No")
        var other = Session.loggedIn(selected: true)
        other.send("a SELECT a//b\r\n")
        #expect(other.actions == [.leaveMailbox])
        #expect(other.machine.state == .authenticated)
    }

    @Test func leavingAMailbox() {
        for verb in ["CLOSE", "UNSELECT"] {
            var session = Session.loggedIn(selected: true)
            session.send("a \(verb)\r\nb FETCH 1 FLAGS\r\n")
            #expect(session.sent == ["a OK Done", "b BAD Select a mailbox first"])
        }
    }

    /// RFC 8437.
    @Test func unauthenticate() {
        var session = Session.loggedIn(selected: true)
        session.send("a ENABLE QRESYNC\r\nb UNAUTHENTICATE\r\nc SELECT INBOX\r\nd LOGIN u p\r\n")
        #expect(session.sent[3] == "c BAD Log in first")
        #expect(session.machine.isLoggedIn && session.machine.enabled == [])
    }

    // MARK: ENABLE and CONDSTORE

    @Test func enable() {
        var session = Session.loggedIn()
        session.send("a ENABLE x qresync IMAP4REV2 QRESYNC\r\nb ENABLE x\r\nc ENABLE utf8=accept\r\n")
        #expect(
            session.sent == [
                "* ENABLED QRESYNC IMAP4rev2", "a OK Done", "* ENABLED", "b OK Done", "* ENABLED UTF8=ACCEPT",
                "c OK Done",
            ])
        #expect(session.machine.enabled == [.condstore, .qresync, .rev2, .utf8Accept])
        #expect(session.actions.isEmpty)
        // RFC 6855 section 3.
        session.send("d SELECT x\r\ne SEARCH CHARSET UTF-8 ALL\r\n")
        #expect(session.sent.last?.hasPrefix("e BAD ") == true)
    }

    /// RFC 7162 section 3.1: the first CONDSTORE enabling command with a mailbox selected tells HIGHESTMODSEQ.
    @Test(arguments: [
        "FETCH 1 MODSEQ", "FETCH 1 FLAGS (CHANGEDSINCE 1)", "STORE 1 (UNCHANGEDSINCE 1) FLAGS ()",
        "SEARCH NOT (MODSEQ 1)", "STATUS x (HIGHESTMODSEQ)", "ENABLE CONDSTORE", "ENABLE QRESYNC",
        "LIST \"\" * RETURN (STATUS (HIGHESTMODSEQ))", "SORT (DATE) UTF-8 MODSEQ 7",
    ])
    func condstoreEnabling(_ command: String) {
        var session = Session.loggedIn(selected: true)
        session.send("a NOOP\r\nb \(command)\r\nc \(command)\r\n")
        #expect(session.actions.count { $0 == .condstoreBegan } == 1)
        let place = session.entries.firstIndex(of: .action(.condstoreBegan))!
        #expect(place < session.entries.firstIndex(of: .sent("b OK Done"))!)
        #expect(session.machine.enabled.contains(.condstore))
        var unselected = Session.loggedIn()
        unselected.send("a SELECT x (CONDSTORE)\r\n")
        #expect(!unselected.actions.contains(.condstoreBegan))
        #expect(unselected.machine.enabled == .condstore)
    }

    // MARK: IDLE

    @Test func idle() {
        var session = Session.loggedIn(selected: true)
        session.send("a IDLE\r\n")
        #expect(session.entries == [.sent("+ idling"), .action(.startIdle)])
        #expect(session.machine.isIdle && !session.machine.isWaiting)
        session.send("done\r\n")
        #expect(session.entries.dropFirst(2) == [.action(.stopIdle), .sent("a OK Done")])
    }

    /// Rule 15: commands pipelined around IDLE and DONE, empty lines in front of either.
    @Test func idleWithPipelinedCommands() {
        let text = bytes("\r\na NOOP\r\nb IDLE\r\n\r\nDONE\r\n\r\nc NOOP\r\nd IDLE\r\nDONE\r\n")
        for entries in everyCut(text, from: Session.loggedIn(selected: true)) {
            #expect(
                entries == [
                    .action(.perform(.noop)), .sent("a OK Done"),
                    .sent("+ idling"), .action(.startIdle), .action(.stopIdle), .sent("b OK Done"),
                    .action(.perform(.noop)), .sent("c OK Done"),
                    .sent("+ idling"), .action(.startIdle), .action(.stopIdle), .sent("d OK Done"),
                ])
        }
    }

    @Test func idleEndedByAnotherLine() {
        var session = Session.loggedIn(selected: true)
        session.send("a IDLE\r\nb NOOP\r\nc NOOP\r\n")
        #expect(session.sent == ["+ idling", "a BAD DONE expected", "c OK Done"])
    }

    // MARK: One at a time

    @Test func pipelinedCommandsWait() {
        var session = Session.loggedIn(selected: true)
        session.answer = { _, _, _ in }
        session.send("a FETCH 1 FLAGS\r\nb NOOP\r\n")
        #expect(session.actions.count == 1 && session.machine.isWaiting)
        #expect(session.machine.tag == "a")
        session.answer = Session.sayYes
        session.tell { $0.commandFinished(.ok("Done"), into: &$1) }
        #expect(session.sent == ["a OK Done", "b OK Done"])
    }

    @Test func compression() {
        var session = Session.loggedIn()
        session.answer = { _, _, _ in }
        session.send("a COMPRESS DEFLATE\r\nxxxx")
        #expect(session.entries == [.sent("a OK Compression begins"), .action(.startCompression)])
        // What comes behind is for the inflater: it is not consumed.
        #expect(session.machine.isWaiting)
        var other = Session.loggedIn()
        other.send("a COMPRESS DEFLATE\r\nb COMPRESS DEFLATE\r\n")
        #expect(other.sent.last == "b NO [COMPRESSIONACTIVE] The connection is compressed already")
        #expect(!other.machine.capabilityNames.contains("COMPRESS=DEFLATE"))
    }

    @Test func identification() {
        var session = Session()
        session.send("a ID NIL\r\nb ID (\"name\" \"x\" \"version\" NIL)\r\nc NAMESPACE\r\n")
        #expect(session.sent.prefix(2) == ["* ID (\"name\" \"Letterlog\")", "a OK Done"])
        #expect(
            session.actions == [.identified([]), .identified([IMAPIDField("name", "x"), IMAPIDField("version", nil)])])
        #expect(session.sent.last == "c BAD Log in first")
        session.send("d LOGIN u p\r\ne NAMESPACE\r\n")
        #expect(session.sent.suffix(2) == ["* NAMESPACE ((\"\" \"/\")) NIL NIL", "e OK Done"])
    }

    // MARK: Ends

    @Test func shuttingDown() {
        let bye = "* BYE [UNAVAILABLE] Shutting down, try again later"
        var idle = Session.loggedIn(selected: true)
        idle.send("a IDLE\r\n")
        idle.tell { $0.shuttingDown(into: &$1) }
        #expect(idle.sent.last == bye && idle.actions.last == .close(.shuttingDown))
        // A command that is being performed is answered first.
        var busy = Session.loggedIn(selected: true)
        busy.answer = { _, _, _ in }
        busy.send("a FETCH 1 FLAGS\r\nb NOOP\r\n")
        busy.tell { $0.shuttingDown(into: &$1) }
        #expect(busy.sent == [])
        busy.tell { $0.commandFinished(.ok("Done"), into: &$1) }
        #expect(busy.sent == ["a OK Done", bye] && busy.actions.last == .close(.shuttingDown))
    }

    @Test func silence() {
        var session = Session.loggedIn()
        session.answer = { _, _, _ in }
        session.send("a NOOP\r\n")
        session.tell { $0.timedOut(into: &$1) }
        #expect(!session.machine.isClosed)
        session.tell { $0.commandFinished(.ok("Done"), into: &$1) }
        session.tell { $0.timedOut(into: &$1) }
        #expect(session.sent.last == "* BYE Silent for too long" && session.actions.last == .close(.timedOut))
        session.tell { $0.disconnected(into: &$1) }
        #expect(session.actions.last == .close(.timedOut))
    }

    @Test func endedByTheHandler() {
        var session = Session.loggedIn(selected: true)
        session.send("a IDLE\r\n")
        session.tell { $0.end(.unavailable, "Account disabled", into: &$1) }
        #expect(session.sent.last == "* BYE [UNAVAILABLE] Account disabled" && session.actions.last == .close(.ended))
        // An answer that comes too late is passed over.
        session.tell { $0.commandFinished(.ok("Done"), into: &$1) }
        #expect(session.actions.last == .close(.ended))
    }

    @Test func goneInTheMiddle() {
        var session = Session.loggedIn()
        session.send("a APPEND INBOX {10}\r\nabc")
        session.tell { $0.disconnected(into: &$1) }
        #expect(session.actions.suffix(2) == [.discardAppend, .close(.disconnected)])
        var login = Session()
        login.send("a AUTHENTICATE PLAIN\r\n")
        login.tell { $0.disconnected(into: &$1) }
        #expect(login.actions.suffix(2) == [.authenticationCancelled, .close(.disconnected)])
    }
}
