// Limits of IMAP sessions that the machine does not know: what passes one is answered, the connection is in step
// afterwards, and nothing more is held than the limit says.
import MailTypes
import NIOCore
import NIOEmbedded
import Testing

@testable import Gateways

@Suite("IMAP: limits of sessions")
struct IMAPLimitTests {
    private static func literal(_ octets: Int) -> String { "{\(octets)+}\r\n" + String(repeating: "x", count: octets) }

    /// Beyond `imapAppendMemoryOctetsMax` each message is a file of its own.
    @Test("one APPEND may have few messages beside a large one")
    func appendFiles() async throws {
        try await withNode { node in
            try await onOwnThread {
                let client = try node.imap("alice")
                let large = Self.literal(GatewayLimits.imapAppendMemoryOctetsMax)
                let small = " " + Self.literal(10)
                let most = GatewayLimits.imapAppendFilesMax
                let over = try client.run("APPEND INBOX " + large + String(repeating: small, count: most))
                #expect(over.tagged.hasPrefix("NO [LIMIT]"), "\(over.tagged)")
                #expect(try client.run("STATUS INBOX (MESSAGES)").untagged == ["* STATUS INBOX (MESSAGES 0)"])
                let fits = try client.run("APPEND INBOX " + large + String(repeating: small, count: most - 1))
                #expect(fits.isOK, "\(fits.tagged)")
                #expect(try client.run("STATUS INBOX (MESSAGES)").untagged == ["* STATUS INBOX (MESSAGES \(most))"])
                // Small ones alone may be more.
                let many = try client.run("APPEND INBOX" + String(repeating: small, count: most + 1))
                #expect(many.isOK, "\(many.tagged)")
            }
        }
    }

    @Test("SORT and THREAD that would hold too much are NO [LIMIT]")
    func sortOctets() async throws {
        #expect(GatewayLimits.imapSortOctetsMax == 256 << 20)
        try await withNode(options: { $0.imapSortOctetsMax = 4_000 }) { node in
            try await onOwnThread {
                for number in 0..<10 {
                    try node.deposit(
                        "alice@example.test",
                        Array("Subject: \(number) \(String(repeating: "s", count: 500))\r\n\r\nx\r\n".utf8))
                }
                let client = try node.imap("alice")
                try client.run("SELECT INBOX")
                for command in ["SORT (SUBJECT) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL"] {
                    let over = try client.run(command)
                    #expect(over.tagged.hasPrefix("NO [LIMIT]") && over.untagged.isEmpty, "\(command): \(over)")
                    // With fewer it is done, in the same session.
                    let fits = try client.run(command.replacing("ALL", with: "1:5"))
                    #expect(fits.isOK && fits.untagged.count == 1, "\(fits)")
                }
                // What a refused one was to save is nothing (RFC 5182 section 2.1).
                #expect(try client.run("SEARCH RETURN (SAVE) 1:2").isOK)
                #expect(try client.run("SORT RETURN (SAVE) (SUBJECT) UTF-8 ALL").isNO)
                #expect(try client.run("SEARCH RETURN (ALL) $").untagged.allSatisfy { !$0.contains(" ALL ") })
            }
        }
    }

    @Test("HEADER.FIELDS takes from the first octets of an endless header, and no more")
    func headerOctets() async throws {
        let filler = String(repeating: "X-Filler: \(String(repeating: "f", count: 900))\r\n", count: 1_200)
        #expect(filler.utf8.count > GatewayLimits.imapHeaderOctetsMax)
        try await withNode { node in
            try await onOwnThread {
                let message = "Subject: near\r\n\(filler)X-Far: away\r\n\r\nbody\r\n"
                try node.deposit("alice@example.test", Array(message.utf8))
                let client = try node.imap("alice")
                try client.run("SELECT INBOX")
                let fields = try client.run("FETCH 1 BODY.PEEK[HEADER.FIELDS (Subject X-Far)]")
                #expect(fields.isOK)
                let line = try #require(fields.first("FETCH"))
                #expect(line.contains("Subject: near\r\n") && !line.contains("X-Far: away"))
                let rest = try client.run("FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (Subject)]")
                #expect(try #require(rest.first("FETCH")).utf8.count < GatewayLimits.imapHeaderOctetsMax + 1_024)
                // The whole of it is there for whoever asks for the whole.
                let whole = try client.run("FETCH 1 BODY.PEEK[HEADER]")
                #expect(try #require(whole.first("FETCH")).contains("X-Far: away"))
                // A search for a field looks as far, and is in step.
                #expect(try client.run("SEARCH HEADER X-Far away").untagged == ["* SEARCH"])
                #expect(try client.run("SEARCH HEADER Subject near").untagged == ["* SEARCH 1"])
            }
        }
    }

