// `import imap` against servers made here: hostile ones, whose every answer ends the import with a sentence and a store
// that holds, and one that is sound, with the import stopped at every named point and begun again.
import Foundation
import IMAP
import MailCore
import MailTypes
import NIOCore
import NIOPosix
import Testing

@testable import Server

/// A server that answers lines by a table, and ends after the greeting when it has none for a line.
private final class ScriptedServer: Sendable {
    typealias Answer = @Sendable (_ tag: String, _ command: String) -> String?

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        let greeting: String
        let answer: Answer
        var held = ""

        init(_ greeting: String, _ answer: @escaping Answer) {
            self.greeting = greeting
            self.answer = answer
        }

        func channelActive(context: ChannelHandlerContext) { say(greeting, context) }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var buffer = unwrapInboundIn(data)
            held += buffer.readString(length: buffer.readableBytes) ?? ""
            while let end = held.range(of: "\r\n") {
                let line = String(held[..<end.lowerBound])
                held = String(held[end.upperBound...])
                let words = line.split(separator: " ", maxSplits: 1).map(String.init)
                guard words.count == 2, let text = answer(words[0], words[1]) else {
                    context.close(promise: nil)
                    return
                }
                say(text, context)
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        private func say(_ text: String, _ context: ChannelHandlerContext) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
        }
    }

    private let channel: any Channel
    var port: Int { channel.localAddress?.port ?? 0 }

    init(greeting: String = "* OK ready\r\n", _ answer: @escaping Answer) throws {
        channel = try ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(greeting, answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).wait()
    }

    func close() { try? channel.close().wait() }
}

/// What a sound server says about two folders of some messages.
private func sound(_ tag: String, _ command: String) -> String? {
    let count = 7
    if command.hasPrefix("AUTHENTICATE") || command.hasPrefix("LOGIN") || command.hasPrefix("EXAMINE")
        || command.hasPrefix("CAPABILITY")
    {
        return "* CAPABILITY IMAP4rev1 CONDSTORE\r\n* \(count) EXISTS\r\n* OK [UIDVALIDITY 77]\r\n"
            + "* OK [UIDNEXT 99]\r\n* OK [HIGHESTMODSEQ 5]\r\n\(tag) OK done\r\n"
    }
    if command.hasPrefix("LIST") { return "* LIST () \"/\" INBOX\r\n\(tag) OK done\r\n" }
    if command.hasPrefix("STATUS") { return "* STATUS INBOX (MESSAGES \(count) UIDVALIDITY 77)\r\n\(tag) OK\r\n" }
    if command.hasPrefix("UID FETCH 1:*") {
        let lines = (1...count).map { number in
            "* \(number) FETCH (UID \(number * 3) FLAGS (\\Seen key\(number % 2)) INTERNALDATE "
                + "\"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 16)\r\n"
        }
        return lines.joined() + "\(tag) OK done\r\n"
    }
    if command.hasPrefix("UID FETCH") {
        // In descending order, which is as good as any.
        let wanted = uids(String(command.split(separator: " ")[2]))
        let lines = wanted.reversed().map {
            "* \($0 / 3) FETCH (BODY[] {16}\r\nSubject: \(100 + $0)\r\n\r\n UID \($0))\r\n"
        }
        return lines.joined() + "\(tag) OK done\r\n"
    }
    return "\(tag) OK done\r\n"
}

/// Those of a set that are there.
private func uids(_ set: String) -> [Int] {
    set.split(separator: ",").flatMap { part -> [Int] in
        let ends = part.split(separator: ":").compactMap { Int($0) }
        return Array((ends.first ?? 0)...(ends.last ?? 0))
    }.filter { $0 % 3 == 0 }
}

@Suite struct ImapImportTests {
    private struct Stopped: Error {}

    /// Throws at one of the steps, counted from 0.
    private final class Stopper {
        private var left: Int
        private(set) var stopped: ImportStep?

        init(at number: Int) { left = number }

        func reached(_ step: ImportStep) throws {
            defer { left -= 1 }
            guard left == 0 else { return }
            stopped = step
            throw Stopped()
        }
    }

    private func store(_ scratch: Scratch) throws -> LocalBackend {
        let backend = try scratch.store()
        _ = try backend.answer(AccountAdd(entries: [.init(address: "alice", verifier: nil)]))
        return backend
    }

    private func command(_ server: ScriptedServer) -> ImportImap {
        var command = ImportImap(
            host: "127.0.0.1", port: server.port, security: .none,
            entries: [.init(address: "alice", user: "alice", password: "secret")])
        command.connections = 1
        return command
    }

