// What servers say, as a client of ours reads it: values of what came, texts in pieces, and what is refused.
import MailTypes
import Testing

@testable import IMAP

@Suite struct ClientTests {
    /// What the parser said, with texts put together again.
    private enum Said: Equatable {
        case response(IMAPServerResponse)
        case text([UInt8])
    }

    private func read(_ text: String, pieces: Int = .max) throws -> [Said] {
        try read(Array(text.utf8), pieces: pieces)
    }

    private func read(_ octets: [UInt8], pieces: Int = .max) throws -> [Said] {
        var parser = IMAPResponseParser()
        var said: [Said] = []
        var text: [UInt8] = []
        var rest = octets[...]
        while !rest.isEmpty {
            let piece = Array(rest.prefix(pieces))
            rest = rest.dropFirst(piece.count)
            try piece.withUnsafeBytes { octets in
                try parser.consume(octets) { event in
                    switch event {
                    case .response(let response): said.append(.response(response))
                    case .bodyBegan(let count): text.reserveCapacity(Int(min(count, 1_000)))
                    case .bodyOctets(let octets): text.append(contentsOf: octets)
                    case .bodyEnded:
                        said.append(.text(text))
                        text = []
                    }
                }
            }
        }
        #expect(!parser.isWithinResponse)
        return said
    }

    private func response(_ line: String) throws -> IMAPServerResponse? {
        guard case .response(let response)? = try read(line + "\r\n").first else { return nil }
        return response
    }

