import MailTypes
import POP3
import Testing

private let login = "USER mrose\r\nPASS tan staaf\r\n"

@Suite struct LifecycleTests {
    /// RFC 2449 section 8 and RFC 3206: why a login failed.
    @Test(arguments: [
        (POP3LoginResult.failure, "-ERR [AUTH] "), (.inUse, "-ERR [IN-USE] "), (.tooSoon, "-ERR [LOGIN-DELAY] "),
        (.temporary, "-ERR [SYS/TEMP] "),
    ])
    func failedLogins(_ result: POP3LoginResult, _ start: String) {
        var site = Site()
        site.login = result
        let record = Session.run(login + "STAT\r\n", site: site)
        #expect(record.lines.suffix(2).first!.hasPrefix(start))
        #expect(record.lines.last == "-ERR Log in first")
    }

    @Test func credentialsCannotBePrinted() {
        let credentials = POP3Credentials(user: "mrose", password: Array("tanstaaf".utf8))
        var dumped = ""
        dump(credentials, to: &dumped)
        let texts = [
            "\(credentials)", String(reflecting: credentials), dumped, "\(POP3Action.login(credentials))",
            String(reflecting: POP3Action.login(credentials)),
        ]
        for text in texts {
            #expect(!text.contains("mrose") && !text.contains("tanstaaf") && !text.contains("116"), "\(text)")
        }
    }

    @Test func shutdownBetweenCommands() {
        var session = Session()
        session.send(login + "DELE 1\r\n")
        session.tell { $0.shuttingDown(into: &$1) }
        #expect(session.record.closed == .shuttingDown)
        #expect(session.record.deleted.isEmpty)
    }

    @Test func shutdownWaitsForTheAnswer() {
        var machine = POP3ServerMachine(Site().configuration)
        var actions: [POP3Action] = []
        machine.start(into: &actions)
        let input = Array((login + "NOOP\r\n").utf8)
        let consumed = input.withUnsafeBytes { machine.receive($0, into: &actions) }
        #expect(consumed == input.count - 6, "what follows PASS waits")
        actions = []
        machine.shuttingDown(into: &actions)
        machine.timedOut(into: &actions)
        #expect(actions.isEmpty)
        machine.loginFinished(.success(Site.maildrop), into: &actions)
        #expect(actions.last == .close(.shuttingDown))
        machine.loginFinished(.failure, into: &actions)
        #expect(actions.count == 2, "a late answer is passed over")
    }

    @Test func brokenTransferClosesWithoutAWord() {
        var machine = POP3ServerMachine(Site().configuration)
        var actions: [POP3Action] = []
        machine.start(into: &actions)
        _ = Array(login.utf8).withUnsafeBytes { machine.receive($0, into: &actions) }
        machine.loginFinished(.success(Site.maildrop), into: &actions)
        _ = Array("RETR 1\r\n".utf8).withUnsafeBytes { machine.receive($0, into: &actions) }
        machine.bodyOpened(.opened, into: &actions)
        actions = []
        machine.transferFailed(into: &actions)
        #expect(actions == [.close(.transferFailed)])
        #expect(machine.isClosed)
    }

    @Test func bodyThatCannotBeReadNow() {
        var site = Site()
        site.body = .temporary
        #expect(Session.run(login + "RETR 1\r\n", site: site).lines.last!.hasPrefix("-ERR [SYS/TEMP] "))
    }

    @Test func tooManyConnections() {
        var session = Session(greeted: false)
        session.tell { $0.refuseConnection(into: &$1) }
        #expect(session.record.lines == ["-ERR [SYS/TEMP] Too many connections, try again later"])
        #expect(session.record.closed == .tooManyConnections)
    }

    @Test func closedSessionsSwallowInput() {
        var session = Session()
        session.send("QUIT\r\nSTAT\r\n")
        session.send("more")
        #expect(session.record.lines.last == "+OK Closing")
        #expect(session.record.closed == .quit)
    }

    @Test func maildropStaysSmall() {
        #expect(MemoryLayout<POP3Maildrop.Message>.stride == 8)
    }
}