    @Test("one FETCH reads no more of a header than the limit, however many items it has")
    func headerItems() async throws {
        let header =
            "Subject: near\r\n" + String(repeating: "X-Filler: \(String(repeating: "f", count: 900))\r\n", count: 1_100)
        let item: @Sendable (Int) -> String = { "BODY.PEEK[HEADER.FIELDS (Subject X-\($0))]" }
        let octets = header.utf8.count + 2
        let fitting = GatewayLimits.imapHeaderItemsOctetsMax / octets
        #expect(octets < GatewayLimits.imapHeaderOctetsMax && fitting > 1)
        try await withNode { node in
            try await onOwnThread {
                try node.deposit("alice@example.test", Array("\(header)\r\nbody\r\n".utf8))
                try node.deposit("alice@example.test", Array(letter.utf8))
                let client = try node.imap("alice")
                try client.run("SELECT INBOX")
                let fits = try client.run("FETCH 1:2 (\((1...fitting).map(item).joined(separator: " ")))")
                #expect(fits.isOK && fits.all("FETCH").count == 2)
                let over = try client.run("FETCH 1:2 (\((0...fitting).map(item).joined(separator: " ")))")
                #expect(over.tagged.hasPrefix("NO [LIMIT]"), "\(over.tagged)")
                // The one with a short header is served, and the connection is in step.
                #expect(over.all("FETCH").map { $0.prefix(9) } == ["* 2 FETCH"])
                // The same item twice is one.
                let same = [String](repeating: item(1), count: fitting + 1).joined(separator: " ")
                let once = try client.run("FETCH 1 (\(same) ENVELOPE ENVELOPE)")
                #expect(once.isOK)
                let line = try #require(once.first("FETCH"))
                #expect(
                    line.split(separator: "HEADER.FIELDS").count == 2 && line.split(separator: "ENVELOPE").count == 2)
            }
        }
    }

    @Test("of what a client says it is, no more is kept than the limit")
    func clientName() async throws {
        try await withNode { node in
            try await onOwnThread {
                let client = try node.imap("alice")
                let name = String(repeating: "n", count: 1_000)
                #expect(try client.run("ID (\"name\" \"\(name)\" \"version\" \"\(name)\")").isOK)
                #expect(try client.run("CREATE Box").isOK)
                var names: [String] = []
                let account = try node.account("alice@example.test")
                try node.engine.read { state in
                    try state.history(account) { event in
                        if case .sessionOpened(let opened) = event.event { names.append(opened.client) }
                        return true
                    }
                }
                #expect(names.map(\.count) == [GatewayLimits.imapClientNameMax])
                #expect(names.allSatisfy { $0.contains("nnn") })
            }
        }
    }

    /// A thousand octets of deflate can be a million: they come a piece at a time, each when it is asked for.
    @Test("COMPRESS inflates no more than one piece for each read")
    func inflatedOctets() throws {
        let plain = 2 << 20
        let packer = try #require(DeflateHandler())
        let sender = EmbeddedChannel(handler: packer)
        try sender.connect(to: SocketAddress(unixDomainSocketPath: "/sender")).wait()
        var packed = ByteBuffer()
        for _ in 0..<16 {
            try sender.writeOutbound(ByteBuffer(repeating: 0x78, count: plain / 16))
            while var part = try sender.readOutbound(as: ByteBuffer.self) { packed.writeBuffer(&part) }
        }
        #expect(packed.readableBytes * 100 < plain)

        let top = Pieces()
        let unpacker = try #require(DeflateHandler())
        let receiver = EmbeddedChannel(handlers: [unpacker, top])
        try receiver.connect(to: SocketAddress(unixDomainSocketPath: "/receiver")).wait()
        try receiver.writeInbound(packed)
        var seen = 0
        var reads = 0
        while top.octets < plain {
            #expect(top.pieces.count == reads + 1, "a piece that was not asked for")
            guard top.octets > seen else {
                Issue.record("no more came after \(top.octets) octets")
                break
            }
            seen = top.octets
            receiver.pipeline.read()
            receiver.embeddedEventLoop.run()
            reads += 1
        }
        #expect(top.octets == plain && top.areAllX)
        #expect(top.pieces.allSatisfy { $0 <= GatewayLimits.readOctetsMax })
        // What is no deflate is an error and no octets.
        _ = try? receiver.writeInbound(ByteBuffer(bytes: [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]))
        #expect(top.octets == plain && top.errors == 1)
        _ = try? sender.finish(acceptAlreadyClosed: true)
        _ = try? receiver.finish(acceptAlreadyClosed: true)
    }
}

/// What reaches the connection.
private final class Pieces: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    var pieces: [Int] = []
    var areAllX = true
    var errors = 0
    var octets: Int { pieces.reduce(0, +) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let piece = unwrapInboundIn(data)
        pieces.append(piece.readableBytes)
        areAllX = areAllX && piece.readableBytesView.allSatisfy { $0 == 0x78 }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { errors += 1 }
}
