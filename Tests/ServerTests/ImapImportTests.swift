// `import imap` against servers made here: hostile ones, whose every answer ends the import with a sentence and a store
// that holds, and one that is sound, with the import stopped at every named point and begun again.
import Foundation
import IMAP
import MailCore
import MailTypes
import SourceSupport
import Synchronization
import Testing

@testable import Server

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

    private func subjects(_ backend: LocalBackend, flags: SystemFlags? = .seen) throws -> [UInt32: String] {
        let (account, id) = try backend.place("alice@example.test", .inbox)
        var found: [UInt32: String] = [:]
        try backend.engine.read { state in
            try state.importedRows(account, id) { uid, row in
                let handle = try backend.engine.openBody(row.blob)
                var body: [UInt8] = []
                try handle.read(at: 0, count: handle.size, into: &body)
                found[uid.rawValue] = String(decoding: body, as: UTF8.self).components(separatedBy: "\r\n")[0]
                if let flags { #expect(row.flags == flags) }
            }
        }
        return found
    }

    private func uidNext(_ backend: LocalBackend) throws -> UInt32? {
        let (account, id) = try backend.place("alice@example.test", .inbox)
        return try backend.engine.read { try $0.mailbox(account, id)?.uidNext }
    }

    private static let wanted = expected(SoundSource.count)

    private static func expected(_ count: Int) -> [UInt32: String] {
        Dictionary(uniqueKeysWithValues: (1...count).map { (UInt32($0 * 3), SoundSource.subject($0 * 3)) })
    }

    /// Stopped at every named point as by a crash, in a first run and in one that finds other flags, then begun again:
    /// nothing comes twice, nothing is missing, and UIDNEXT is the source's.
    @Test func stoppedAnywhereItGoesOn() throws {
        let before = try ScriptedServer { SoundSource.answer($0, $1) }
        let after = try ScriptedServer {
            SoundSource.answer($0, $1, count: SoundSource.count, flags: "\\Seen \\Flagged")
        }
        defer {
            before.close()
            after.close()
        }
        var steps: [ImportStep] = []
        var stop = 0
        while true {
            let scratch = try Scratch()
            defer { scratch.remove() }
            let backend = try store(scratch)
            defer { backend.close() }
            let stopper = Stopper(at: stop)
            for server in [before, after] where stopper.stopped == nil {
                let session = AdministrationSession(backend, form: .text) { _ in }
                let desk = ImportDesk(session) { try stopper.reached($0) }
                let result = Result { try command(server).run(desk, in: session) }
                if stopper.stopped == nil { _ = try result.get() }
            }
            guard let step = stopper.stopped else { break }
            steps.append(step)
            let lines = try backend.answer(command(after))
            #expect(lines.last?.kind == .done, "after \(step): \(lines)")
            #expect(try subjects(backend, flags: [.seen, .flagged]) == Self.wanted, "after \(step)")
            #expect(try uidNext(backend) == SoundSource.uidNext(), "after \(step)")
            let again = try backend.answer(command(after))
            #expect(again.last?.text.hasPrefix("0 messages") == true)
            stop += 1
        }
        #expect(Set(steps) == Set(ImportStep.allCases))
    }

    /// A connection that is reset is made anew. Each of many may break, as long as something came by it.
    @Test func aResetConnectionIsMadeAnew() throws {
        let count = 650
        let fetches = Mutex(0)
        let server = try ScriptedServer { tag, command in
            let isText = command.hasPrefix("UID FETCH") && !command.hasPrefix("UID FETCH 1:*")
            let number =
                isText
                ? fetches.withLock { fetches in
                    fetches += 1
                    return fetches
                } : 0
            return number % 2 == 1 ? ScriptedServer.reset : SoundSource.answer(tag, command, count: count)
        }
        defer { server.close() }
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try store(scratch)
        defer { backend.close() }
        let lines = try backend.answer(command(server))
        #expect(lines.last?.kind == .done, "\(lines)")
        #expect(try subjects(backend) == Self.expected(count))
        let report = try #require(lines.first { $0.text.hasPrefix("INBOX") })
        #expect(
            report.text.contains("\(count) messages, \(count) imported, 0 there before, 0 missing"), "\(report.text)")
        #expect(fetches.withLock { $0 } > 2 * ServerLimits.importAttemptsMax)
    }

    @Test func aConnectionThatIsResetAgainAndAgainEndsTheImport() throws {
        let server = try ScriptedServer { tag, command in
            command.hasPrefix("UID FETCH 3") ? ScriptedServer.reset : SoundSource.answer(tag, command)
        }
        defer { server.close() }
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try store(scratch)
        defer { backend.close() }
        let last = try #require(try backend.answer(command(server)).last)
        #expect(last.kind == .failed && last.status == .tryAgain, "\(last)")
    }

    /// Mail came here under numbers that the source gives to other messages, or may have given.
    @Test func noNumberOfTheSourceIsGivenToAnother() throws {
        let server = try ScriptedServer { SoundSource.answer($0, $1) }
        let more = try ScriptedServer { SoundSource.answer($0, $1, count: 40) }
        defer {
            server.close()
            more.close()
        }
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try store(scratch)
        defer { backend.close() }
        #expect(try backend.answer(command(server)).last?.kind == .done)
        let own = try backend.append("alice@example.test", .inbox, "Subject: ours\r\n\r\n")
        #expect(own.rawValue == SoundSource.uidNext())
        let lines = try backend.answer(command(more))
        #expect(lines.last?.kind == .done, "\(lines)")
        // Theirs up to 120; those up to 99 came too late for their numbers.
        let found = try subjects(backend, flags: nil)
        for uid in stride(from: 102, through: 120, by: 3) { #expect(found[UInt32(uid)] == SoundSource.subject(uid)) }
        for uid in stride(from: 24, through: 99, by: 3) where uid != 99 { #expect(found[UInt32(uid)] == nil) }
        #expect(found[99] == "Subject: ours")
        let moved = found.filter { $0.key >= SoundSource.uidNext(40) }
        #expect(moved.count == 26)
        #expect(lines.contains { $0.text.contains("UIDs kept but for 26") }, "\(lines)")
    }

    /// A source that says it has given nearly all numbers would leave the mailbox none.
    @Test func aNextUIDThatLeavesTooFewIsNotKept() throws {
        let server = try ScriptedServer { tag, command in
            SoundSource.answer(tag, command)?.replacing("[UIDNEXT 99]", with: "[UIDNEXT 4294967290]")
        }
        defer { server.close() }
        let scratch = try Scratch()
        defer { scratch.remove() }
        let backend = try store(scratch)
        defer { backend.close() }
        let lines = try backend.answer(command(server))
        #expect(lines.last?.kind == .failed)
        #expect(lines.contains { $0.text.contains("4294967290, leaves too few") }, "\(lines)")
        #expect(try subjects(backend) == Self.wanted)
        #expect(try uidNext(backend) == 22)
    }

    /// The journal is gone or damaged: the messages are known by their hashes.
    @Test(arguments: [0, 1, 40, 120])
    func aJournalThatIsCutIsNoLoss(octets: Int) throws {
        let server = try ScriptedServer { SoundSource.answer($0, $1) }
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
                { tag, command in command.hasPrefix("LIST") ? "\u{1}\u{2}rubbish\r\n" : SoundSource.answer(tag, command)
                }
            ))
        all.append(
            (
                "an endless line", "over a limit",
                { tag, command in
                    command.hasPrefix("LIST")
                        ? "* LIST " + String(repeating: "x", count: 2 << 20) : SoundSource.answer(tag, command)
                }
            ))
        all.append(
            (
                "a literal of many gigabytes", "over a limit",
                { tag, command in
                    command.hasPrefix("LIST") ? "* LIST () \"/\" {99999999999}\r\n" : SoundSource.answer(tag, command)
                }
            ))
        all.append(
            (
                "a text of many gigabytes", "announces a message",
                { tag, command in
                    command.hasPrefix("UID FETCH 3")
                        ? "* 1 FETCH (UID 3 BODY[] {99999999999999}\r\n" : SoundSource.answer(tag, command)
                }
            ))
        all.append(
            (
                "more messages than there are", "lists",
                { tag, command in
                    guard command.hasPrefix("UID FETCH 1:*") else { return SoundSource.answer(tag, command) }
                    return (1...5_000).map { "* 1 FETCH (UID \($0) FLAGS () RFC822.SIZE 1)\r\n" }.joined()
                        + "\(tag) OK\r\n"
                }
            ))
        all.append(
            (
                "fewer messages than it says", "lists 0 messages",
                { tag, command in
                    command.hasPrefix("UID FETCH 1:*") ? "\(tag) OK done\r\n" : SoundSource.answer(tag, command)
                }
            ))
        all.append(
            (
                "too many messages", "messages in one folder",
                { tag, command in
                    command.hasPrefix("EXAMINE")
                        ? "* 4294967295 EXISTS\r\n\(tag) OK\r\n" : SoundSource.answer(tag, command)
                }
            ))
        all.append(
            (
                "a text that nobody asked for", "nobody asked for",
                { tag, command in
                    command.hasPrefix("UID FETCH 3")
                        ? "* 1 FETCH (UID 4 BODY[] {1}\r\nx)\r\n\(tag) OK\r\n" : SoundSource.answer(tag, command)
                }
            ))
        all.append(
            (
                "the same text twice", "nobody asked for",
                { tag, command in
                    let text = "* 1 FETCH (UID 3 BODY[] {1}\r\nx)\r\n"
                    return command.hasPrefix("UID FETCH 3")
                        ? text + text + "\(tag) OK\r\n" : SoundSource.answer(tag, command)
                }
            ))
        all.append(
            (
                "an answer to nothing", "not sent",
                { tag, command in
                    command.hasPrefix("UID FETCH 3") ? "zzz OK\r\n" : SoundSource.answer(tag, command)
                }
            ))
        all.append(
            (
                "texts that do not come", "7 could not be imported",
                { tag, command in
                    command.hasPrefix("UID FETCH 3") ? "\(tag) NO it is lost\r\n" : SoundSource.answer(tag, command)
                }
            ))
        all.append(
            (
                "the end in the middle of a text", "closed",
                { tag, command in
                    command.hasPrefix("UID FETCH 3") ? nil : SoundSource.answer(tag, command)
                }
            ))
        all.append(
            (
                "goodbye", "goodbye",
                { tag, command in command.hasPrefix("EXAMINE") ? "* BYE tired\r\n" : SoundSource.answer(tag, command) }
            ))
        all.append(
            (
                "a folder that does not open", "does not open",
                { tag, command in
                    command.hasPrefix("EXAMINE") ? "\(tag) NO locked\r\n" : SoundSource.answer(tag, command)
                }
            ))
        all.append(
            (
                "a question", "asks for more",
                { tag, command in command.hasPrefix("LIST") ? "+ what?\r\n" : SoundSource.answer(tag, command) }
            ))
        all.append(
            (
                "names that cannot be", "1 could not be imported",
                { tag, command in
                    guard command.hasPrefix("LIST") else { return SoundSource.answer(tag, command) }
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
        let honest = try ScriptedServer { SoundSource.answer($0, $1) }
        defer { honest.close() }
        #expect(try backend.answer(command(honest)).last?.kind == .done)
    }

    /// One whose certificate stands behind so many octets is found all the same; one that is too large is not cut.
    @Test func aFileOfAuthoritiesIsReadWholeOrRefused() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let own = OwnCertificate(store: scratch.path, hosts: ["localhost"])
        try own.make(at: 1_800_000_000)
        let certificate = try Data(contentsOf: URL(filePath: own.certificatePath))
        func file(_ octets: Int) throws -> String {
            let path = scratch.path + "/authorities-\(octets)"
            let line = Data("# a line of no meaning\n".utf8)
            var text = Data()
            while text.count < octets - certificate.count { text += line }
            try (text + certificate).write(to: URL(filePath: path))
            return path
        }
        let path = try file(3 << 20)
        #expect(throws: Never.self) {
            try SourceTLS.handlerMaker(host: "localhost", security: .tls, authorities: path)
        }
        let tooLarge = try file(ServerLimits.authorityOctetsMax + 1)
        #expect(throws: AdministrationFailure("TLS with localhost: \(tooLarge) is larger than 4194304 octets")) {
            try SourceTLS.handlerMaker(host: "localhost", security: .tls, authorities: tooLarge)
        }
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
