// The sync of sessions against a model (docs/formats/invariants.md, 26 to 28): simulated clients, plain, CONDSTORE and
// QRESYNC, apply the untagged responses they get and nothing else. Whatever commands they and others interleave, and
// wherever a connection breaks, each ends with exactly the (UID, flags) of the server.
//
// With LETTERLOG_SOAK_SECONDS other seeds follow for so long, from LETTERLOG_SOAK_SEED on.
import Foundation
import InputSupport
import MailCore
import MailEngine
import MailTypes
import Testing

@testable import Gateways

/// A client that knows what it was told.
private final class ModelClient {
    enum Kind: Int { case plain, condstore, qresync }

    struct Message {
        /// Nil until a FETCH has told it.
        var uid: UInt32?
        var flags: Set<String>?
    }

    let kind: Kind
    private let node: TestNode
    private(set) var imap: IMAPClient?
    private(set) var messages: [Message] = []
    private var uidValidity = ""
    private var highestModSeq = ""

    init(_ kind: Kind, _ node: TestNode) {
        self.kind = kind
        self.node = node
    }

    func drop() { imap = nil }

    func connect() throws -> IMAPClient {
        if let imap { return imap }
        let imap = try node.imap("alice")
        self.imap = imap
        switch kind {
        case .plain:
            messages = []
            try run("SELECT INBOX")
        case .condstore:
            messages = []
            try run("SELECT INBOX (CONDSTORE)")
        case .qresync:
            #expect(try imap.run("ENABLE QRESYNC").untagged == ["* ENABLED QRESYNC"])
            if highestModSeq.isEmpty {
                messages = []
                try run("SELECT INBOX")
            } else {
                // What was told before stays; what is new comes with UIDs.
                var known = messages.filter { $0.uid != nil }
                swap(&known, &messages)
                isResuming = true
                try run("SELECT INBOX (QRESYNC (\(uidValidity) \(highestModSeq)))")
            }
        }
        return imap
    }

    private var isResuming = false