    private func subjects(_ backend: LocalBackend) throws -> [UInt32: String] {
        let (account, id) = try backend.place("alice@example.test", .inbox)
        var found: [UInt32: String] = [:]
        try backend.engine.read { state in
            try state.importedRows(account, id) { uid, row in
                let handle = try backend.engine.openBody(row.blob)
                var body: [UInt8] = []
                try handle.read(at: 0, count: handle.size, into: &body)
                found[uid.rawValue] = String(decoding: body, as: UTF8.self).components(separatedBy: "\r\n")[0]
                #expect(row.flags == .seen)
            }
        }
        return found
    }

    private static let wanted = Dictionary(
        uniqueKeysWithValues: (1...7).map { (UInt32($0 * 3), "Subject: \(100 + $0 * 3)") })

    /// Stopped at every named point as by a crash, then begun again: nothing comes twice, and nothing is missing.
    @Test func stoppedAnywhereItGoesOn() throws {
        let server = try ScriptedServer { sound($0, $1) }
        defer { server.close() }
        var steps: [ImportStep] = []
        var stop = 0
        while true {
            let scratch = try Scratch()
            defer { scratch.remove() }
            let backend = try store(scratch)
            defer { backend.close() }
            let stopper = Stopper(at: stop)
            let session = AdministrationSession(backend, form: .text) { _ in }
            let desk = ImportDesk(session) { try stopper.reached($0) }
            let result = Result { try command(server).run(desk, in: session) }
            guard let step = stopper.stopped else {
                _ = try result.get()
                break
            }
            steps.append(step)
            let lines = try backend.answer(command(server))
            #expect(lines.last?.kind == .done, "after \(step): \(lines)")
            #expect(try subjects(backend) == Self.wanted, "after \(step)")
            let again = try backend.answer(command(server))
            #expect(again.last?.text.hasPrefix("0 messages") == true)
            stop += 1
        }
        #expect(Set(steps) == [.folderPrepared, .batchAppended, .journalWritten, .folderChecked])
    }

    /// The journal is gone or damaged: the messages are known by their hashes.
    @Test(arguments: [0, 1, 40, 120])
    func aJournalThatIsCutIsNoLoss(octets: Int) throws {
        let server = try ScriptedServer { sound($0, $1) }
        defer { server.close() }
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try store(scratch)
        defer { backend.close() }
        #expect(try backend.answer(command(server)).last?.kind == .done)
        let root = backend.store.directory + "/import"
        var journals = 0
        for name in try FileManager.default.subpathsOfDirectory(atPath: root) where name.contains("/") {
            guard !name.hasSuffix("/lock") else { continue }
            try FileHandle(forUpdating: URL(filePath: root + "/" + name)).truncate(atOffset: UInt64(octets))
            journals += 1
        }
        #expect(journals == 1)
        #expect(try backend.answer(command(server)).last?.kind == .done)
        #expect(try subjects(backend) == Self.wanted)
    }

    private typealias Mischief = (name: String, words: String, answer: ScriptedServer.Answer)

    /// What a server may do instead of what it should, and words of the sentence that ends the import.
    private static let mischief: [Mischief] = {
        var all: [Mischief] = []
        all.append(
            (
                "garbage", "is not IMAP",
                { tag, command in command.hasPrefix("LIST") ? "\u{1}\u{2}rubbish\r\n" : sound(tag, command) }
            ))
        all.append(
            (
                "an endless line", "over a limit",
                { tag, command in
                    command.hasPrefix("LIST") ? "* LIST " + String(repeating: "x", count: 2 << 20) : sound(tag, command)
                }
            ))
        all.append(
            (
                "a literal of many gigabytes", "over a limit",
                { tag, command in
                    command.hasPrefix("LIST") ? "* LIST () \"/\" {99999999999}\r\n" : sound(tag, command)
                }
            ))
        all.append(
            (
                "a text of many gigabytes", "announces a message",
                { tag, command in
                    command.hasPrefix("UID FETCH 3")
                        ? "* 1 FETCH (UID 3 BODY[] {99999999999999}\r\n" : sound(tag, command)
                }
            ))
        all.append(
            (
                "more messages than there are", "lists",
                { tag, command in
                    guard command.hasPrefix("UID FETCH 1:*") else { return sound(tag, command) }
                    return (1...5_000).map { "* 1 FETCH (UID \($0) FLAGS () RFC822.SIZE 1)\r\n" }.joined()
                        + "\(tag) OK\r\n"
                }
            ))
        all.append(
            (
                "fewer messages than it says", "lists 0 messages",
                { tag, command in
                    command.hasPrefix("UID FETCH 1:*") ? "\(tag) OK done\r\n" : sound(tag, command)
                }
            ))
        all.append(
            (
                "too many messages", "messages in one folder",
                { tag, command in
                    command.hasPrefix("EXAMINE") ? "* 4294967295 EXISTS\r\n\(tag) OK\r\n" : sound(tag, command)
                }
            ))
        all.append(
            (
                "a text that nobody asked for", "nobody asked for",
                { tag, command in
                    command.hasPrefix("UID FETCH 3")
                        ? "* 1 FETCH (UID 4 BODY[] {1}\r\nx)\r\n\(tag) OK\r\n" : sound(tag, command)
                }
            ))
        all.append(
            (
                "the same text twice", "nobody asked for",
                { tag, command in
                    let text = "* 1 FETCH (UID 3 BODY[] {1}\r\nx)\r\n"
                    return command.hasPrefix("UID FETCH 3") ? text + text + "\(tag) OK\r\n" : sound(tag, command)
                }
            ))
        all.append(
            (
                "an answer to nothing", "not sent",
                { tag, command in
                    command.hasPrefix("UID FETCH 3") ? "zzz OK\r\n" : sound(tag, command)
                }
            ))
        all.append(
            (
                "texts that do not come", "7 could not be imported",
                { tag, command in
                    command.hasPrefix("UID FETCH 3") ? "\(tag) NO it is lost\r\n" : sound(tag, command)
                }
            ))
        all.append(
            (
                "the end in the middle of a text", "closed",
                { tag, command in
                    command.hasPrefix("UID FETCH 3") ? nil : sound(tag, command)
                }
            ))
        all.append(
            (
                "goodbye", "goodbye",
                { tag, command in command.hasPrefix("EXAMINE") ? "* BYE tired\r\n" : sound(tag, command) }
            ))
        all.append(
            (
                "a folder that does not open", "does not open",
                { tag, command in
                    command.hasPrefix("EXAMINE") ? "\(tag) NO locked\r\n" : sound(tag, command)
                }
            ))
        all.append(
            (
                "a question", "asks for more",
                { tag, command in command.hasPrefix("LIST") ? "+ what?\r\n" : sound(tag, command) }
            ))
        all.append(
            (
                "names that cannot be", "1 could not be imported",
                { tag, command in
                    guard command.hasPrefix("LIST") else { return sound(tag, command) }
                    return "* LIST () \"/\" \"a//b\"\r\n* LIST () \"/\" INBOX\r\n\(tag) OK\r\n"
                }
            ))
        return all
    }()

