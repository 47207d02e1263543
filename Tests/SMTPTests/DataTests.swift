// The DATA phase: dots, smuggling variants, limits, against a naive reference.
import InputSupport
import MailTypes
import SMTP
import Testing

private let envelope = "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.test>\r\n"

private func lenientSite() -> Site {
    var site = Site()
    site.configuration.bareLineEnds = .accept
    return site
}

/// RFC 5321 section 4.5.2 written down as plainly as possible: the content of what follows DATA, and what is left after
/// it; nil when it does not end.
private func naiveBody(_ input: [UInt8]) -> (content: [UInt8], rest: [UInt8])? {
    let text = [13, 10] + input
    guard let end = text.indices.first(where: { text[$0...].starts(with: [13, 10, 46, 13, 10]) }) else { return nil }
    var content: [UInt8] = []
    for index in 0..<(end + 2) {
        let isStuffed = text[index] == 46 && index >= 2 && text[index - 2] == 13 && text[index - 1] == 10
        if !isStuffed { content.append(text[index]) }
    }
    return (Array(content.dropFirst(2)), Array(text[(end + 5)...]))
}

@Suite struct DataTests {
    /// None of these ends a body (RFC 5321 section 4.1.1.4: only CRLF . CRLF does).
    @Test(arguments: [
        "\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\n.\r", "\r.\n", "\r\n.\r\r\n", "\r\n..\r\n",
        "\n\n.\n\n", "\r\n \r\n", "\r\n.\0\r\n", "\r\n\0.\r\n", "\r\n. \r\n", "\0\r\n.\n", "\n\r.\r\n", "\r\n.\r\0\n",
        ".\r\n", "\u{85}.\u{85}", "\r\n.\r.\r\n",
    ])
    func smuggling(_ variant: String) {
        let smuggled = "MAIL FROM:<evil@b.example>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nevil"
        let body = "Subject: x\r\n\r\nend" + variant + smuggled + "\r\n"
        let input = envelope + "DATA\r\n" + body + ".\r\nNOOP\r\n"
        for chunking in [Chunking.whole, .octetByOctet, .sizes([3, 1, 2])] {
            let strict = Session.run(input, chunking)
            #expect(strict.checked.count == 1, "one recipient was ever named")
            #expect(strict.messages.count + strict.discarded == 1)
            #expect(strict.lines.last == "250 2.0.0 OK")
            let lenient = Session.run(input, chunking, site: lenientSite())
            #expect(lenient.checked.count == 1)
            if !variant.contains("\0") {
                #expect(lenient.messages.map(\.body) == [naiveBody(Array((body + ".\r\n").utf8))!.content])
            }
        }
    }

    /// Contents that hold a CR or LF outside a CRLF, or a NUL.
    @Test(arguments: [
        ("a\nb\r\n", "550 5.6.0"), ("a\rb\r\n", "550 5.6.0"), ("\n\r\n", "550 5.6.0"), ("\r\r\n", "550 5.6.0"),
        ("a\r\r\n", "550 5.6.0"), ("a\r\n\n\r\n", "550 5.6.0"), (".\n\r\n", "550 5.6.0"), (".\r.\r\n", "550 5.6.0"),
        ("a\0b\r\n", "550 5.6.0"), ("a\r\nb\r\n", "250 2.6.0"), ("", "250 2.6.0"), ("\r\n", "250 2.6.0"),
        ("ü\u{1}\u{7F}\t\r\n", "250 2.6.0"),
    ])
    func oddOctets(_ content: String, _ reply: String) {
        for chunking in [Chunking.whole, .octetByOctet, .sizes([2])] {
            let record = Session.run(envelope + "DATA\r\n" + content + ".\r\n", chunking)
            #expect(record.lines.last!.prefix(9) == reply)
            #expect(record.discarded == (reply.hasPrefix("250") ? 0 : 1))
        }
    }

    /// Lines over 998 octets are kept as they are: what is served is what came.
    @Test func longLines() {
        let content = String(repeating: "x", count: 5_000) + "\r\n"
        let record = Session.run(envelope + "DATA\r\n" + content + ".\r\n")
        #expect(record.messages.map(\.body) == [Array(content.utf8)])
    }

    @Test func refusalSaysWhy() {
        #expect(Session.run(envelope + "DATA\r\na\nb\r\n.\r\n").lines.last!.contains("bare CR or LF"))
        #expect(Session.run(envelope + "DATA\r\na\0\r\n.\r\n").lines.last!.contains("NUL"))
        #expect(Session.run(envelope + "DATA\r\na\0\n\r\n.\r\n", .octetByOctet).lines.last!.contains("bare CR or LF"))
    }

