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
