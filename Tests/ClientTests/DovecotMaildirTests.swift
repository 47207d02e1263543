// Debian's Dovecot serves a copy of the projected tree: the way out for an operator who leaves. It must show the same
// names, UIDVALIDITY, UIDs, flags, keywords, dates, subscriptions and bytes as the store has.
import EventStore
import Foundation
import MailCore
import MailEngine
import MailTypes
import Octets
import Projections
import Synchronization
import Testing

/// What serve_maildir.py prints.
private struct Seen: Decodable, Equatable {
    struct Message: Decodable, Equatable {
        var uid: UInt32
        var flags: [String]
        var size: UInt32
        var seconds: Int64
        var sha256: String
    }

    struct Mailbox: Decodable, Equatable {
        var uidvalidity: UInt32
        var uidnext: UInt32
        var messages: [Message]
    }

    var mailboxes: [String: Mailbox]
    var subscribed: [String]
    /// Lines of Dovecot's log that say that something is wrong.
    var complaints: [String]
}

private struct Failure: Error {
    var text: String
}

@Suite("Dovecot and mutt on the projected tree")
final class DovecotMaildirTests {
    private let directory: String
    private let store = MemoryStore()
    private let engine: MailEngine
    private let account = AccountID.firstPersonal

    init() throws {
        directory = FileManager.default.temporaryDirectory.path + "/letterlog-client-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        // A folder in a place that another user can reach: Dovecot runs as nobody when the tests run as root.
        chmod(directory, 0o755)
        let time = Mutex(Int64(1_800_000_000))
        engine = MailEngine(store: store, options: EngineOptions(spoolDirectory: directory)) {
            Timestamp(
                seconds: time.withLock {
                    $0 += 1
                    return $0
                })
        }
        try fill()
    }

    deinit {
        engine.close()
        try? FileManager.default.removeItem(atPath: directory)
    }

    // MARK: The mail

    @discardableResult
    private func run(_ command: AccountCommand, _ bodies: [[UInt8]] = [], as target: AccountID? = nil) throws
        -> CommandResult
    {
        let sources = try bodies.map { body in
            let writer = engine.makeBody()
            try writer.append(body)
            return try writer.finish()
        }
        let request = Request([.init(target ?? account, command)], bodies: sources, origin: Origin(gateway: .admin))
        guard case .done(let result, _) = engine.performAndWait(request)[0] else { throw Failure(text: "\(command)") }
        return result
    }

    private func mailbox(_ name: String) throws -> MailboxID {
        let parsed = try #require(MailboxName(name))
        return try #require(try engine.read { try $0.mailboxID(account, named: parsed) })
    }

