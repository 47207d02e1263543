// Sessions of IMAP under octets that nobody should send, in every state a connection can be in: before login, logged in,
// with a mailbox open, in IDLE, within literals and message texts, within an exchange of SASL, and compressed. It is the
// whole gateway that is driven, over a socket; Tests/Fuzz/imap.swift does the same to the machine alone, far more often.
//
// Held: the node goes on, others are answered and see exactly what is there, and no session stays behind.
//
// With LETTERLOG_SOAK_SECONDS other seeds follow for so long, from LETTERLOG_SOAK_SEED on.
import Foundation
import MailCore
import MailEngine
import MailTypes
import NIOCore
import NIOEmbedded
import Testing

@testable import Gateways

/// Where a connection stands when the mischief begins.
private enum Place: Int, CaseIterable {
    case greeted, exchange, loggedIn, selected, examined, rev2, idle, idleWithoutMailbox, literal, messageText
    case catenate, compressed, notDeflate
}

private struct Mischief {
    private static let commands = [
        "NOOP", "CAPABILITY", "SELECT INBOX", "EXAMINE Archive", "SELECT INBOX (QRESYNC (1 1 1:*))", "CLOSE",
        "UNSELECT",
        "FETCH 1:* (FLAGS UID MODSEQ)",
        "UID FETCH 1:* (BODYSTRUCTURE ENVELOPE BODY[1.MIME] BODY.PEEK[HEADER.FIELDS (To)])",
        "FETCH 1 BODY[]<5.20>", "FETCH 2 (BINARY[1] BINARY.SIZE[1] PREVIEW SAVEDATE)", "STORE 1:3 +FLAGS (\\Seen $x)",
        "UID STORE 1:* -FLAGS.SILENT (\\Seen)", "STORE 2 (UNCHANGEDSINCE 3) FLAGS (\\Flagged)", "COPY 1:2 Archive",
        "UID MOVE 1:2 Archive", "MOVE 1 INBOX", "SEARCH RETURN (SAVE) OR TEXT one NOT SEEN", "FETCH $ FLAGS",
        "SORT (SUBJECT REVERSE DATE) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL", "SEARCH BODY {3}\r\none",
        "SEARCH SUBJECT {4+}\r\nword", "APPEND INBOX (\\Seen) {12+}\r\nA: b\r\n\r\nc\r\n\r\n",
        "APPEND INBOX {400000+}\r\nx",
        "APPEND INBOX {10}", "APPEND Archive CATENATE (URL \"/INBOX/;UID=1\" TEXT {2+}\r\nxy)",
        "REPLACE 1 INBOX {3+}\r\nabc",
        "IDLE\r\nDONE", "IDLE", "DONE", "CREATE a/b", "DELETE a/b", "RENAME a/b a/c", "RENAME INBOX a/d", "LIST \"\" *",
        "LIST (SUBSCRIBED) \"\" % RETURN (STATUS (MESSAGES SIZE))", "STATUS INBOX (MESSAGES HIGHESTMODSEQ)", "EXPUNGE",
        "UID EXPUNGE 1:*", "ENABLE QRESYNC", "ENABLE IMAP4rev2", "ENABLE UTF8=ACCEPT", "ID (\"name\" NIL)", "NAMESPACE",
        "GETQUOTAROOT INBOX", "UNAUTHENTICATE", "COMPRESS DEFLATE", "AUTHENTICATE SCRAM-SHA-256", "*", "LOGOUT", "",
    ]

    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state >> 33
    }

    mutating func below(_ bound: Int) -> Int { Int(next()) % bound }

    /// Commands, broken ones among them.
    mutating func octets() -> [UInt8] {
        var octets: [UInt8] = []
        for number in 0..<(1 + below(12)) {
            var command = Array("m\(number) \(Self.commands[below(Self.commands.count)])\r\n".utf8)
            switch below(6) {
            case 0: command[below(command.count)] = UInt8(truncatingIfNeeded: next())
            case 1: command.removeSubrange(below(command.count)...)
            case 2: command.insert(contentsOf: [13, 10, 0, 255, 40, 123, 34][below(7)...], at: below(command.count))
            case 3: command = (0..<below(60)).map { _ in UInt8(truncatingIfNeeded: next()) }
            default: break
            }
            octets += command
        }
        return octets
    }

    /// In pieces, so that every place within a command is the end of one.
    mutating func pieces(_ octets: [UInt8]) -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        var rest = octets[...]
        while !rest.isEmpty {
            let piece = rest.prefix(1 + below(below(3) == 0 ? 4 : 400))
            pieces.append(Array(piece))
            rest = rest.dropFirst(piece.count)
        }
        return pieces
    }
}