    /// A command and what it brings; the model changes as told.
    @discardableResult
    func run(_ command: String) throws -> IMAPAnswer {
        guard let imap else { throw ClientError.closed }
        // What it asked for in silence it does by itself; what comes afterwards is newer.
        if command.contains(".SILENT") { applySilently(command) }
        let answer = try imap.run(command)
        for line in answer.untagged { apply(line) }
        // Only when all below it is known may a client begin from there another time.
        if let value = answer.code("HIGHESTMODSEQ"), isResuming || isComplete { highestModSeq = value }
        if let value = answer.code("UIDVALIDITY") { uidValidity = value }
        #expect(!answer.isBAD, "\(command): \(answer)")
        if isResuming { #expect(messages.count == exists, "\(command): \(answer)") }
        isResuming = false
        try learn()
        return answer
    }

    /// VANISHED names UIDs, so a client that gets it has to know them: it asks at once.
    func learn() throws {
        while kind == .qresync, let imap, let first = messages.firstIndex(where: { $0.uid == nil }) {
            let answer = try imap.run("FETCH \(first + 1):* (UID FLAGS)")
            for line in answer.untagged { apply(line) }
            #expect(answer.isOK, "\(answer)")
            guard answer.isOK else { return }
        }
    }

    private var isComplete: Bool { messages.allSatisfy { $0.uid != nil && $0.flags != nil } }

    private func applySilently(_ command: String) {
        let words = command.split(separator: " ")
        let isUID = words[0] == "UID"
        let bounds = words[isUID ? 2 : 1].split(separator: ":")
        let low = UInt32(bounds[0])!
        let high = bounds.count == 1 ? low : UInt32(bounds[1]) ?? .max
        let isLast = bounds.count == 2 && bounds[1] == "*"
        let flags = Set(Self.list("(", command)!.split(separator: " ").map(String.init))
        for (index, message) in messages.enumerated() {
            guard let number = isUID ? message.uid : UInt32(index + 1), message.flags != nil else { continue }
            guard number >= low && number <= high || isLast && index == messages.count - 1 else { continue }
            if command.contains("-FLAGS") {
                messages[index].flags?.subtract(flags)
            } else {
                messages[index].flags = flags
            }
        }
    }

    func apply(_ line: String) {
        let words = line.split(separator: " ")
        guard words.count >= 2, words[0] == "*" else { return }
        if words[1] == "VANISHED" {
            let gone = Self.set(String(words.last!))
            messages.removeAll { $0.uid.map { gone.contains($0) } ?? false }
            return
        }
        guard words.count >= 3, let number = Int(words[1]) else { return }
        switch words[2] {
        case "EXISTS":
            if isResuming {
                exists = number
                return
            }
            #expect(number >= messages.count, "EXISTS fell without EXPUNGE: \(line)")
            while messages.count < number { messages.append(Message()) }
        case "EXPUNGE":
            #expect(number >= 1 && number <= messages.count, "\(line) of \(messages.count)")
            if messages.indices.contains(number - 1) { messages.remove(at: number - 1) }
        case "FETCH": applyFetch(number, line)
        default: break
        }
    }

    private var exists = 0

    private func applyFetch(_ number: Int, _ line: String) {
        let uid = Self.value("UID ", line).flatMap { UInt32($0) }
        let flags = Self.list("FLAGS (", line).map {
            Set($0.split(separator: " ").map(String.init)).subtracting(["\\Recent"])
        }
        if isResuming {
            // Message numbers mean nothing yet: the UID does (RFC 7162 section 3.2.5).
            guard let uid else { return }
            if let index = messages.firstIndex(where: { $0.uid == uid }) {
                if let flags { messages[index].flags = flags }
            } else {
                messages.append(Message(uid: uid, flags: flags))
                messages.sort { ($0.uid ?? .max) < ($1.uid ?? .max) }
            }
            return
        }
        guard messages.indices.contains(number - 1) else {
            Issue.record("\(line) of \(messages.count)")
            return
        }
        if let uid {
            if let known = messages[number - 1].uid { #expect(known == uid, "\(line): that was UID \(known)") }
            messages[number - 1].uid = uid
        }
        if let flags { messages[number - 1].flags = flags }
    }

    /// Asks for what nobody told; then all is known.
    func complete() throws {
        _ = try connect()
        try run("NOOP")
        if let first = messages.firstIndex(where: { $0.uid == nil || $0.flags == nil }) {
            try run("FETCH \(first + 1):* (UID FLAGS)")
        }
        try run("NOOP")
    }

    private static func value(_ name: String, _ line: String) -> Substring? {
        guard let range = line.firstRange(of: "(" + name) ?? line.firstRange(of: " " + name) else { return nil }
        return line[range.upperBound...].prefix { $0 != " " && $0 != ")" }
    }

    private static func list(_ name: String, _ line: String) -> Substring? {
        guard let range = line.firstRange(of: name) else { return nil }
        return line[range.upperBound...].prefix { $0 != ")" }
    }

    private static func set(_ text: String) -> Set<UInt32> {
        var set: Set<UInt32> = []
        for part in text.split(separator: ",") {
            let bounds = part.split(separator: ":").compactMap { UInt32($0) }
            guard let low = bounds.first, let high = bounds.last else { continue }
            for uid in low...high { set.insert(uid) }
        }
        return set
    }
}

@Suite("IMAP sync against a model")
struct IMAPModelTests {
    @Test("each client ends with exactly the mailbox", arguments: 0..<6)
    func clientsEndEqual(seed: UInt64) async throws {
        try await withNode { node in try await onOwnThread { try Self.play(node, seed: seed) } }
    }

    @Test("the same for as long as the soak lasts")
    func soak() async throws {
        let environment = ProcessInfo.processInfo.environment
        guard let seconds = environment["LETTERLOG_SOAK_SECONDS"].flatMap({ Int($0) }) else { return }
        var seed = environment["LETTERLOG_SOAK_SEED"].flatMap { UInt64($0) } ?? 1000
        let end = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < end {
            let played = seed
            try await withNode { node in try await onOwnThread { try Self.play(node, seed: played) } }
            seed += 1
        }
    }

    private static func play(_ node: TestNode, seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let account = try node.account("alice@example.test")
        let inbox = try #require(try node.engine.read { try $0.mailboxID(account, named: .inbox) })
        for _ in 0..<6 { try node.deposit("alice@example.test", Array(letter.utf8)) }
        let clients = [
            ModelClient(.plain, node), ModelClient(.condstore, node), ModelClient(.qresync, node),
            ModelClient(.qresync, node),
        ]
        for _ in 0..<160 {
            let client = clients[random.below(clients.count)]
            switch random.below(20) {
            case 0:
                try node.deposit("alice@example.test", Array(letter.utf8))
            case 1:
                // POP3 and administration take messages away without `\Deleted`.
                let next = try #require(try node.engine.read { try $0.mailbox(account, inbox)?.uidNext })
                let uid = UID(UInt32(random.below(Int(next))) + 1)
                node.perform(
                    account,
                    .expunge(Expunge(mailbox: inbox, uids: UIDSet(uid), onlyDeleted: false, reason: .pop3)))
            case 2:
                // The connection breaks with a command under way.
                let imap = try client.connect()
                if random.below(2) == 0 { _ = try imap.send(command(client, &random)) }
                client.drop()
            case 3:
                let imap = try client.connect()
                let tag = try imap.send("IDLE")
                #expect(try readUntil(imap, client) { $0.hasPrefix("+ ") })
                if random.below(2) == 0 { try node.deposit("alice@example.test", Array(letter.utf8)) }
                try imap.socket.send("DONE\r\n")
                #expect(try readUntil(imap, client) { $0.hasPrefix(tag + " OK") })
                try client.learn()
            default:
                _ = try client.connect()
                try client.run(command(client, &random))
            }
        }
        var live: [(UInt32, Set<String>)] = []
        for client in clients { try client.complete() }
        let names = try node.engine.read { state -> [Keyword] in
            try state.keywords(account, from: 0, head: try #require(try state.head(account)))
        }
        try node.engine.read { state in
            try state.messages(account, inbox, from: UID(1)) { uid, row in
                var flags: Set<String> = []
                for (flag, name) in [
                    (SystemFlags.seen, "\\Seen"), (.answered, "\\Answered"), (.flagged, "\\Flagged"),
                    (.deleted, "\\Deleted"), (.draft, "\\Draft"),
                ] where row.flags.contains(flag) { flags.insert(name) }
                for (id, name) in names.enumerated() where row.keywordBits >> UInt64(id) & 1 == 1 {
                    flags.insert(name.name)
                }
                live.append((uid.rawValue, flags))
                return true
            }
        }
        for (index, client) in clients.enumerated() {
            let who = "seed \(seed), client \(index) (\(client.kind))"
            #expect(client.messages.map(\.uid) == live.map { Optional($0.0) }, "\(who)")
            #expect(client.messages.map(\.flags) == live.map { Optional($0.1) }, "\(who)")
        }
    }

    private static func readUntil(
        _ imap: IMAPClient, _ client: ModelClient, _ isLast: (String) -> Bool
    ) throws -> Bool {
        for _ in 0..<1000 {
            let line = try imap.line()
            if isLast(line) { return true }
            client.apply(line)
        }
        return false
    }

    private static func command(_ client: ModelClient, _ random: inout SeededGenerator) -> String {
        let count = client.messages.count
        let uids = client.messages.compactMap(\.uid)
        let isUID = random.below(2) == 0 && !uids.isEmpty
        func set() -> String {
            if isUID {
                let a = uids[random.below(uids.count)]
                return random.below(3) == 0 ? "\(a):*" : "\(a)"
            }
            let a = random.below(max(1, count)) + 1
            return random.below(3) == 0 && count > 0 ? "\(a):\(min(count, a + random.below(3)))" : "\(a)"
        }
        let prefix = isUID ? "UID " : ""
        let flags = ["\\Seen", "\\Flagged", "\\Deleted", "\\Answered", "$Junk", "$Work \\Draft"][random.below(6)]
        guard count > 0 else { return "NOOP" }
        switch random.below(12) {
        case 0, 1: return "\(prefix)FETCH \(set()) (UID FLAGS)"
        case 2: return "\(prefix)FETCH \(set()) (BODY[HEADER])"
        case 3, 4: return "\(prefix)STORE \(set()) +FLAGS (\(flags))"
        case 5: return "\(prefix)STORE \(set()) -FLAGS.SILENT (\(flags))"
        case 6: return "\(prefix)STORE \(set()) FLAGS.SILENT (\(flags))"
        case 7: return "EXPUNGE"
        case 8: return "NOOP"
        case 9: return "\(prefix)SEARCH UNSEEN"
        case 10: return "\(prefix)MOVE \(set()) INBOX"
        default: return "\(prefix)COPY \(set()) INBOX"
        }
    }
}
