// Filters beside a node: what they are told, that all that they ask for is done, for one message and for all recipients alike,
// and what is stored is what the last of them has left.
import EventStore
import Glibc
import MailCore
import MailTypes
import Milter
import Synchronization
import Testing

@testable import Gateways

private typealias M = ScriptedMilter

/// Runs a node with these filters.
func withMilters(
    _ milters: [ScriptedMilter], spoolsAt threshold: Int? = nil, in spool: String = "/tmp",
    change: (inout [MilterOptions]) -> Void = { _ in }, options: (inout GatewayOptions) -> Void = { _ in },
    _ body: @escaping @Sendable (TestNode) throws -> Void
) async throws {
    var chosen = milters.map { milter in
        var options = MilterOptions(.tcp(host: "127.0.0.1", port: milter.port))
        options.timeout = .seconds(20)
        options.verdictTimeout = .seconds(20)
        return options
    }
    change(&chosen)
    defer { for milter in milters { milter.stop() } }
    let loopback = ListenAddress.tcp(host: "127.0.0.1", port: 0)
    try await withNode(
        listeners: [(.smtp, loopback), (.submission, loopback), (.lmtp, loopback)],
        options: {
            $0.milters = chosen
            $0.sending.isOpen = true
            options(&$0)
        },
        engine: {
            if let threshold { $0.spoolThresholdOctets = threshold }
            $0.spoolDirectory = spool
        }
    ) { node in
        try await onOwnThread { try body(node) }
    }
}

extension TestClient {
    /// A message to these recipients; the reply to its end.
    func deliver(
        _ message: String, from: String = "joe@client.test", to recipients: [String] = ["alice@example.test"]
    ) throws -> String {
        #expect(try command("MAIL FROM:<\(from)>").hasPrefix("250"))
        for recipient in recipients { #expect(try command("RCPT TO:<\(recipient)>").hasPrefix("250")) }
        #expect(try command("DATA").hasPrefix("354"))
        return try command(message + ".")
    }
}

extension TestNode {
    func queueEntries() throws -> [QueueEntry] {
        var entries: [QueueEntry] = []
        try engine.read { state in
            try state.queue { _, entry in
                entries.append(entry)
                return true
            }
        }
        return entries
    }

    fileprivate func count(in mailbox: String, of account: AccountID) throws -> UInt32 {
        try engine.read { state in
            guard let id = try state.mailboxID(account, named: MailboxName(mailbox)!) else { return 0 }
            return try state.mailbox(account, id)?.exists ?? 0
        }
    }
}

/// Waits for what another thread does, for as long as a client would.
func waitUntil(_ condition: () throws -> Bool) throws {
    for _ in 0..<5_000 where try !condition() { usleep(2_000) }
    #expect(try condition())
}

let plainLetter = "From: joe@client.test\r\nSubject: hello\r\n  there\r\nX-A: 1\r\nX-A: 2\r\n\r\nBody\r\n"

@Suite struct MilterTests {
    @Test func whatAFilterIsTold() async throws {
        let milter = try M { _ in nil }
        try await withMilters([milter]) { (node: TestNode) throws in
            let client = try node.smtp()
            #expect(milter.connections == 0)
            #expect(
                try client.deliver(plainLetter, to: ["alice@example.test", "bob@example.test"]).hasPrefix("250 2.6.0"))
            // Not one that is nobody's.
            #expect(try client.command("MAIL FROM:<> SIZE=10 BODY=8BITMIME").hasPrefix("250"))
            #expect(try client.command("RCPT TO:<nobody@example.test>").hasPrefix("550"))
            #expect(try client.command("RSET").hasPrefix("250"))
            #expect(try client.command("MAIL FROM:<x@y.test>").hasPrefix("250"))
            #expect(milter.connections == 1)
            #expect(milter.commands == "CHMRRTLLLLNBEMAM")
            let told = milter.told
            #expect(told[0].text.hasPrefix("[127.0.0.1]\u{0}4"))
            #expect(told[0].text.hasSuffix("127.0.0.1\u{0}"))
            #expect(told[1].texts == ["client.test"])
            #expect(told[2].texts == ["<joe@client.test>"])
            #expect(told[3].texts == ["<alice@example.test>"])
            #expect(told[6].texts == ["From", "joe@client.test"])
            #expect(told[7].texts == ["Subject", "hello\n  there"])
            #expect(told[11].text == "Body\r\n")
            #expect(told[13].texts == ["<>", "SIZE=10", "BODY=8BITMIME"])
            let macros = milter.macros
            #expect(macros["C"]?["j"] == "mx.example.test" && macros["C"]?["{daemon_name}"] == "smtp")
            #expect(macros["C"]?["{client_addr}"] == "127.0.0.1")
            #expect(macros["M"]?["{mail_addr}"] == "x@y.test" && macros["M"]?["{auth_authen}"] == nil)
            #expect(macros["R"]?["{rcpt_addr}"] == "bob@example.test" && macros["R"]?["{rcpt_mailer}"] == "local")
            #expect(macros["E"]?["i"]?.hasSuffix(".1") == true)
            #expect(try client.command("QUIT").hasPrefix("221"))
            try waitUntil { milter.hasQuit }
            // What nobody has changed is stored as it came.
            #expect(try node.letters("bob@example.test")[0].hasSuffix("\r\n" + plainLetter))
        }
    }

