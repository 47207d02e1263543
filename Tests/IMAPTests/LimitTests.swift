// Every limit of `IMAPLimits`: what is at it passes, what is beyond it is refused, and the session is in step afterwards.
import IMAP
import MailTypes
import Testing

private func many(_ count: Int, _ separator: String = " ", _ part: (Int) -> String) -> String {
    (0..<count).map(part).joined(separator: separator)
}

/// The reply to one command, and that the next one is understood.
private func reply(
    to command: String, in start: Session = .loggedIn(selected: true), pieces: Pieces = .octets(4_096),
    sourceLocation: SourceLocation = #_sourceLocation
) -> String {
    var session = start
    session.send("t \(command)\r\nu NOOP\r\n", pieces)
    #expect(session.sent.last == "u OK Done", sourceLocation: sourceLocation)
    return session.sent.dropLast().last ?? ""
}

@Suite struct LimitTests {
    // MARK: Input

    /// A line of exactly the limit is taken; one octet more is not.
    @Test func commandOctets() {
        for (isLoggedIn, most) in [
            (true, IMAPLimits.commandOctetsMax), (false, IMAPLimits.commandBeforeLoginOctetsMax),
        ] {
            let start = isLoggedIn ? Session.loggedIn() : Session()
            let room = most - "t NOOP x\r\n".utf8.count
            for pieces in [Pieces.whole, .octets(4_096), .octets(1_000)] {
                let fits = reply(to: "NOOP x" + String(repeating: "x", count: room), in: start, pieces: pieces)
                #expect(fits == "t BAD More than the command takes")
                let exceeds = reply(to: "NOOP x" + String(repeating: "x", count: room + 1), in: start, pieces: pieces)
                #expect(exceeds == "t BAD The command is too long")
            }
        }
    }

    /// Whatever the length, nothing of it is kept, and its literals are passed over.
    @Test func endlessLine() {
        var session = Session.loggedIn()
        session.send("t NOOP ")
        for _ in 0..<100 { session.send(String(repeating: "x", count: 60_000)) }
        session.send(" {6+}\r\nu NOOP {2+}\r\nxx\r\nv NOOP\r\n", .octets(1))
        #expect(session.sent == ["t BAD The command is too long", "v OK Done"])
    }

    @Test func endlessLineInIdle() {
        var session = Session.loggedIn()
        session.send("t IDLE\r\n" + String(repeating: "x", count: IMAPLimits.commandBeforeLoginOctetsMax))
        #expect(session.sent.last == "* BYE The line is too long")
        #expect(session.machine.isClosed)
    }

    @Test func tagOctets() {
        let tag = String(repeating: "t", count: IMAPLimits.tagOctetsMax)
        var session = Session.loggedIn()
        session.send("\(tag) NOOP\r\nt\(tag) NOOP\r\nu NOOP\r\n")
        #expect(session.sent == ["\(tag) OK Done", "* BAD The tag is too long", "u OK Done"])
    }

    @Test func literals() {
        let search = { (count: Int) in "SEARCH " + many(count) { _ in "TEXT {1+}\r\nx" } }
        #expect(reply(to: search(IMAPLimits.literalsMax)) == "t OK Done")
        #expect(reply(to: search(IMAPLimits.literalsMax + 1)) == "t NO [LIMIT] Too many literals")
    }

    /// A literal that has no room is refused before it is sent, or passed over.
    @Test func literalOctets() {
        var session = Session.loggedIn()
        session.send("t DELETE {70000}\r\nu NOOP\r\n")
        #expect(session.sent == ["t NO [TOOBIG] A literal is too large", "u OK Done"])
        let passed = "DELETE {70000+}\r\n" + String(repeating: "x", count: 70_000)
        #expect(reply(to: passed) == "t NO [TOOBIG] A literal is too large")
        // Many that fit one by one do not fit together.
        let sum = "SEARCH " + many(3) { _ in "TEXT {30000+}\r\n" + String(repeating: "x", count: 30_000) }
        #expect(reply(to: sum) == "t NO [TOOBIG] A literal is too large")
        // Before login there is less room.
        var before = Session()
        before.send("t LOGIN {8000}\r\nu NOOP\r\n")
        #expect(before.sent == ["t NO [TOOBIG] A literal is too large", "u OK Done"])
    }

