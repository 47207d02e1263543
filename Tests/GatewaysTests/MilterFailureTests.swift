// Filters that are not there, hang, die, flood or talk nonsense: the site's wish is done, within its time, and the node goes on.
import EventStore
import MailTypes
import Milter
import NIOCore
import Testing

@testable import Gateways

private typealias M = ScriptedMilter

@Suite struct MilterFailureTests {
    private static let replies: [MilterAbsence: String] = [
        .accept: "250", .tempfail: "451 4.7.1 A filter of this host is not there, try again later",
        .reject: "550 5.7.1 A filter of this host is not there",
    ]

    /// Nobody listens.
    @Test(arguments: MilterAbsence.allCases)
    func absent(_ absence: MilterAbsence) async throws {
        let milter = try M { _ in nil }
        milter.stop()
        try await withMilters([milter], change: { $0[0].absence = absence }) { (node: TestNode) throws in
            let client = try node.smtp()
            let expected = try #require(Self.replies[absence])
            #expect(try client.command("MAIL FROM:<joe@client.test>").hasPrefix(expected))
            if absence == .accept {
                #expect(try client.command("RSET").hasPrefix("250"))
                #expect(try client.deliver(plainLetter).hasPrefix("250"))
            }
            #expect(try node.letters("alice@example.test").count == (absence == .accept ? 1 : 0))
        }
    }