    @Test func submissionTellsWhoHasLoggedIn() async throws {
        let milter = try M(macros: M.number(2) + M.text("{auth_authen} {auth_type} i")) { _ in nil }
        try await withMilters([milter]) { (node: TestNode) throws in
            let client = try node.submission("alice")
            #expect(
                try client.deliver(
                    plainLetter.replacing("joe@client", with: "alice@example"), from: "alice@example.test"
                )
                .hasPrefix("250"))
            let macros = try #require(milter.macros["M"])
            #expect(macros["{auth_authen}"] == "alice@example.test" && macros["{auth_type}"] == "PLAIN")
            // Those it has not chosen are not told.
            #expect(macros.count == 3)
        }
    }

    /// In memory and spooled.
    @Test(arguments: [nil, 10])
    func fieldsAreChanged(_ threshold: Int?) async throws {
        let milter = try M { told in
            guard told.command == "E" else { return nil }
            return .change(
                M.addField("X-Last", "b\n\tc"),
                M.insertField(0, "Authentication-Results", "mx.example.test; dkim=pass"),
                M.changeField(2, "X-A", "3"), M.changeField(1, "X-A", ""), M.changeField(1, "Subject", "[spam] hello"))
        }
        try await withMilters([milter], spoolsAt: threshold) { (node: TestNode) throws in
            #expect(try node.smtp().deliver(plainLetter).hasPrefix("250"))
            let stored = try node.letters("alice@example.test")[0]
            #expect(
                stored.hasPrefix(
                    "Return-Path: <joe@client.test>\r\nAuthentication-Results: mx.example.test; dkim=pass\r\nReceived: from client.test"
                ))
            #expect(
                stored.hasSuffix(
                    "\r\nFrom: joe@client.test\r\nSubject: [spam] hello\r\nX-A: 3\r\nX-Last: b\r\n\tc\r\n\r\nBody\r\n"))
        }
    }

    @Test(arguments: [nil, 10])
    func theBodyIsReplaced(_ threshold: Int?) async throws {
        // In pieces, with line ends of either kind, one of which is cut in two.
        let milter = try M { told in
            guard told.command == "E" else { return nil }
            return .say([
                M.packet("b", Array("First\r".utf8)), M.packet("p"), M.packet("b", Array("\nSecond\nThi".utf8)),
                M.packet("b", Array("rd\r\n".utf8)), M.packet("c"),
            ])
        }
        let second = try M { _ in nil }
        try await withMilters([milter, second], spoolsAt: threshold) { (node: TestNode) throws in
            let client = try node.smtp()
            for _ in 0..<2 { #expect(try client.deliver(plainLetter).hasPrefix("250")) }
            let letters = try node.letters("alice@example.test")
            #expect(letters.count == 2)
            #expect(letters.allSatisfy { $0.hasSuffix("X-A: 2\r\n\r\nFirst\r\nSecond\r\nThird\r\n") })
            // The next one sees the message as this one has left it.
            let bodies = second.told.filter { $0.command == "B" }
            #expect(bodies.map(\.text) == ["First\r\nSecond\r\nThird\r\n", "First\r\nSecond\r\nThird\r\n"])
        }
    }

    @Test func theEnvelopeIsChanged() async throws {
        let milter = try M { told in
            guard told.command == "E" else { return nil }
            return .change(
                M.packet("e", M.text("<other@client.test>", "")), M.packet("+", M.text("<carol@example.test>")),
                M.packet("-", M.text("<alice@example.test>")),
                M.packet("2", M.text("far@elsewhere.test", "NOTIFY=NEVER")))
        }
        try await withMilters([milter]) { (node: TestNode) throws in
            #expect(
                try node.smtp().deliver(plainLetter, to: ["alice@example.test", "bob@example.test"]).hasPrefix("250"))
            #expect(try node.letters("alice@example.test").isEmpty)
            for account in ["bob@example.test", "carol@example.test"] {
                #expect(try node.letters(account)[0].hasPrefix("Return-Path: <other@client.test>\r\n"))
            }
            let queued = try node.queueEntries()
            #expect(queued.map(\.mailFrom) == ["other@client.test"])
            #expect(queued[0].recipients.map(\.address) == ["far@elsewhere.test"] && !queued[0].isHeld)
        }
    }

    /// Who is to get a message anyway gets no second one.
    @Test func aRecipientThatIsThereIsAdded() async throws {
        let milter = try M { told in
            told.command == "E" ? .change(M.packet("+", M.text("<ALICE@example.test>"))) : nil
        }
        try await withMilters([milter]) { (node: TestNode) throws in
            #expect(try node.smtp().deliver(plainLetter).hasPrefix("250"))
            #expect(try node.letters("alice@example.test").count == 1)
        }
    }

    /// A redirection is acknowledged for what became of it; nobody is told that mail was stored that was not.
    @Test func aRedirectionThatFailsIsTold() async throws {
        let milter = try M { told in
            guard told.command == "E" else { return nil }
            return .change(
                M.packet("+", M.text("<nobody@example.test>")), M.packet("-", M.text("<alice@example.test>")))
        }
        try await withMilters([milter], change: { $0[0].dialects = [.smtp, .lmtp] }) { (node: TestNode) throws in
            #expect(try node.smtp().deliver(plainLetter) == "550 5.1.1 No such mailbox here")
            let client = try node.lmtp()
            #expect(
                try client.deliver(plainLetter, to: ["alice@example.test", "bob@example.test"])
                    == "550 5.1.1 No such mailbox here")
            #expect(try client.reply()[0].hasPrefix("250 2.1.5"))
            #expect(try node.letters("bob@example.test").count == 1)
        }
    }

    @Test func nobodyIsLeft() async throws {
        let milter = try M { told in
            told.command == "E" ? .change(M.packet("-", M.text("<alice@example.test>"))) : nil
        }
        try await withMilters([milter]) { (node: TestNode) throws in
            let client = try node.smtp()
            #expect(try client.deliver(plainLetter).hasPrefix("250 2.6.0 Stored as"))
            #expect(try node.letters("alice@example.test").isEmpty)
            #expect(try client.command("NOOP").hasPrefix("250"))
        }
    }

    /// Into the mailbox for junk where there is one; what is to leave is held.
    @Test func quarantine() async throws {
        let milter = try M { told in told.command == "E" ? .change(M.packet("q", M.text("looks bad"))) : nil }
        try await withMilters([milter]) { (node: TestNode) throws in
            let alice = try node.account("alice@example.test")
            node.perform(alice, .createMailbox(NewMailbox(name: MailboxName("Spam")!, specialUse: .junk)))
            let client = try node.smtp()
            #expect(try client.deliver(plainLetter, to: ["alice@example.test", "bob@example.test"]).hasPrefix("250"))
            #expect(try node.letters("alice@example.test").isEmpty)
            #expect(try node.count(in: "Spam", of: alice) == 1)
            #expect(try node.letters("bob@example.test").count == 1)
            let submission = try node.submission("alice")
            #expect(
                try submission.deliver(
                    plainLetter.replacing("joe@client", with: "alice@example"), from: "alice@example.test",
                    to: ["far@elsewhere.test"]
                ).hasPrefix("250"))
            #expect(try node.queueEntries().map(\.isHeld) == [true])
        }
    }

    @Test func everyRefusalAtEveryStage() async throws {
        let moves: [(MilterMove, String)] = [
            (.one("r"), "550 5.7.1 Refused by a filter of this host"),
            (.one("t"), "451 4.7.1 A filter of this host asks to try again later"),
            (.one("y", M.text("554 5.7.9 100%% spam")), "554 5.7.9 100% spam"),
            (.one("y", M.text("452-4.3.1 one\r\n452 4.3.1 two")), "452 4.3.1 two"),
        ]
        for (index, (move, reply)) in moves.enumerated() {
            let stage = Stage()
            let milter = try M { told in told.command == stage.current ? move : nil }
            try await withMilters([milter]) { (node: TestNode) throws in
                for command in ["C", "H", "M"] {
                    stage.current = command
                    let client = try node.smtp()
                    #expect(try client.command("MAIL FROM:<joe@client.test>") == reply, "\(command) \(index)")
                    stage.current = ""
                    // What was said to the connection stands.
                    #expect(try client.command("MAIL FROM:<joe@client.test>").hasPrefix("250") == (command == "M"))
                }
                let client = try node.smtp()
                stage.current = "R"
                #expect(try client.command("MAIL FROM:<joe@client.test>").hasPrefix("250"))
                #expect(try client.command("RCPT TO:<bob@example.test>") == reply)
                stage.current = ""
                #expect(try client.command("RCPT TO:<alice@example.test>").hasPrefix("250"))
                #expect(try client.command("DATA").hasPrefix("354"))
                #expect(try client.command(plainLetter + ".").hasPrefix("250"))
                for command in ["T", "L", "N", "B", "E"] {
                    stage.current = command
                    #expect(try client.deliver(plainLetter) == reply, "\(command) \(index)")
                }
                stage.current = ""
                #expect(try client.deliver(plainLetter).hasPrefix("250"))
                #expect(try node.letters("alice@example.test").count == 2)
                #expect(try node.letters("bob@example.test").isEmpty)
                #expect(node.gateways.metrics[.smtp].rejects[.milter] == 11)
            }
        }
    }

    /// After 421 nothing follows.
    @Test func sessionsThatAFilterEnds() async throws {
        for move in [MilterMove.one("4"), .one("f"), .one("y", M.text("421 4.7.0 bye"))] {
            for command in ["C", "M", "R", "E"] {
                let milter = try M { told in told.command == command ? move : nil }
                try await withMilters([milter]) { (node: TestNode) throws in
                    let client = try node.smtp()
                    try client.send(
                        "MAIL FROM:<joe@client.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n\(plainLetter).\r\n")
                    var last = ""
                    while !last.hasPrefix("421"), let line = try? client.line() { last = line }
                    #expect(last.hasPrefix("421 4.7.0"), "\(command)")
                    #expect(client.isClosed())
                    #expect(try node.letters("alice@example.test").isEmpty)
                }
            }
        }
    }

    /// It is discarded, and the client hears that all is well; a filter behind is not asked.
    @Test func discard() async throws {
        for command in ["M", "R", "L", "B", "E"] {
            let milter = try M { told in told.command == command ? .one("d") : nil }
            let second = try M { _ in nil }
            try await withMilters([milter, second]) { (node: TestNode) throws in
                let client = try node.smtp()
                #expect(try client.deliver(plainLetter).hasPrefix("250 2.6.0 Stored as"), "\(command)")
                #expect(try node.letters("alice@example.test").isEmpty)
                #expect(!second.commands.contains("E"))
            }
        }
    }

    /// Nothing more is asked of it, and others are.
    @Test func accept() async throws {
        for command in ["C", "H", "M", "R", "L", "B", "E"] {
            let milter = try M { told in told.command == command ? .one("a") : nil }
            let second = try M { _ in nil }
            try await withMilters([milter, second]) { (node: TestNode) throws in
                let client = try node.smtp()
                for _ in 0..<2 { #expect(try client.deliver(plainLetter).hasPrefix("250")) }
                #expect(try node.letters("alice@example.test").count == 2)
                let commands = milter.commands.filter { $0 != "A" }
                let expected = [
                    "C": "C", "H": "CH", "M": "CHMM", "R": "CHMRMR", "L": "CHMRTLMRTL", "B": "CHMRTLLLLNBMRTLLLLNB",
                    "E": "CHMRTLLLLNBEMRTLLLLNBE",
                ]
                #expect(commands == expected[command])
                #expect(second.commands == "CHMRTLLLLNBEMRTLLLLNBE")
            }
        }
    }

    /// A large body goes in pieces, until the filter has seen enough.
    @Test func skip() async throws {
        let seen = Stage()
        let milter = try M(steps: 0x400) { told in
            told.command == "B" && seen.current == "skip" ? .one("s") : nil
        }
        let line = String(repeating: "x", count: 98) + "\r\n"
        let letter = "Subject: large\r\n\r\n" + String(repeating: line, count: 2_000)
        try await withMilters([milter], spoolsAt: 50_000) { (node: TestNode) throws in
            let client = try node.smtp()
            #expect(try client.deliver(letter).hasPrefix("250"))
            let pieces = milter.told.filter { $0.command == "B" }
            #expect(pieces.count == 4 && pieces.allSatisfy { $0.data.count <= MilterLimits.sentOctetsMax })
            #expect(pieces.map(\.text).joined() == String(repeating: line, count: 2_000))
            milter.forget()
            seen.current = "skip"
            #expect(try client.deliver(letter).hasPrefix("250"))
            #expect(milter.told.filter { $0.command == "B" }.count == 1)
            #expect(try node.letters("alice@example.test").allSatisfy { $0.hasSuffix(letter) })
        }
    }

    /// One that answers to nothing but the end hears all the same, and one that wants nothing hears the end.
    @Test func stepsThatAreLeftOut() async throws {
        let silent = try M(steps: 0x1D_F080) { told in "CHMRTLNB".contains(told.command) ? .silence : nil }
        let deaf = try M(steps: 0x27F) { told in told.command == "E" ? .change(M.addField("X-Deaf", "1")) : nil }
        let line = String(repeating: "x", count: 998) + "\r\n"
        let letter = "Subject: large\r\n\r\n" + String(repeating: line, count: 3_000)
        try await withMilters([silent, deaf], spoolsAt: 100_000) { (node: TestNode) throws in
            #expect(try node.smtp().deliver(letter).hasPrefix("250"))
            #expect(silent.commands.filter { $0 != "B" } == "CHMRTLNE" && deaf.commands == "E")
            #expect(silent.told.filter { $0.command == "B" }.reduce(0) { $0 + $1.data.count } == 3_000_000)
            #expect(try node.letters("alice@example.test")[0].contains("\r\nX-Deaf: 1\r\n\r\n"))
        }
    }

    /// Own signatures stand on what the filters have left; checks come before them.
    @Test func whichListeners() async throws {
        let milter = try M { _ in nil }
        try await withMilters([milter], change: { $0[0].dialects = [.lmtp] }) { (node: TestNode) throws in
            #expect(try node.smtp().deliver(plainLetter).hasPrefix("250"))
            #expect(milter.connections == 0)
            #expect(try node.lmtp().deliver(plainLetter).hasPrefix("250"))
            #expect(milter.connections == 1)
        }
    }

    @Test func largeMessagesGoBy() async throws {
        let milter = try M { told in told.command == "E" ? .one("r") : nil }
        try await withMilters([milter], change: { $0[0].messageOctetsMax = 1_000 }) { (node: TestNode) throws in
            let client = try node.smtp()
            #expect(try client.deliver(plainLetter).hasPrefix("550"))
            #expect(try client.deliver(plainLetter + String(repeating: "x\r\n", count: 500)).hasPrefix("250"))
            #expect(try client.deliver(plainLetter).hasPrefix("550"))
            #expect(milter.commands == "CHMRTLLLLNBEAMRAMRTLLLLNBE")
        }
    }

    /// A body with another beginning is read from any place as it is read as a whole.
    @Test func bodiesWithAnotherBeginning() throws {
        let source = MemoryBody(Array("0123456789".utf8))
        let body = try RewrittenBody(Array("abc".utf8), instead: 4, of: source)
        let whole = Array("abc456789".utf8)
        for offset in 0...whole.count {
            for count in 0...whole.count + 1 {
                var read: [UInt8] = []
                try body.read(at: offset, count: count, into: &read)
                #expect(read.elementsEqual(whole[offset..<min(whole.count, offset + count)]))
                var passed: [UInt8] = []
                try Passing(body).read(at: offset, count: count, into: &passed)
                #expect(passed == read)
            }
        }
    }

    @Test func aHeaderThatIsNotShownIsRefused() async throws {
        let milter = try M { _ in nil }
        try await withMilters([milter]) { (node: TestNode) throws in
            let client = try node.smtp()
            let long = "X: " + String(repeating: "a", count: 900) + "\r\n"
            let many = String(repeating: long, count: MilterLimits.headerOctetsMax / long.utf8.count + 1)
            #expect(try client.deliver(many + plainLetter) == "552 5.3.4 Header over the size limit")
            let folded = "X:" + String(repeating: " \(String(repeating: "a", count: 900))\r\n", count: 75)
            #expect(try client.deliver(folded + plainLetter) == "552 5.3.4 Header over the size limit")
            #expect(try client.deliver(plainLetter).hasPrefix("250"))
        }
    }
}

/// A source that can only be read as a whole.
private final class Passing: BodySource {
    let source: any BodySource
    var count: Int { source.count }
    var hash: ContentHash { source.hash }
    init(_ source: any BodySource) { self.source = source }
    func read(_ body: (UnsafeRawBufferPointer) throws(StoreError) -> Void) throws(StoreError) { try source.read(body) }
}

/// What a rule goes by, changed from outside.
final class Stage: Sendable {
    private let value = Mutex("")
    var current: String {
        get { value.withLock { $0 } }
        set { value.withLock { $0 = newValue } }
    }
}
