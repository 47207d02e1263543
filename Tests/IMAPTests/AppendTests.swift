// Messages that pass through: APPEND, MULTIAPPEND, CATENATE, UTF8, REPLACE, in every cut.
import IMAP
import MailTypes
import Testing

private typealias Entry = Session.Entry

private func text(_ text: String) -> Session.Entry { .text(Array(text.utf8)) }

private func literal(_ octets: UInt64, isBinary: Bool = false, isUTF8: Bool = false) -> Session.Entry {
    .action(.appendLiteral(AppendLiteral(octets: octets, isBinary: isBinary, isUTF8: isUTF8)))
}

private func message(_ flags: IMAPFlags = IMAPFlags(), _ date: InternalDate? = nil) -> Session.Entry {
    .action(.beginMessage(AppendOptions(flags: flags, date: date)))
}

private func check(
    _ input: String, _ expected: [Session.Entry], selected: Bool = false,
    answer: @escaping (IMAPAction, inout IMAPServerMachine, inout [IMAPAction]) -> Void = Session.sayYes
) {
    var start = Session.loggedIn(selected: selected)
    start.answer = answer
    for entries in everyCut(Array(input.utf8), from: start) {
        guard entries == expected else {
            Issue.record("\(entries)")
            return
        }
    }
}

@Suite struct AppendTests {
    private let begin = Entry.action(.beginAppend(AppendTarget(mailbox: name("saved"))))

    /// RFC 9051 section 6.3.12.
    @Test func oneMessage() {
        check(
            "A003 APPEND saved (\\Seen $x) \"17-Jul-1996 02:44:25 -0700\" {8}\r\na\r\nb\r\n{3\r\nb NOOP\r\n",
            [
                begin,
                message(
                    IMAPFlags(system: .seen, keywords: [Keyword("$x")!]),
                    InternalDate(time: Timestamp(seconds: 837_596_665), zoneMinutes: -420)),
                literal(8), .sent("+ OK"), text("a\r\nb\r\n{3"), .action(.finishAppend), .sent("A003 OK Done"),
                .action(.perform(.noop)), .sent("b OK Done"),
            ])
    }

    @Test func nonSynchronizing() {
        check(
            "a APPEND {5+}\r\nsaved {3+}\r\nabc\r\n",
            [begin, message(), literal(3), text("abc"), .action(.finishAppend), .sent("a OK Done")])
    }

    @Test func mailboxAsLiteral() {
        check(
            "a APPEND {5}\r\nsaved {3}\r\nabc\r\n",
            [
                .sent("+ OK"), begin, message(), literal(3), .sent("+ OK"), text("abc"), .action(.finishAppend),
                .sent("a OK Done"),
            ])
    }

    /// RFC 3502 section 6.3.11.
    @Test func severalMessages() {
        check(
            "a APPEND saved (\\Seen) {3+}\r\nabc () \" 7-Feb-1994 22:43:04 -0800\" {1}\r\nd ~{2+}\r\n\0e\r\n",
            [
                begin, message(IMAPFlags(system: .seen)), literal(3), text("abc"),
                message(IMAPFlags(), InternalDate(time: Timestamp(seconds: 760_689_784), zoneMinutes: -480)),
                literal(1), .sent("+ OK"), text("d"),
                message(), literal(2, isBinary: true), text("\0e"), .action(.finishAppend), .sent("a OK Done"),
            ])
    }

    /// RFC 4469 section 5, with an empty text and a URL in a literal.
    @Test func catenate() {
        check(
            "a APPEND saved CATENATE (URL {2+}\r\n/x TEXT {3}\r\nabc URL \"/y\" TEXT {0+}\r\n) {1+}\r\nz\r\n",
            [
                begin, message(), .action(.appendURL("/x")), literal(3), .sent("+ OK"), text("abc"),
                .action(.appendURL("/y")), literal(0),
                message(), literal(1), text("z"), .action(.finishAppend), .sent("a OK Done"),
            ])
    }

    /// A URL may be a literal, and an empty one is awaited like any other.
    @Test func urlAsLiteral() {
        for (literal, url) in [("{0}", ""), ("{0+}", ""), ("{2}", "/x"), ("{2+}", "/x")] {
            check(
                "a APPEND saved CATENATE (URL \(literal)\r\n\(url) URL /y)\r\n",
                (literal.contains("+") ? [] : [.sent("+ OK")]) + [
                    begin, message(), .action(.appendURL(url)), .action(.appendURL("/y")), .action(.finishAppend),
                    .sent("a OK Done"),
                ])
        }
    }

    @Test func catenateOfURLsOnly() {
        check(
            "a APPEND saved CATENATE (URL /x URL /y)\r\n",
            [
                begin, message(), .action(.appendURL("/x")), .action(.appendURL("/y")), .action(.finishAppend),
                .sent("a OK Done"),
            ])
    }

    /// RFC 6855 section 4.
    @Test func utf8() {
        check(
            "a APPEND saved UTF8 (~{3+}\r\nabc) CATENATE (UTF8 (~{2}\r\nde) TEXT {1+}\r\nf)\r\n",
            [
                begin, message(), literal(3, isBinary: true, isUTF8: true), text("abc"),
                message(), literal(2, isBinary: true, isUTF8: true), .sent("+ OK"), text("de"), literal(1), text("f"),
                .action(.finishAppend), .sent("a OK Done"),
            ])
    }