    @Test func searchDepth() {
        let nested = { (depth: Int) in
            "SEARCH " + String(repeating: "(", count: depth) + "ALL" + String(repeating: ")", count: depth)
        }
        #expect(reply(to: nested(IMAPLimits.searchDepthMax)) == "t OK Done")
        #expect(reply(to: nested(IMAPLimits.searchDepthMax + 1)) == "t NO [LIMIT] The search is nested too deeply")
        let negated = "SEARCH " + String(repeating: "NOT ", count: IMAPLimits.searchDepthMax + 1) + "ALL"
        #expect(reply(to: negated) == "t NO [LIMIT] The search is nested too deeply")
        let either = "SEARCH " + String(repeating: "OR ALL ", count: IMAPLimits.searchDepthMax + 1) + "ALL"
        #expect(reply(to: either) == "t NO [LIMIT] The search is nested too deeply")
    }

    @Test func searchKeys() {
        let keys = { (count: Int) in "SEARCH " + many(count) { _ in "ALL" } }
        #expect(reply(to: keys(IMAPLimits.searchKeysMax)) == "t OK Done")
        #expect(reply(to: keys(IMAPLimits.searchKeysMax + 1)) == "t NO [LIMIT] Too many search keys")
    }

    @Test func setElements() {
        let fetch = { (count: Int) in "FETCH " + many(count, ",") { "\($0 % 9 + 1)" } + " UID" }
        #expect(reply(to: fetch(IMAPLimits.setElementsMax)) == "t OK Done")
        #expect(reply(to: fetch(IMAPLimits.setElementsMax + 1)) == "t NO [LIMIT] The set is too long")
    }

    @Test func fetchAttributes() {
        let fetch = { (count: Int) in "FETCH 1 (" + many(count) { _ in "UID" } + ")" }
        #expect(reply(to: fetch(IMAPLimits.fetchAttributesMax)) == "t OK Done")
        #expect(reply(to: fetch(IMAPLimits.fetchAttributesMax + 1)) == "t NO [LIMIT] Too many items")
    }

    @Test func headerFields() {
        let fetch = { (count: Int) in "FETCH 1 BODY[HEADER.FIELDS (" + many(count) { "X-\($0)" } + ")]" }
        #expect(reply(to: fetch(IMAPLimits.headerFieldsMax)) == "t OK Done")
        #expect(reply(to: fetch(IMAPLimits.headerFieldsMax + 1)) == "t NO [LIMIT] Too many header fields")
        let half = "BODY[HEADER.FIELDS (" + many(IMAPLimits.headerFieldsMax / 2 + 1) { "X-\($0)" } + ")]"
        #expect(reply(to: "FETCH 1 (\(half) \(half)<0.1>)") == "t NO [LIMIT] Too many header fields")
    }

    @Test func partDepth() {
        let fetch = { (count: Int) in "FETCH 1 BODY[" + many(count, ".") { _ in "1" } + "]" }
        #expect(reply(to: fetch(IMAPLimits.partDepthMax)) == "t OK Done")
        #expect(reply(to: fetch(IMAPLimits.partDepthMax + 1)) == "t NO [LIMIT] The part lies too deep")
    }

    @Test func flags() {
        let store = { (count: Int) in "STORE 1 FLAGS (" + many(count) { "k\($0)" } + ")" }
        #expect(reply(to: store(IMAPLimits.flagsMax)) == "t OK Done")
        #expect(reply(to: store(IMAPLimits.flagsMax + 1)) == "t NO [LIMIT] Too many flags")
        let keyword = { (count: Int) in "STORE 1 FLAGS " + String(repeating: "k", count: count) }
        #expect(reply(to: keyword(Keyword.lengthMax)) == "t OK Done")
        #expect(reply(to: keyword(Keyword.lengthMax + 1)) == "t NO [LIMIT] A keyword is too long")
    }