    @Test(arguments: mischief.map(\.name))
    func mischiefEndsWithASentence(name: String) throws {
        let (_, words, answer) = try #require(Self.mischief.first { $0.name == name })
        let server = try ScriptedServer(answer)
        defer { server.close() }
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try store(scratch)
        defer { backend.close() }
        let lines = try backend.answer(command(server))
        #expect(lines.last?.kind == .failed)
        let said = lines.map(\.text).joined(separator: "\n")
        #expect(said.contains(words), "\(said)")
        #expect(!said.contains("secret"))
        #expect(try backend.answer(StoreVerify()).last?.kind == .done)
        // The store is none the worse: a sound server's mail comes whole.
        let honest = try ScriptedServer { sound($0, $1) }
        defer { honest.close() }
        #expect(try backend.answer(command(honest)).last?.kind == .done)
    }

    @Test func noServerOfIMAP() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try store(scratch)
        defer { backend.close() }
        for greeting in ["220 mail.example.test ESMTP\r\n", "* NO busy\r\n", "a1 OK ready\r\n"] {
            let server = try ScriptedServer(greeting: greeting) { _, _ in nil }
            defer { server.close() }
            #expect(try backend.answer(command(server)).last?.kind == .failed)
        }
    }

    @Test func namesBecomeOurs() throws {
        func lines(_ names: [String], _ separator: UInt8) -> [IMAPListed] { names.map { IMAPListed($0, separator) } }
        let courier = try IMAPListed.names(
            lines(["INBOX", "INBOX.Sent", "INBOX.a/b", "INBOX.&AMQ-rger", "INBOX.x&y", "shared.all"], 0x2E),
            prefix: "INBOX.", shared: "shared.")
        #expect(courier.folders.map(\.name.description) == ["INBOX", "Sent", "a_b", "x&y", "Ärger"])
        #expect(courier.refused.isEmpty)
        let twins = try IMAPListed.names(lines(["a/b", "a_b", "inbox", "INBOX"], 0x2E), prefix: "", shared: "~")
        #expect(twins.folders.map(\.name.description) == ["INBOX", "a_b"])
        #expect(twins.refused.map(\.name) == ["a_b"])
    }
}

/// A line of LIST, short.
private struct IMAPListed {
    var name: String
    var separator: UInt8

    init(_ name: String, _ separator: UInt8) {
        self.name = name
        self.separator = separator
    }

    static func names(_ lines: [IMAPListed], prefix: String, shared: String) throws -> SourceNames {
        try SourceNames(
            lines.map {
                IMAPListedMailbox(
                    attributes: [], separator: $0.separator, name: Array($0.name.utf8), isFromLsub: false)
            },
            IMAPNamespaces(
                personal: [.init(prefix: Array(prefix.utf8), separator: 0x2E)], others: [],
                shared: [.init(prefix: Array(shared.utf8), separator: 0x2E)]))
    }
}
