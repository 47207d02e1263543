import IMAP
import MailTypes
import Testing

@Suite struct MachineTests {
    @Test func fromGreetingToLogout() {
        var session = Session()
        session.send("a LOGIN u {1}\r\np\r\nb SELECT INBOX\r\nc NOOP\r\nd LOGOUT\r\n")
        #expect(session.sent.last == "d OK Done")
        #expect(session.sent.dropLast().last == "* BYE Logging out")
        #expect(session.actions.last == .close(.logout))
        #expect(session.machine.isClosed)
    }
}
