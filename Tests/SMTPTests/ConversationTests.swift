// Whole conversations as a mail admin would read them. `C:` is the client, `S:` the server; replies are expected
// exactly there, line by line. Each is then fed again split at every octet and octet by octet.
import InputSupport
import MailTypes
import SMTP
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
            "a message to two of three recipients",
            """
            S: 220 mx.example.test ESMTP Letterlog
            C: EHLO client.example
            S: 250-mx.example.test
            S: 250-PIPELINING
            S: 250-SIZE 52428800
            S: 250-8BITMIME
            S: 250-ENHANCEDSTATUSCODES
            S: 250-SMTPUTF8
            S: 250-CHUNKING
            S: 250-BINARYMIME
            S: 250 LIMITS RCPTMAX=1000
            C: MAIL FROM:<sender@client.example> SIZE=100 BODY=8BITMIME
            S: 250 2.1.0 Sender accepted
            C: RCPT TO:<alice@example.test>
            S: 250 2.1.5 Recipient accepted
            C: RCPT TO:<nobody@example.test>
            S: 550 5.1.1 No such mailbox here
            C: RCPT TO:<bob@example.test>
            S: 250 2.1.5 Recipient accepted
            C: DATA
            S: 354 End data with <CR><LF>.<CR><LF>
            C: Subject: hello
            C:
            C: ..a dot
            C: .
            S: 250 2.6.0 Stored as 42
            C: QUIT
            S: 221 2.0.0 Closing
            """),
        Conversation(
            "LMTP answers each recipient, repeats included (RFC 2033 section 4.2)", .lmtpWithOneFull,
            """
            S: 220 mx.example.test LMTP Letterlog
            C: EHLO client.example
            S: 500 5.5.1 Command not known here
            C: LHLO client.example
            S: 250-mx.example.test
            S: 250-PIPELINING
            S: 250-SIZE 52428800
            S: 250-8BITMIME
            S: 250-ENHANCEDSTATUSCODES
            S: 250-SMTPUTF8
            S: 250-CHUNKING
            S: 250-BINARYMIME
            S: 250 LIMITS RCPTMAX=1000
            C: MAIL FROM:<chris@bar.example>
            S: 250 2.1.0 Sender accepted
            C: RCPT TO:<pat@foo.example>
            S: 250 2.1.5 Recipient accepted
            C: RCPT TO:<jones@foo.example>
            S: 250 2.1.5 Recipient accepted
            C: RCPT TO:<nobody@example.test>
            S: 550 5.1.1 No such mailbox here
            C: RCPT TO:<green@foo.example>
            S: 250 2.1.5 Recipient accepted
            C: RCPT TO:<pat@foo.example>
            S: 250 2.1.5 Recipient accepted
            C: DATA
            S: 354 End data with <CR><LF>.<CR><LF>
            C: Blah blah blah...
            C: ...etc. etc. etc.
            C: .
            S: 250 2.1.5 Stored as 42
            S: 250 2.1.5 Stored as 42
            S: 452 4.2.2 Mailbox full
            S: 250 2.1.5 Stored as 42
            C: QUIT
            S: 221 2.0.0 Closing
            """),
        Conversation(
            "LMTP: DATA without a successful RCPT is 503", Site(.lmtp),
            """
            S: 220 mx.example.test LMTP Letterlog
            C: LHLO [127.0.0.1]
            S: 250-mx.example.test
            S: 250-PIPELINING
            S: 250-SIZE 52428800
            S: 250-8BITMIME
            S: 250-ENHANCEDSTATUSCODES
            S: 250-SMTPUTF8
            S: 250-CHUNKING
            S: 250-BINARYMIME
            S: 250 LIMITS RCPTMAX=1000
            C: MAIL FROM:<>
            S: 250 2.1.0 Sender accepted
            C: RCPT TO:<nobody@example.test>
            S: 550 5.1.1 No such mailbox here
            C: DATA
            S: 503 5.5.1 RCPT comes first
            """),
        Conversation(
            "every reason to refuse a recipient",
            """
            S: 220 mx.example.test ESMTP Letterlog
            C: HELO client.example
            S: 250 mx.example.test
            C: MAIL FROM:<a@client.example>
            S: 250 2.1.0 Sender accepted
            C: RCPT TO:<someone@elsewhere.test>
            S: 550 5.7.1 Relaying denied: this host takes mail for its own domains only
            C: RCPT TO:<gone@example.test>
            S: 550 5.2.1 Mailbox disabled, takes no mail
            C: RCPT TO:<full@example.test>
            S: 452 4.2.2 Mailbox full
            C: RCPT TO:<later@example.test>
            S: 451 4.3.0 Directory is busy
            C: DATA
            S: 554 5.5.1 No valid recipients
            C: RSET
            S: 250 2.0.0 Transaction reset
            C: QUIT
            S: 221 2.0.0 Closing
            """),
        Conversation(
            "order of commands (RFC 5321 section 4.1.4)",
            """
            S: 220 mx.example.test ESMTP Letterlog
            C: MAIL FROM:<a@b.example>
            S: 503 5.5.1 EHLO or HELO comes first
            C: NOOP anything
            S: 250 2.0.0 OK
            C: RSET
            S: 250 2.0.0 Transaction reset
            C: helo client.example  \u{20}
            S: 250 mx.example.test
            C: RCPT TO:<alice@example.test>
            S: 503 5.5.1 MAIL comes first
            C: DATA
            S: 503 5.5.1 MAIL comes first
            C: mail from:<a@b.example>
            S: 250 2.1.0 Sender accepted
            C: MAIL FROM:<a@b.example>
            S: 503 5.5.1 A transaction is open; RSET ends it
            C: DATA
            S: 503 5.5.1 RCPT comes first
            C: HELO again.example
            S: 250 mx.example.test
            C: RCPT TO:<alice@example.test>
            S: 503 5.5.1 MAIL comes first
            C: VRFY alice
            S: 252 2.0.0 Not verified here; RCPT will tell
            C: VRFY
            S: 501 5.5.4 VRFY needs an address
            C: EXPN staff
            S: 502 5.5.1 EXPN is not offered here
            C: HELP
            S: 214-2.0.0 Commands:
            S: 214 2.0.0 HELO EHLO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY EXPN HELP
            C: LHLO client.example
            S: 500 5.5.1 Command not known here
            C: STARTTLS
            S: 500 5.5.1 Command not known here
            C: MAILFROM:<a@b.example>
            S: 500 5.5.1 Command not known here
            C: QUIT now
            S: 501 5.5.4 QUIT takes no argument
            C: quit\u{20}
            S: 221 2.0.0 Closing
            """),
        Conversation(
            "submission takes nothing without a login (RFC 4954 section 6)", Site(.submission),
            """
            S: 220 mx.example.test ESMTP Letterlog
            C: HELO client.example
            S: 250 mx.example.test
            C: MAIL FROM:<alice@example.test>
            S: 530 5.7.0 Authentication required
            """),
        Conversation(
            "STARTTLS (RFC 3207 section 4): what was said before does not count", .withTLS,
            """
            S: 220 mx.example.test ESMTP Letterlog
            C: STARTTLS
            S: 503 5.5.1 EHLO comes first
            C: HELO client.example
            S: 250 mx.example.test
            C: STARTTLS
            S: 503 5.5.1 EHLO comes first
            C: EHLO client.example
            S: 250-mx.example.test
            S: 250-PIPELINING
            S: 250-SIZE 52428800
            S: 250-8BITMIME
            S: 250-ENHANCEDSTATUSCODES
            S: 250-STARTTLS
            S: 250-SMTPUTF8
            S: 250-CHUNKING
            S: 250-BINARYMIME
            S: 250 LIMITS RCPTMAX=1000
            C: STARTTLS now
            S: 501 5.5.4 STARTTLS takes no argument
            C: MAIL FROM:<a@b.example>
            S: 250 2.1.0 Sender accepted
            C: STARTTLS
            S: 503 5.5.1 A transaction is open; RSET ends it
            C: RSET
            S: 250 2.0.0 Transaction reset
            C: STARTTLS
            S: 220 2.0.0 Ready to start TLS
            C: MAIL FROM:<a@b.example>
            S: 503 5.5.1 EHLO or HELO comes first
            C: EHLO client.example
            S: 250-mx.example.test
            S: 250-PIPELINING
            S: 250-SIZE 52428800
            S: 250-8BITMIME
            S: 250-ENHANCEDSTATUSCODES
            S: 250-SMTPUTF8
            S: 250-CHUNKING
            S: 250-BINARYMIME
            S: 250 LIMITS RCPTMAX=1000
            C: STARTTLS
            S: 503 5.5.1 TLS is on already
            C: QUIT
            S: 221 2.0.0 Closing
            """),
        Conversation(
            "two messages in one session; a failed one ends its transaction", .storageFull,
            """
            S: 220 mx.example.test ESMTP Letterlog
            C: HELO client.example
            S: 250 mx.example.test
            C: MAIL FROM:<a@b.example>
            S: 250 2.1.0 Sender accepted
            C: RCPT TO:<alice@example.test>
            S: 250 2.1.5 Recipient accepted
            C: RCPT TO:<bob@example.test>
            S: 250 2.1.5 Recipient accepted
            C: DATA
            S: 354 End data with <CR><LF>.<CR><LF>
            C: .
            S: 452 4.3.1 Not enough storage
            C: DATA
            S: 503 5.5.1 MAIL comes first
            C: MAIL FROM:<a@b.example>
            S: 250 2.1.0 Sender accepted
            C: RCPT TO:<bob@example.test>
            S: 250 2.1.5 Recipient accepted
            C: DATA
            S: 354 End data with <CR><LF>.<CR><LF>
            C: x
            C: .
            S: 250 2.6.0 Stored as 42
            """),
        Conversation(
            "the engine is too busy before DATA: the transaction stays", .busy,
            """
            S: 220 mx.example.test ESMTP Letterlog
            C: HELO client.example
            S: 250 mx.example.test
            C: MAIL FROM:<a@b.example>
            S: 250 2.1.0 Sender accepted
            C: RCPT TO:<postmaster>
            S: 250 2.1.5 Recipient accepted
            C: DATA
            S: 451 4.3.1 Too busy to take a message now, try again later
            C: DATA
            S: 451 4.3.1 Too busy to take a message now, try again later
            C: RSET
            S: 250 2.0.0 Transaction reset
            """),
    ] + authConversations

extension Site {
    static let lmtpWithOneFull: Site = {
        var site = Site(.lmtp)
        site.outcomes["green@foo.example"] = .overQuota
        return site
    }()
    static let withTLS: Site = {
        var site = Site()
        site.configuration.offersTLS = true
        return site
    }()
    static let storageFull: Site = {
        var site = Site()
        site.outcomes["alice@example.test"] = .storageFull
        return site
    }()
    static let busy: Site = {
        var site = Site()
        site.bodyVerdict = .queueFull
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

    @Test func contentArrivesUnstuffed() {
        let record = Session.run(conversations[0].script.input)
        #expect(record.messages.count == 1)
        #expect(record.messages[0].body == Array("Subject: hello\r\n\r\n.a dot\r\n".utf8))
        #expect(record.messages[0].envelope.declaredOctets == 100)
        #expect(record.messages[0].envelope.bodyType == .eightBit)
        #expect(record.messages[0].envelope.recipients.map(\.address.localPart) == ["alice", "bob"])
        #expect(record.closed == .quit)
    }
}