    @Test func lenientSiteKeepsOctets() {
        let content = "a\nb\rc\r\r\n\n.x\r\n"
        let record = Session.run(envelope + "DATA\r\n" + content + ".\r\n", site: lenientSite())
        #expect(record.messages.map(\.body) == [Array(content.utf8)])
    }

    /// Random octets, mostly those that matter, against the plain reference, in random reads.
    @Test(arguments: 0..<40)
    func unstuffing(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let octets: [UInt8] = [13, 10, 46, 97, 13, 10, 46]
        for _ in 0..<50 {
            var content = (0..<Int.random(in: 0...40, using: &random)).map { _ in octets.randomElement(using: &random)!
            }
            content += [13, 10, 46, 13, 10]
            let expected = naiveBody(content)!
            let sizes = (0..<8).map { _ in Int.random(in: 1...9, using: &random) }
            var session = Session(lenientSite())
            session.send(envelope + "DATA\r\n")
            for chunk in Chunking.sizes(sizes).cut(content) where session.record.messages.isEmpty {
                session.send(chunk)
            }
            guard session.record.messages.map(\.body) == [expected.content] else {
                Issue.record("seed \(seed): \(content) in reads of \(sizes)")
                return
            }
        }
    }

    @Test func runsAreLong() {
        let lines = String(repeating: "a line of a usual length, as they are\r\n", count: 250)
        var machine = SMTPServerMachine(Site().configuration)
        var actions: [SMTPAction] = []
        machine.start(into: &actions)
        for line in ["HELO c\r\n", "MAIL FROM:<>\r\n", "RCPT TO:<a@b>\r\n"] {
            _ = Array(line.utf8).withUnsafeBytes { machine.receive($0, into: &actions) }
        }
        machine.recipientChecked(.accepted, into: &actions)
        _ = Array("DATA\r\n".utf8).withUnsafeBytes { machine.receive($0, into: &actions) }
        machine.bodyStarted(.ready, into: &actions)
        actions = []
        let input = Array((lines + "..x\r\n" + lines + ".\r\nNOOP\r\n").utf8)
        let consumed = input.withUnsafeBytes { machine.receive($0, into: &actions) }
        let half = lines.utf8.count
        let expected: [SMTPAction] = [
            .body(0..<half), .body((half + 1)..<(2 * half + 5)), .deliver(octets: 2 * half + 4),
        ]
        #expect(actions == expected)
        #expect(consumed == 2 * half + 8, "what follows the dot waits for the delivery")
        #expect(machine.isWaiting)
    }

    /// SIZE counts content octets with CRLFs, without stuffed dots (RFC 1870 section 3).
    @Test(arguments: [(10, "250 2.6.0"), (11, "552 5.3.4"), (5_000, "552 5.3.4")])
    func sizeLimit(_ octets: Int, _ reply: String) {
        var site = Site()
        site.configuration.messageOctetsMax = 10
        let content = ".." + String(repeating: "x", count: octets - 3) + "\r\n"
        for chunking in [Chunking.whole, .octetByOctet, .sizes([7])] {
            let record = Session.run(envelope + "DATA\r\n" + content + ".\r\nNOOP\r\n", chunking, site: site)
            #expect(record.lines.suffix(2).first!.prefix(9) == reply)
            #expect(record.lines.last == "250 2.0.0 OK")
            #expect(record.discarded == (octets > 10 ? 1 : 0))
        }
    }

    @Test func lmtpRefusesABodyForEachRecipient() {
        var site = Site(.lmtp)
        site.configuration.messageOctetsMax = 4
        let commands = "LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n"
        let record = Session.run(commands + "too long\r\n.\r\n", site: site)
        #expect(record.lines.suffix(3).map { $0.prefix(9) } == ["354 End d", "552 5.3.4", "552 5.3.4"])
    }

    @Test(arguments: [(100, "250 2.6.0"), (101, "554 5.4.6")])
    func hops(_ count: Int, _ reply: String) {
        let header = String(repeating: "Received: from a\r\n\tby b; now\r\n", count: count)
        let input = envelope + "DATA\r\n" + header + "Subject: x\r\n\r\nReceived: in the text\r\n.\r\n"
        for chunking in [Chunking.whole, .octetByOctet, .sizes([11, 5])] {
            #expect(Session.run(input, chunking).lines.last!.prefix(9) == reply)
        }
    }
}