    private func fill() throws {
        try run(.openShard(ShardOpened(shard: 0, storeUUID: String(repeating: "5e", count: 16))), as: .system)
        try run(.createAccount(NewAccount(address: try #require(Address("ada@example.test")))), as: Request.newAccount)
        for name in ["Sent", "Archive/2026", "Entw\u{FC}rfe", "a.b/c\\d", "R&D \u{65E5}\u{672C}", "~home", "Empty"] {
            try run(.createMailbox(NewMailbox(name: try #require(MailboxName(name)), subscribed: name != "Sent")))
        }
        // No NUL: IMAP cannot carry one (RFC 9051 section 4.3.1), and Dovecot sends 0x80 in its place.
        let binary = "X: \r\n\r\n" + String(repeating: "\u{E9}\u{2}\u{1}", count: 5000) + "\r\n"
        let long = "Subject: long\r\n\r\n" + String(repeating: "y", count: 70_000) + "\r\n.\r\n"
        for (number, text) in ["Subject: a\r\n\r\nb\r\n", binary, long, "\r\n", "Subject: no end"].enumerated() {
            for name in ["INBOX", "Archive/2026", "a.b/c\\d", "R&D \u{65E5}\u{672C}"] {
                let message = NewMessage(
                    body: 0, flags: SystemFlags(rawValue: UInt8(number * 7 % 32)),
                    keywords: number % 2 == 0 ? [] : ["$Junk", "$Forwarded", "work"].compactMap { Keyword($0) },
                    internalDate: InternalDate(
                        time: Timestamp(seconds: 1_234_567_890 + Int64(number) * 86_400), zoneMinutes: 60))
                let append = AppendMessages(mailbox: try mailbox(name), messages: [message], origin: .lmtp)
                try run(.append(append), [Array(text.utf8)])
            }
        }
        let inbox = MailboxID(1)
        try run(
            .changeFlags(
                ChangeFlags(
                    mailbox: inbox, uids: UIDSet([UID(1), UID(3)]), operation: .replace, flags: .all, keywords: [])))
        try run(
            .expunge(Expunge(mailbox: inbox, uids: UIDSet([UID(2), UID(5)]), onlyDeleted: false, reason: .expunge)))
        try run(.copy(CopyMessages(source: inbox, destination: try mailbox("Sent"), uids: UIDSet([UID(1), UID(4)]))))
        try run(.bumpUIDValidity(try mailbox("Archive/2026")))
        try run(.renameMailbox(try mailbox("Sent"), to: try #require(MailboxName("Post/Sent"))))
    }

    /// What a client of ours would see.
    private func expected() throws -> Seen {
        try engine.read { state in
            var boxes: [String: Seen.Mailbox] = [:]
            var rows: [(MailboxID, MailboxRow)] = []
            try state.mailboxes(account) { id, row in
                rows.append((id, row))
                return true
            }
            for (id, row) in rows {
                var box = Seen.Mailbox(uidvalidity: row.uidValidity.rawValue, uidnext: row.uidNext, messages: [])
                var found: [(UID, MessageRow)] = []
                try state.messages(account, id, from: UID(1)) { uid, message in
                    found.append((uid, message))
                    return true
                }
                for (uid, message) in found {
                    let keywords = try state.keywords(account, id, uid, message).compactMap {
                        try state.keyword(account, $0)?.name
                    }
                    let hash = try #require(try state.body(message.blob)).hash.words
                    box.messages.append(
                        Seen.Message(
                            uid: uid.rawValue, flags: (keywords + Self.names(message.flags)).sorted(),
                            size: message.size,
                            seconds: message.internalDate.time.seconds,
                            sha256: [hash.0, hash.1, hash.2, hash.3].map { Hex.encode($0.byteSwapped, width: 16) }
                                .joined()))
                }
                boxes[ModifiedUTF7.encode(try #require(try state.name(account, of: id)).description)] = box
            }
            return Seen(
                mailboxes: boxes, subscribed: try state.subscriptions(account).map(ModifiedUTF7.encode).sorted(),
                complaints: [])
        }
    }

    private static func names(_ flags: SystemFlags) -> [String] {
        let all: [(SystemFlags, String)] = [
            (.seen, "\\Seen"), (.answered, "\\Answered"), (.flagged, "\\Flagged"), (.deleted, "\\Deleted"),
            (.draft, "\\Draft"),
        ]
        return all.filter { flags.contains($0.0) }.map(\.1)
    }

    // MARK: The readers

    private func program(_ path: String, _ arguments: [String]) throws -> Data {
        let process = Process()
        process.executableURL = URL(filePath: path)
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(text: "\(path) ended with \(process.terminationStatus)")
        }
        return data
    }

    private func projectedCopy() throws -> String {
        let root = directory + "/maildir"
        let projection = MaildirProjection(engine: engine, options: MaildirOptions(root: root), sliceEventsMax: 3)
        try projection.catchUp()
        try projection.storeCheckpoint()
        #expect(try projection.check(contents: true).differences == [])
        let copy = directory + "/copy"
        _ = try program("/bin/cp", ["-a", root + "/ada@example.test", copy])
        return copy
    }

    @Test("Dovecot shows the same mailboxes, UIDs, flags, keywords, dates and bytes")
    func dovecot() throws {
        let copy = try projectedCopy()
        let script = URL(filePath: #filePath).deletingLastPathComponent().path + "/serve_maildir.py"
        let data = try program("/usr/bin/env", ["python3", script, copy, directory + "/dovecot"])
        let seen = try JSONDecoder().decode(Seen.self, from: data)
        let expected = try expected()
        #expect(Set(seen.mailboxes.keys) == Set(expected.mailboxes.keys))
        for (name, box) in expected.mailboxes { #expect(seen.mailboxes[name] == box, "\(name)") }
        #expect(seen.subscribed == expected.subscribed)
        #expect(seen.complaints == [])
    }

    /// mutt's patterns and the flags that they stand for.
    private static let patterns: [(String, SystemFlags)] = [
        ("~A", []), ("~F", .flagged), ("~Q", .answered), ("~R", .seen), ("~D", .deleted),
    ]

    @Test("mutt opens each folder and finds the same messages by their flags", arguments: ["INBOX", "Archive/2026"])
    func mutt(name: String) throws {
        let copy = try projectedCopy()
        let folder = name == "INBOX" ? copy : copy + "/." + name.replacing("/", with: ".")
        let mailbox = try mailbox(name)
        for (pattern, flags) in Self.patterns {
            var expected = 0
            try engine.read { state in
                try state.messages(account, mailbox, from: UID(1)) { _, row in
                    if row.flags.isSuperset(of: flags) { expected += 1 }
                    return true
                }
            }
            // With nothing tagged mutt would take the message under the cursor.
            try #require(expected > 0)
            let output = directory + "/found"
            try? FileManager.default.removeItem(atPath: output)
            let commands = """
                set folder='\(directory)'
                set pipe_split=yes pipe_decode=no wait_key=no auto_tag=yes quit=yes
                push "<tag-pattern>\(pattern)<enter><pipe-message>echo x >> \(output)<enter><exit>"

                """
            try commands.write(toFile: directory + "/muttrc", atomically: true, encoding: .utf8)
            _ = try program(
                "/usr/bin/env",
                [
                    "TERM=xterm", "HOME=" + directory, "timeout", "30", "script", "-qec",
                    "mutt -n -F '\(directory)/muttrc' -R -f '\(folder)'", "/dev/null",
                ])
            let found = try String(contentsOfFile: output, encoding: .utf8)
            #expect(found.split(separator: "\n").count == expected, "\(pattern)")
        }
    }
}