    /// It goes away, hangs, or sends what nobody can read, at each stage: what it has asked for is not done, what the site
    /// wants is.
    @Test(arguments: ["close", "silence", "garbage", "huge", "wrong", "zero", "early"])
    func failing(_ how: String) async throws {
        let move: MilterMove =
            switch how {
            case "close": .close
            case "silence": .silence
            case "garbage": .octets(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))
            case "huge": .octets(M.number(0x7FFF_FFFF) + Array("h".utf8))
            case "wrong": .one("O", M.number(6) + M.number(0) + M.number(0))
            case "zero": .octets(M.number(0))
            default: .say([M.packet("c"), M.packet("c")])
            }
        let stage = Stage()
        for absence in [MilterAbsence.accept, .tempfail] {
            let milter = try M { told in
                guard told.command == stage.current else { return nil }
                return told.command == "E" && how == "close" ? .say([M.addField("X-Half", "1")]) : move
            }
            try await withMilters(
                [milter],
                change: {
                    $0[0].absence = absence
                    $0[0].timeout = how == "silence" ? .milliseconds(50) : .seconds(20)
                    $0[0].verdictTimeout = how == "silence" || how == "close" ? .milliseconds(50) : .seconds(20)
                }
            ) { (node: TestNode) throws in
                var stored = 0
                for command in ["O", "C", "H", "M", "R", "T", "L", "N", "B", "E"] {
                    // An answer that comes when nobody has asked ends a connection that has done its work.
                    if how == "early", ["O", "E"].contains(command) { continue }
                    // At its own time it is an agreement.
                    if how == "wrong", command == "O" { continue }
                    stage.current = command
                    let client = try node.smtp()
                    try client.send(
                        "MAIL FROM:<joe@client.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n\(plainLetter).\r\nNOOP\r\n"
                    )
                    var replies: [String] = []
                    while replies.last?.hasPrefix("250 2.0.0") != true, replies.count < 20 {
                        replies.append(try client.line())
                    }
                    if absence == .accept { stored += 1 }
                    let letters = try node.letters("alice@example.test")
                    #expect(letters.count == stored, "\(how) \(command) \(replies)")
                    #expect(letters.allSatisfy { $0.hasSuffix("\r\n" + plainLetter) })
                    #expect(
                        replies.contains { $0.hasPrefix("451 4.7.1") } == (absence == .tempfail),
                        "\(how) \(command) \(replies)")
                }
            }
        }
    }

    /// A dead filter is as dead for the second recipient, and for the message: nothing goes by it unjudged.
    @Test func absenceLasts() async throws {
        let milter = try M { told in told.command == "R" ? .close : nil }
        try await withMilters([milter]) { (node: TestNode) throws in
            let client = try node.smtp()
            #expect(try client.command("MAIL FROM:<joe@client.test>").hasPrefix("250"))
            for _ in 0..<3 { #expect(try client.command("RCPT TO:<alice@example.test>").hasPrefix("451 4.7.1")) }
            #expect(milter.connections == 1)
        }
    }

    /// Says without end that it is at work: too often, and too long.
    @Test func progressWithoutEnd() async throws {
        let flood = try M { told in told.command == "E" ? .endless(M.packet("p")) : nil }
        let adds = try M { told in told.command == "E" ? .endless(M.addField("X", "y")) : nil }
        try await withMilters([flood, adds], change: { $0[0].absence = .accept }) { (node: TestNode) throws in
            #expect(try node.smtp().deliver(plainLetter).hasPrefix("451 4.7.1"))
            #expect(try node.letters("alice@example.test").isEmpty)
        }
        // Once in a while it is fine.
        let slow = try M { told in
            told.command == "E" ? .say(Array(repeating: M.packet("p"), count: 50) + [M.packet("c")]) : nil
        }
        try await withMilters([slow]) { (node: TestNode) throws in
            #expect(try node.smtp().deliver(plainLetter).hasPrefix("250"))
        }
    }

    /// A new body that is larger than a message may be, sent as fast as it goes.
    @Test func aBodyWithoutEnd() async throws {
        let milter = try M { told in
            told.command == "E" ? .endless(M.packet("b", Array(repeating: 0x61, count: 65_000))) : nil
        }
        try await withMilters([milter], options: { $0.messageOctetsMax = 3_000_000 }) { (node: TestNode) throws in
            #expect(try node.smtp().deliver(plainLetter).hasPrefix("451 4.7.1"))
            #expect(try node.smtp().command("NOOP").hasPrefix("250"))
            #expect(try node.letters("alice@example.test").isEmpty)
        }
    }

    /// A verdict that was said counts, however soon the filter is gone: what it wants is still being stored then.
    @Test func aVerdictIsItsLastWord() async throws {
        let line = "A line of the new body\r\n"
        let piece = Array(String(repeating: line, count: 2_000).utf8)
        let milter = try M { told in
            told.command == "E" ? .last(Array(repeating: M.packet("b", piece), count: 20) + [M.packet("c")]) : nil
        }
        try await withMilters([milter], spoolsAt: 10) { (node: TestNode) throws in
            let client = try node.smtp()
            for _ in 0..<10 { #expect(try client.deliver(plainLetter).hasPrefix("250")) }
            let letters = try node.letters("alice@example.test")
            #expect(letters.count == 10)
            #expect(letters.allSatisfy { $0.hasSuffix("X-A: 2\r\n\r\n" + String(repeating: line, count: 40_000)) })
        }
    }

    /// Nothing of what it wanted is done where it wants what makes no sense.
    @Test(
        arguments: [
            M.packet("+", M.text("<not an address>")), M.packet("-", M.text("<>")), M.packet("e", M.text("<a@b")),
            M.packet("+", M.text("a@b\r\nRCPT TO:<c@d>")),
        ])
    func changesOfNoUse(_ packet: [UInt8]) async throws {
        let milter = try M { told in told.command == "E" ? .change(M.addField("X-Half", "1"), packet) : nil }
        try await withMilters([milter], change: { $0[0].absence = .accept }) { (node: TestNode) throws in
            #expect(try node.smtp().deliver(plainLetter).hasPrefix("250"))
            #expect(try node.letters("alice@example.test")[0].hasSuffix("\r\n" + plainLetter))
        }
    }

    /// A filter that lets go of a connection between two messages is connected to anew.
    @Test func connectionsThatWereIdle() async throws {
        let milter = try M { _ in nil }
        try await withMilters([milter]) { (node: TestNode) throws in
            let client = try node.smtp()
            for round in 1...3 {
                #expect(try client.deliver(plainLetter).hasPrefix("250"))
                #expect(milter.connections == round)
                milter.cut()
            }
            #expect(milter.commands.filter { $0 == "C" }.count == 3)
        }
    }

    /// Whoever hangs up while a filter is at work gets no copy stored, and no thread or socket is kept for him.
    @Test func clientsThatGo() async throws {
        let milter = try M { told in told.command == "E" ? .silence : nil }
        try await withMilters([milter]) { (node: TestNode) throws in
            for _ in 0..<5 {
                let client = try node.smtp()
                try client.send(
                    "MAIL FROM:<joe@client.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n\(plainLetter).\r\n")
                try waitUntil { milter.commands.hasSuffix("E") }
                milter.forget()
                client.resetAtEnd()
            }
            try waitUntil { node.gateways.sessions.isEmpty && node.gateways.context.openMilters.current == 0 }
            #expect(try node.letters("alice@example.test").isEmpty)
        }
    }

    /// Others are served while one filter hangs.
    @Test func othersGoOn() async throws {
        let milter = try M { told in told.command == "M" && told.text.hasPrefix("<slow") ? .silence : nil }
        try await withMilters([milter]) { (node: TestNode) throws in
            let slow = try node.smtp()
            try slow.send("MAIL FROM:<slow@client.test>\r\n")
            try waitUntil { milter.commands.hasSuffix("M") }
            for _ in 0..<3 { #expect(try node.smtp().deliver(plainLetter).hasPrefix("250")) }
        }
    }

    @Test func tooManyConnections() async throws {
        let milter = try M { _ in nil }
        try await withMilters([milter], change: { $0[0].absence = .accept }) { (node: TestNode) throws in
            let count = node.gateways.context.openMilters
            count.add(GatewayLimits.milterConnectionsMax)
            defer { count.add(-GatewayLimits.milterConnectionsMax) }
            let client = try node.smtp()
            #expect(
                try client.command("MAIL FROM:<a@client.test>")
                    == "451 4.7.1 The filters of this host are too busy, try again later")
            count.add(-1)
            #expect(try client.command("MAIL FROM:<a@client.test>").hasPrefix("250"))
            count.add(1)
        }
    }

    /// Time is over for all filters together, however often one says that it is at work.
    @Test func timeForAMessageEnds() throws {
        let header = try #require(MilterHeader(Array("\r\n".utf8)))
        let message = MilteredMessage(header, MemoryBody([]), bodyStart: 0)
        let left = message.deadline - .now()
        #expect(left <= GatewayLimits.milterMessageMax && left > GatewayLimits.milterMessageMax - .seconds(60))
    }
}