    @Test func sortKeys() {
        let sort = { (count: Int) in "SORT (" + many(count) { _ in "DATE" } + ") UTF-8 ALL" }
        #expect(reply(to: sort(IMAPLimits.sortKeysMax)) == "t OK Done")
        #expect(reply(to: sort(IMAPLimits.sortKeysMax + 1)) == "t NO [LIMIT] Too many sort keys")
    }

    @Test func listPatterns() {
        let list = { (count: Int) in "LIST \"\" (" + many(count) { "p\($0)" } + ")" }
        #expect(reply(to: list(IMAPLimits.listPatternsMax)) == "t OK Done")
        #expect(reply(to: list(IMAPLimits.listPatternsMax + 1)) == "t NO [LIMIT] Too many patterns")
        let long = { (count: Int) in "LIST \"\" " + String(repeating: "p", count: count) }
        #expect(reply(to: long(IMAPLimits.listPatternOctetsMax)) == "t OK Done")
        #expect(reply(to: long(IMAPLimits.listPatternOctetsMax + 1)) == "t NO [LIMIT] The pattern is too long")
        #expect(
            reply(to: "LIST \(String(repeating: "p", count: IMAPLimits.listPatternOctetsMax + 1)) x")
                == "t NO [LIMIT] The pattern is too long")
    }

    @Test(arguments: [
        ("STATUS x (", "SIZE", ")", "Too many items"),
        ("LIST (", "REMOTE", ") \"\" x", "Too many options"),
        ("LIST \"\" x RETURN (", "CHILDREN", ")", "Too many options"),
        ("SEARCH RETURN (", "MIN", ") ALL", "Too many options"),
        ("SELECT x (", "CONDSTORE", ")", "Too many parameters"),
        ("CREATE x (USE (", "\\Sent", "))", "Too many attributes"),
        ("ENABLE ", "x", "", "Too many names"),
        ("SETQUOTA \"\" (", "STORAGE 1", ")", "Too many resources"),
    ])
    func options(_ start: String, _ part: String, _ end: String, _ text: String) {
        let command = { (count: Int) in start + many(count) { _ in part } + end }
        #expect(reply(to: command(IMAPLimits.optionsMax)).hasPrefix("t OK "))
        #expect(reply(to: command(IMAPLimits.optionsMax + 1)) == "t NO [LIMIT] \(text)")
    }

    @Test func identification() {
        let id = { (count: Int) in "ID (" + many(count) { "\"k\($0)\" \"v\"" } + ")" }
        #expect(reply(to: id(IMAPLimits.idFieldsMax)) == "t OK Done")
        #expect(reply(to: id(IMAPLimits.idFieldsMax + 1)) == "t BAD Too many fields")
        let field = { (name: Int, value: Int) in
            "ID (\"\(String(repeating: "n", count: name))\" \"\(String(repeating: "v", count: value))\")"
        }
        #expect(reply(to: field(IMAPLimits.idFieldOctetsMax, IMAPLimits.idValueOctetsMax)) == "t OK Done")
        #expect(reply(to: field(IMAPLimits.idFieldOctetsMax + 1, 1)) == "t BAD A field is too long")
        #expect(reply(to: field(1, IMAPLimits.idValueOctetsMax + 1)) == "t BAD A field is too long")
    }

    @Test func charset() {
        let search = { (count: Int) in "SEARCH CHARSET \(String(repeating: "c", count: count)) ALL" }
        #expect(reply(to: search(IMAPLimits.charsetOctetsMax)) == "t OK Done")
        #expect(reply(to: search(IMAPLimits.charsetOctetsMax + 1)) == "t BAD The charset has no such name")
    }

    @Test func mailboxNames() {
        let component = String(repeating: "m", count: MailboxName.componentOctetsMax)
        #expect(reply(to: "CREATE \(component)") == "t OK Done")
        #expect(reply(to: "CREATE \(component)m") == "t NO [CANNOT] A mailbox cannot have this name")
        let deep = many(MailboxName.depthMax, "/") { _ in "m" }
        #expect(reply(to: "CREATE \(deep)") == "t OK Done")
        #expect(reply(to: "CREATE \(deep)/m") == "t NO [CANNOT] A mailbox cannot have this name")
    }

    @Test func appendedMessages() {
        let append = { (count: Int) in "APPEND x " + many(count) { _ in "{1+}\r\nx" } }
        #expect(reply(to: append(IMAPLimits.appendMessagesMax)) == "t OK Done")
        #expect(reply(to: append(IMAPLimits.appendMessagesMax + 1)) == "t NO [LIMIT] Too many messages")
        let parts = { (count: Int) in "APPEND x CATENATE (" + many(count) { _ in "URL /x" } + ")" }
        #expect(reply(to: parts(IMAPLimits.catenatePartsMax)) == "t OK Done")
        #expect(reply(to: parts(IMAPLimits.catenatePartsMax + 1)) == "t NO [LIMIT] Too many parts")
        let url = { (count: Int) in "APPEND x CATENATE (URL \(String(repeating: "u", count: count)))" }
        #expect(reply(to: url(IMAPLimits.urlOctetsMax)) == "t OK Done")
        #expect(reply(to: url(IMAPLimits.urlOctetsMax + 1)) == "t NO [LIMIT] A URL is too long")
    }

    @Test func credentials() {
        let login = { (user: Int, password: Int) in
            "LOGIN \(String(repeating: "u", count: user)) \(String(repeating: "p", count: password))"
        }
        let most = IMAPLimits.credentialOctetsMax
        #expect(reply(to: login(most, most), in: Session()).hasPrefix("t OK "))
        #expect(reply(to: login(most + 1, 1), in: Session()) == "t NO [LIMIT] The user name is too long")
        #expect(reply(to: login(1, most + 1), in: Session()) == "t NO [LIMIT] The password is too long")
        let mechanism = String(repeating: "M", count: IMAPLimits.saslMechanismOctetsMax)
        #expect(reply(to: "AUTHENTICATE \(mechanism)", in: Session()).hasPrefix("t NO "))
        #expect(reply(to: "AUTHENTICATE \(mechanism)M", in: Session()) == "t BAD There is no such mechanism")
    }

    /// An unfinished line of an exchange is bounded too; what is at the limit passes.
    @Test func saslLine() {
        var session = Session()
        session.answer = { action, machine, actions in
            if case .authenticate = action { machine.challenge([], into: &actions) }
            if case .authenticationResponse = action { machine.loginFinished(.failure, into: &actions) }
        }
        let line = String(repeating: "A", count: (IMAPLimits.saslLineOctetsMax - 2) / 4 * 4)
        session.send("t AUTHENTICATE PLAIN\r\n\(line)\r\n", .octets(1_000))
        #expect(session.sent.last?.hasPrefix("t NO [AUTHENTICATIONFAILED]") == true)
        session.send("t AUTHENTICATE PLAIN\r\n\(line)AAAA\r\nu NOOP\r\n", .octets(1_000))
        #expect(session.sent.suffix(2) == ["t BAD The command is too long", "u OK Done"])
    }

    // MARK: Sessions

    @Test func badCommands() {
        var session = Session.loggedIn()
        session.send(String(repeating: "t UNHEARD\r\n", count: IMAPLimits.badCommandsMax - 1) + "t NOOP\r\n")
        #expect(!session.machine.isClosed)
        session.send(String(repeating: "t UNHEARD\r\n", count: IMAPLimits.badCommandsMax))
        #expect(session.sent.last == "* BYE Too many errors")
        #expect(session.actions.last == .close(.tooManyErrors))
    }
}