@Suite("IMAP: mischief")
struct IMAPMischiefTests {
    @Test("whatever is sent, in every state, others are served and see what is there", arguments: Place.allCases)
    private func anything(_ place: Place) async throws {
        let environment = ProcessInfo.processInfo.environment
        let soak = environment["LETTERLOG_SOAK_SECONDS"].flatMap(Double.init).map { $0 / Double(Place.allCases.count) }
        let first = environment["LETTERLOG_SOAK_SEED"].flatMap(UInt64.init) ?? 1
        let end = Date(timeIntervalSinceNow: soak ?? 0)
        try await withNode { node in
            try await onOwnThread {
                for _ in 0..<5 { try node.deposit("alice@example.test", Array(letter.utf8)) }
                let watcher = try node.imap("alice")
                try watcher.run("CREATE Archive")
                try watcher.run("SELECT INBOX")
                var seed = first
                repeat {
                    try Self.visit(place, node, Mischief(seed: seed &* 1_000_003 &+ UInt64(place.rawValue)))
                    if seed % 5 == 0 { try Self.compare(watcher, node, "seed \(seed)") }
                    seed += 1
                } while seed < first + 30 || Date() < end
                try Self.compare(watcher, node, "at the end")
            }
            // Only the watcher was still there.
            #expect(await eventually { node.gateways.sessions.isEmpty })
        }
    }

    private static func visit(_ place: Place, _ node: TestNode, _ mischief: Mischief) throws {
        var mischief = mischief
        let client = place == .greeted || place == .exchange ? nil : try node.imap("alice")
        let socket = try client?.socket ?? node.client(.imap)
        var packer: EmbeddedChannel?
        defer { _ = try? packer?.finish(acceptAlreadyClosed: true) }
        switch place {
        case .greeted: break
        case .exchange: try socket.send("s AUTHENTICATE SCRAM-SHA-256\r\n")
        case .loggedIn: break
        case .selected: try client?.run("SELECT INBOX")
        case .examined: try client?.run("EXAMINE INBOX")
        case .rev2:
            try client?.run("ENABLE IMAP4rev2 QRESYNC UTF8=ACCEPT")
            try client?.run("SELECT INBOX")
        case .idle:
            try client?.run("SELECT INBOX")
            try socket.send("s IDLE\r\n")
        case .idleWithoutMailbox: try socket.send("s IDLE\r\n")
        case .literal:
            try client?.run("SELECT INBOX")
            try socket.send("s SEARCH SUBJECT {60}\r\n")
        case .messageText: try socket.send("s APPEND INBOX {60}\r\n")
        case .catenate: try socket.send("s APPEND INBOX CATENATE (URL \"/INBOX/;UID=1\" TEXT {60}\r\n")
        case .compressed, .notDeflate:
            try client?.run("SELECT INBOX")
            try client?.run("COMPRESS DEFLATE")
            let handler = try #require(DeflateHandler())
            packer = EmbeddedChannel(handler: handler)
            try packer?.connect(to: SocketAddress(unixDomainSocketPath: "/packer")).wait()
        }
        let octets = mischief.octets()
        let broken = mischief.below(octets.count)
        var sent = 0
        for piece in mischief.pieces(octets) {
            var out = piece
            if let packer {
                try packer.writeOutbound(ByteBuffer(bytes: piece))
                out = []
                while let part = try packer.readOutbound(as: ByteBuffer.self) { out += Array(buffer: part) }
                if place == .notDeflate, (sent..<(sent + piece.count)).contains(broken) {
                    out[mischief.below(out.count)] ^= UInt8(1 << mischief.below(8))
                }
            }
            sent += piece.count
            // The session may have ended over what came before.
            guard (try? socket.send(out)) != nil else { break }
        }
        switch mischief.below(3) {
        case 0: socket.resetAtEnd()
        case 1:
            socket.endSending()
            _ = socket.isClosed()
        default: break
        }
    }

    /// What a session that was there all along believes, and what a new one finds.
    private static func compare(_ watcher: IMAPClient, _ node: TestNode, _ when: String) throws {
        // The changes of sessions that were reset are still on their way at times: both look until they agree.
        for attempt in 0..<200 {
            #expect(try watcher.run("NOOP").isOK)
            let fresh = try node.imap("alice")
            try fresh.run("EXAMINE INBOX")
            let told = try flags(watcher)
            let found = try flags(fresh)
            if told == found { return }
            try #require(attempt < 199, "\(when): told \(told), found \(found)")
            usleep(5_000)
        }
    }

    private static func flags(_ client: IMAPClient) throws -> [String] {
        let answer = try client.run("UID FETCH 1:* (FLAGS)")
        try #require(answer.isOK)
        return answer.all(" FETCH ").map { line in
            // The first session that sees a message has it recent, others do not.
            line.replacing("\\Recent ", with: "").replacing(" \\Recent", with: "").replacing("\\Recent", with: "")
        }
    }
}