    /// RFC 8508.
    @Test func replace() {
        let byUID = AppendTarget(mailbox: name("Drafts"), replaced: .uid(2_000))
        check(
            "a UID REPLACE 2000 Drafts (\\Seen) {3+}\r\nabc\r\n",
            [
                .action(.beginAppend(byUID)), message(IMAPFlags(system: .seen)), literal(3), text("abc"),
                .action(.finishAppend), .sent("a OK Done"),
            ], selected: true)
        let last = AppendTarget(mailbox: name("Drafts"), replaced: .sequenceNumber(0))
        check(
            "a replace * Drafts {3}\r\nabc\r\n",
            [
                .action(.beginAppend(last)), message(), literal(3), .sent("+ OK"), text("abc"), .action(.finishAppend),
                .sent("a OK Done"),
            ], selected: true)
    }

    // MARK: Refusals

    /// The handler refuses before the client sends what it would only send when asked.
    @Test func refusedByTheHandler() {
        let refusing = { (action: IMAPAction, machine: inout IMAPServerMachine, actions: inout [IMAPAction]) in
            if case .appendLiteral = action {
                machine.literalRefused(.no("No such mailbox", code: .tryCreate), into: &actions)
            } else {
                Session.sayYes(action, &machine, &actions)
            }
        }
        check(
            "a APPEND saved {3}\r\nb NOOP\r\n",
            [
                begin, message(), literal(3), .action(.discardAppend), .sent("a NO [TRYCREATE] No such mailbox"),
                .action(.perform(.noop)), .sent("b OK Done"),
            ], answer: refusing)
        check(
            "a APPEND saved {3+}\r\nabc (\\Seen) {5+}\r\n\r\na {2\r\nb NOOP\r\n",
            [
                begin, message(), literal(3), .action(.discardAppend), .sent("a NO [TRYCREATE] No such mailbox"),
                .action(.perform(.noop)), .sent("b OK Done"),
            ], answer: refusing)
    }

    /// What is wrong later takes back what was begun; what the client sends of it anyway is no command.
    @Test func wrongInTheMiddle() {
        check(
            "a APPEND saved {3+}\r\nabc garbage {6+}\r\nb NOOP\r\nc NOOP\r\n",
            [
                begin, message(), literal(3), text("abc"), .action(.discardAppend),
                .sent("a BAD A literal expected"), .action(.perform(.noop)), .sent("c OK Done"),
            ])
    }

    /// RFC 7888 section 5.
    @Test func literalMinus() {
        var configuration = Session.configuration
        configuration.usesLiteralMinus = true
        var session = Session.loggedIn(configuration)
        let most = IMAPLimits.literalMinusOctetsMax
        #expect(most == 4_096)
        let body = String(repeating: "x", count: most)
        session.send("a APPEND saved {\(most + 1)+}\r\n\(body)x\r\nb APPEND saved {\(most + 1)}\r\n\(body)x\r\n")
        #expect(session.sent[0].hasPrefix("a BAD [TOOBIG] "))
        #expect(session.sent.suffix(2) == ["+ OK", "b OK Done"])
        session.send("c APPEND saved {\(most)+}\r\n\(body)\r\nd NOOP\r\n")
        #expect(session.sent.suffix(2) == ["c OK Done", "d OK Done"])
    }

    /// RFC 7889: known before it is sent.
    @Test func tooLargeIsNotAskedFor() {
        check(
            "a APPEND saved {100001}\r\nb APPEND saved {9223372036854775807}\r\nc APPEND saved {99999999999999999999}\r\n",
            [
                .sent("a NO [TOOBIG] The message is too large"), .sent("b NO [TOOBIG] The message is too large"),
                .sent("c BAD The number is too large"),
            ])
    }

    /// What nobody can pass over ends the session (RFC 7888 section 4).
    @Test func tooLargeToPassOver() {
        let most = IMAPLimits.droppedOctetsMax
        for octets in ["9223372036854775807", "99999999999999999999", "\(most + 1)"] {
            var session = Session.loggedIn()
            session.send("a APPEND saved {\(octets)+}\r\nx")
            #expect(session.sent.last?.hasPrefix("* BYE [TOOBIG] ") == true)
            #expect(session.actions == [.close(.literalTooBig)])
        }
        // All literals of a command count together; what is at the limit is passed over, and kept nowhere.
        var session = Session.loggedIn()
        session.send("a DELETE {\(most - 5)+}\r\n")
        let piece = [UInt8](repeating: 0x78, count: 1 << 20)
        var left = most - 5
        while left > 0 {
            var actions: [IMAPAction] = []
            let count = min(left, piece.count)
            let consumed = piece.withUnsafeBytes {
                session.machine.receive(UnsafeRawBufferPointer(rebasing: $0[..<count]), into: &actions)
            }
            #expect(consumed == count && actions.isEmpty)
            left -= count
        }
        session.send(" {5+}\r\nxxxxx\r\nb NOOP\r\n")
        #expect(session.sent == ["a NO [TOOBIG] A literal is too large", "b OK Done"])
        var over = Session.loggedIn()
        over.send("a DELETE {70000+}\r\n" + String(repeating: "x", count: 70_000) + " {\(most - 70_000 + 1)+}\r\n")
        #expect(over.sent.last?.hasPrefix("* BYE [TOOBIG] ") == true)
    }

    /// No text is ever held: the machine consumes whatever it is given.
    @Test func nothingIsHeld() {
        var session = Session.loggedIn()
        session.send("a APPEND saved {90000}\r\n")
        let piece = [UInt8](repeating: 0x78, count: 30_000)
        for _ in 0..<3 {
            var actions: [IMAPAction] = []
            let consumed = piece.withUnsafeBytes { session.machine.receive($0, into: &actions) }
            #expect(consumed == piece.count && actions == [.appendOctets(0..<30_000)])
        }
        #expect(!session.machine.isReceivingMessage)
    }
}
