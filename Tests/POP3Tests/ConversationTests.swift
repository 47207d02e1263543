// Whole conversations as a mail admin would read them. `C:` is the client, `S:` the server; replies are expected
// exactly there, line by line. Each is then fed again split at every octet and octet by octet.
import InputSupport
import MailTypes
import POP3
import Testing

struct Conversation: Sendable, CustomTestStringConvertible {
    let name: String
    let site: Site
    let script: ConversationScript

    init(_ name: String, _ site: Site, _ script: String) {
        self.name = name
        self.site = site
        self.script = ConversationScript(script)
    }

    init(_ name: String, _ script: String) { self.init(name, Site(), script) }

    var testDescription: String { name }
}

let conversations: [Conversation] =
    [
        Conversation(
            "reading and deleting",
            """
            S: +OK pop.example.test POP3 Letterlog
            C: USER mrose
            S: +OK Send PASS
            C: PASS tan staaf
            S: +OK Maildrop has 3 messages (89 octets)
            C: STAT
            S: +OK 3 89
            C: LIST
            S: +OK 3 messages (89 octets)
            S: 1 41
            S: 2 30
            S: 3 18
            S: .
            C: LIST 2
            S: +OK 2 30
            C: UIDL
            S: +OK 3 messages (89 octets)
            S: 1 000000015f000001
            S: 2 kept-from-before
            S: 3 000000155f000001
            S: .
            C: UIDL 1
            S: +OK 1 000000015f000001
            C: RETR 1
            S: +OK 41 octets
            S: Subject: one
            S:
            S: first
            S: ..second
            S: ...third
            S: .
            C: RETR 2
            S: +OK 30 octets
            S: Subject: two
            S:
            S: no end of line
            S: .
            C: TOP 1 0
            S: +OK Top of message follows
            S: Subject: one
            S:
            S: .
            C: top 1 2
            S: +OK Top of message follows
            S: Subject: one
            S:
            S: first
            S: ..second
            S: .
            C: TOP 3 10
            S: +OK Top of message follows
            S: Subject: three
            S:
            S: .
            C: DELE 2
            S: +OK Message 2 marked as deleted
            C: DELE 2
            S: -ERR Message 2 is marked as deleted
            C: STAT
            S: +OK 2 59
            C: LIST
            S: +OK 2 messages (59 octets)
            S: 1 41
            S: 3 18
            S: .
            C: LIST 2
            S: -ERR Message 2 is marked as deleted
            C: RETR 2
            S: -ERR Message 2 is marked as deleted
            C: TOP 2 1
            S: -ERR Message 2 is marked as deleted
            C: RSET
            S: +OK Maildrop has 3 messages (89 octets)
            C: DELE 1
            S: +OK Message 1 marked as deleted
            C: DELE 3
            S: +OK Message 3 marked as deleted
            C: NOOP
            S: +OK
            C: QUIT
            S: +OK Closing, marked messages removed
            """),
        Conversation(
            "order of commands and their arguments",
            """
            S: +OK pop.example.test POP3 Letterlog
            C: STAT
            S: -ERR Log in first
            C: RETR 1
            S: -ERR Log in first
            C: PASS early
            S: -ERR USER comes first
            C: USER
            S: -ERR USER needs a name
            C: USER nobody
            S: +OK Send PASS
            C: PASS guess
            S: -ERR [AUTH] Wrong name or password
            C: PASS tan staaf
            S: -ERR USER comes first
            C: USER mrose
            S: +OK Send PASS
            C: PASS tan staaf\u{20}
            S: -ERR [AUTH] Wrong name or password
            C: USER mrose
            S: +OK Send PASS
            C: PASS
            S: -ERR PASS needs a password
            C: user mrose
            S: +OK Send PASS
            C: pass tan staaf
            S: +OK Maildrop has 3 messages (89 octets)
            C: USER mrose
            S: -ERR Already logged in
            C: LAST
            S: -ERR Command not known here
            C: RETR
            S: -ERR RETR needs a message number
            C: RETR 0
            S: -ERR No such message, 3 in maildrop
            C: RETR 4
            S: -ERR No such message, 3 in maildrop
            C: RETR -1
            S: -ERR RETR needs a message number
            C: RETR 99999999999
            S: -ERR RETR needs a message number
            C: TOP 1
            S: -ERR TOP needs a message number and a number of lines
            C: LIST 1 2
            S: -ERR The argument is a message number
            C: DELE x
            S: -ERR DELE needs a message number
            C: DELE 9
            S: -ERR No such message, 3 in maildrop
            C: STAT now
            S: -ERR STAT takes no argument
            C: QUIT
            S: +OK Closing
            """),
        Conversation(
            "messages that cannot be removed (RFC 1939 section 6)", .deletesFail,
            """
            S: +OK pop.example.test POP3 Letterlog
            C: USER mrose
            S: +OK Send PASS
            C: PASS tan staaf
            S: +OK Maildrop has 3 messages (89 octets)
            C: DELE 2
            S: +OK Message 2 marked as deleted
            C: QUIT
            S: -ERR [SYS/TEMP] Some deleted messages not removed
            """),
        Conversation(
            "a body that has been erased since login", .bodyGone,
            """
            S: +OK pop.example.test POP3 Letterlog
            C: USER mrose
            S: +OK Send PASS
            C: PASS tan staaf
            S: +OK Maildrop has 3 messages (89 octets)
            C: RETR 1
            S: -ERR Message is no longer there
            C: NOOP
            S: +OK
            """),
    ] + capabilityConversations + authConversations

extension Site {
    static let deletesFail: Site = {
        var site = Site()
        site.deletesSucceed = false
        return site
    }()
    static let bodyGone: Site = {
        var site = Site()
        site.body = .gone
        return site
    }()
}

@Suite struct ConversationTests {
    @Test(arguments: conversations)
    func repliesComeInTurn(_ conversation: Conversation) {
        var session = Session(conversation.site)
        var seen = 0
        for step in conversation.script.steps {
            session.send(step.client)
            let lines = session.record.lines
            #expect(Array(lines[seen...]) == step.server, "after \(step.client)")
            seen = lines.count
        }
    }

    @Test(arguments: conversations)
    func cutsDoNotMatter(_ conversation: Conversation) {
        let input = conversation.script.input
        let whole = Session.run(input, site: conversation.site)
        #expect(Session.run(input, .octetByOctet, site: conversation.site) == whole)
        for index in 0...input.count {
            let split = Session.run(input, .splitAt(index), site: conversation.site)
            if split != whole {
                #expect(split == whole, "split at \(index)")
                return
            }
        }
    }

    @Test func onlyQuitDeletes() {
        let login = "USER mrose\r\nPASS tan staaf\r\nDELE 1\r\nDELE 3\r\n"
        #expect(Session.run(login + "QUIT\r\n").deleted == [UID(1), UID(21)])
        #expect(Session.run(login + "RSET\r\nQUIT\r\n").deleted.isEmpty)
        var session = Session()
        session.send(login)
        session.tell { $0.timedOut(into: &$1) }
        #expect(session.record.deleted.isEmpty)
        #expect(session.record.closed == .timedOut)
        #expect(session.record.lines.last == "+OK Message 3 marked as deleted", "no word at a time-out")
    }
}