    @Test func statuses() throws {
        #expect(
            try response("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready {5}")
                == .status(
                    IMAPServerStatus(
                        tag: nil, kind: .ok, code: .capabilities(["IMAP4REV1", "AUTH=PLAIN"]), text: "ready {5}")))
        #expect(
            try response("a1 NO [AUTHENTICATIONFAILED] wrong")
                == .status(
                    IMAPServerStatus(tag: "a1", kind: .no, code: .other("AUTHENTICATIONFAILED"), text: "wrong")))
        #expect(
            try response("* ok [uidvalidity 7] x")
                == .status(IMAPServerStatus(tag: nil, kind: .ok, code: .uidValidity(7), text: "x")))
        #expect(
            try response("* OK [HIGHESTMODSEQ 9223372036854775807]")
                == .status(
                    IMAPServerStatus(tag: nil, kind: .ok, code: .highestModSeq(9_223_372_036_854_775_807), text: "")))
        #expect(try response("+ go on") == .continuation("go on"))
        #expect(try response("+") == .continuation(""))
        #expect(try response("* 12 EXISTS") == .exists(12))
        #expect(try response("* 3 EXPUNGE") == .expunged(3))
        #expect(try response("* FLAGS (\\Seen \"x\")") == .other)
        #expect(
            try response("* STATUS \"a b\" (UIDNEXT 4 MESSAGES 17)")
                == .figures(messages: 17, uidValidity: nil, uidNext: 4))
    }

    @Test func mailboxes() throws {
        func line(_ attributes: [String], _ separator: UInt8?, _ name: String) -> IMAPServerResponse {
            .list(
                IMAPListedMailbox(
                    attributes: attributes, separator: separator, name: Array(name.utf8), isFromLsub: false))
        }
        #expect(
            try response("* LIST (\\HasNoChildren \\Sent) \".\" INBOX.Sent")
                == line(["\\hasnochildren", "\\sent"], 0x2E, "INBOX.Sent"))
        #expect(try response("* LIST () \"\\\\\" \"a \\\"b\\\\\"") == line([], 0x5C, "a \"b\\"))
        #expect(try response("* LIST () NIL {3}\r\na\"b") == line([], nil, "a\"b"))
        #expect(try response("* LIST () \"/\" caf\u{E9} (CHILDINFO (\"SUBSCRIBED\"))") == line([], 0x2F, "caf\u{E9}"))
        #expect(
            try response("* NAMESPACE ((\"INBOX.\" \".\")(\"\" \"/\" \"X\" (\"Y\"))) NIL ((\"shared.\" \".\"))")
                == .namespace(
                    IMAPNamespaces(
                        personal: [
                            .init(prefix: Array("INBOX.".utf8), separator: 0x2E), .init(prefix: [], separator: 0x2F),
                        ], others: [], shared: [.init(prefix: Array("shared.".utf8), separator: 0x2E)])))
    }

    private static let message: IMAPFetchedMessage = {
        var message = IMAPFetchedMessage(number: 5)
        message.uid = UID(77)
        message.flags = [.seen, .answered]
        message.keywords = [Keyword("$Forwarded")!, Keyword("work")!]
        message.oddFlags = 1
        message.date = InternalDate(time: Timestamp(seconds: 837_596_665), zoneMinutes: -420)
        message.size = 11
        message.modSeq = 12
        return message
    }()

    /// However the octets are cut.
    @Test(arguments: [1, 2, 3, 7, 64, 10_000])
    func textsComeInPieces(pieces: Int) throws {
        let octets =
            "* 5 FETCH (UID 77 FLAGS (\\Seen \\Recent $Forwarded work Work \\Answered a]b\\c) INTERNALDATE "
            + "\"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 11 ENVELOPE (\"a{3}\" NIL ((NIL NIL {4}\r\na)\"b \"c\"))) "
            + "BODY[] {11}\r\nA: {5}\r\n\r\nb X-GM-LABELS (\"\\\\Inbox\" ()) MODSEQ (12))\r\na2 OK done {5}\r\n"
        var message = Self.message
        message.body = .streamed
        #expect(
            try read(octets, pieces: pieces) == [
                .text(Array("A: {5}\r\n\r\nb".utf8)), .response(.fetch(message)),
                .response(.status(IMAPServerStatus(tag: "a2", kind: .ok, code: nil, text: "done {5}"))),
            ])
    }

    @Test func textsOfOtherForms() throws {
        func fetched(_ text: String) throws -> [Said] { try read("* 1 FETCH (\(text))\r\n") }
        func message(_ body: IMAPFetchedMessage.Body) -> Said {
            var message = IMAPFetchedMessage(number: 1)
            message.body = body
            return .response(.fetch(message))
        }
        #expect(try fetched("BODY[] \"a \\\"b\"") == [message(.inline(Array("a \"b".utf8)))])
        #expect(try fetched("BODY[] NIL") == [message(.nothing)])
        #expect(try fetched("body[]<0> {2}\r\nab") == [.text([0x61, 0x62]), message(.streamed)])
        #expect(try fetched("RFC822 {0}\r\n") == [.text([]), message(.streamed)])
        // A part is not the message, and is held in memory.
        #expect(try fetched("BODY[1] {2}\r\nab") == [message(.absent)])
        #expect(try fetched("XBODY[] {2}\r\nab") == [message(.absent)])
        #expect(try fetched("INTERNALDATE \"40-Foo-1996 99:44:25 -0700\" UID 3").count == 1)
    }

    @Test(arguments: [
        "hello\r\n", "* \r\n", "*\r\n", "a1 MAYBE x\r\n", "* 1 FETCH (UID 0)\r\n", "* 1 FETCH (UID 1\r\n",
        "* 1 FETCH (UID 99999999999)\r\n", "* 1 FETCH (FLAGS (a(b))\r\n", "* LIST (\\x \".\" a\r\n",
        "* LIST () \"..\" a\r\n", "* NAMESPACE ((\"a)\r\n", "* 99999999999 EXISTS\r\n", "\r\n", "\u{16}\u{3}\u{1}\r\n",
        "* 1 FETCH (BODY[] {1}\r\na BODY[] {1}\r\nb)\r\n", "* 1 FETCH (BODY[] {1}\r\na BODY[] \"b\")\r\n",
        "* LIST () \".\" {99999999999999999999}\r\n", "* LIST () \".\" {1048577}\r\n",
    ])
    func garbageIsRefused(text: String) {
        #expect(throws: IMAPClientFailure.self) { try read(text) }
    }

    @Test func limits() throws {
        let long = [UInt8](repeating: 0x61, count: IMAPLimits.responseOctetsMax + 1)
        #expect(throws: IMAPClientFailure.limit("a response of more than \(IMAPLimits.responseOctetsMax) octets")) {
            try read(Array("* OK ".utf8) + long)
        }
        // A line that never ends, in pieces.
        #expect(throws: IMAPClientFailure.self) { try read(long + long, pieces: 1 << 16) }
        let lists = String(repeating: "(", count: IMAPLimits.serverListDepthMax + 1)
        #expect(throws: IMAPClientFailure.self) { try read("* 1 FETCH (X \(lists)\r\n") }
        let flags = String(repeating: "a ", count: IMAPLimits.serverFlagsMax + 1)
        #expect(throws: IMAPClientFailure.self) { try read("* 1 FETCH (FLAGS (\(flags)))\r\n") }
        let literals = String(repeating: " \"x\" {1}\r\na", count: IMAPLimits.literalsMax + 1)
        #expect(throws: IMAPClientFailure.self) { try read("* 1 FETCH (X (\(literals)))\r\n") }
        let words = (0..<(2 * IMAPLimits.serverWordsMax)).map { "A\($0)" }.joined(separator: " ")
        guard case .capabilities(let names)? = try response("* CAPABILITY " + words) else {
            Issue.record("no capabilities")
            return
        }
        #expect(names.count == IMAPLimits.serverWordsMax)
    }

    @Test func nothingIsReadAfterAFailure() throws {
        var parser = IMAPResponseParser()
        #expect(throws: IMAPClientFailure.self) {
            try Array("rubbish\r\n".utf8).withUnsafeBytes { try parser.consume($0) { _ in } }
        }
        #expect(throws: IMAPClientFailure.self) {
            try Array("* OK\r\n".utf8).withUnsafeBytes { try parser.consume($0) { _ in } }
        }
    }

    @Test func commands() {
        func text(_ command: IMAPClientCommand) -> [String] {
            command.pieces.map { String(decoding: $0, as: UTF8.self) }
        }
        #expect(text(.plain("a1", "NAMESPACE")) == ["a1 NAMESPACE\r\n"])
        #expect(
            text(.login("a2", user: "a\"b\\", password: SecretOctets(Array("p w".utf8))))
                == ["a2 LOGIN \"a\\\"b\\\\\" \"p w\"\r\n"])
        #expect(
            text(.login("a2", user: "ä", password: SecretOctets(Array("x\r\n".utf8))))
                == ["a2 LOGIN {2}\r\n", "ä {3}\r\n", "x\r\n\r\n"])
        let password = SecretOctets(Array("secret".utf8))
        #expect(
            text(.authenticatePlain("a3", authorizing: "ann", user: "boss", password: password, isInitial: true))
                == ["a3 AUTHENTICATE PLAIN YW5uAGJvc3MAc2VjcmV0\r\n"])
        #expect(
            text(.authenticatePlain("a3", authorizing: "", user: "ann", password: password, isInitial: false))
                == ["a3 AUTHENTICATE PLAIN\r\n", "AGFubgBzZWNyZXQ=\r\n"])
        #expect(
            text(.examine("a4", Array("A & B".utf8), condstore: true)) == ["a4 EXAMINE \"A & B\" (CONDSTORE)\r\n"])
        #expect(
            text(.fetchTexts("a5", UIDSet([UID(1), UID(2), UID(9)]))) == ["a5 UID FETCH 1:2,9 (UID BODY.PEEK[])\r\n"])
        #expect(!"\(IMAPClientCommand.login("a", user: "u", password: password).name)".contains("secret"))
    }
}
