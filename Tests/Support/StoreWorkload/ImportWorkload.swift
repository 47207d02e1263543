// An import into a store of its own, to be recorded, cut and killed: what the sources are, the run, and the check that
// says afterwards whether it can go on to the end as if nothing had been.
//
// A folder's report is a promise: what it says has come is there for good. So after a crash a further run must find it
// there, and bring none of it.
import Digests
import EventStore
import Gateways
import Glibc
import MailCore
import MailEngine
import MailTypes
import Octets
import Projections
import Server
import SourceSupport

/// A store that is open in this process, with small files so that images of it stay small.
private final class WorkloadBackend: AdministrationBackend {
    let engine: MailEngine
    let store: LMDBStore
    let configuration = NodeConfiguration()
    var serves: Bool { false }
    var projector: MaildirProjector? { nil }
    var cache: MessageCache? { nil }
    var gateways: Gateways? { nil }

    init(_ directory: String) throws {
        let settings = WorkloadSettings()
        if access(directory + "/STORE", F_OK) != 0 {
            try LMDBStore.create(directory, options: settings.storeOptions)
        }
        store = try LMDBStore(directory, options: settings.storeOptions)
        var options = EngineOptions(spoolDirectory: directory)
        (options.softFreeOctets, options.hardFreeOctets) = (0, 0)
        engine = MailEngine(store: store, options: options) { Workload.wallClock() }
    }

    /// The account, made when it is missing: a crash may have come before it.
    func prepare() throws {
        if try engine.read({ try $0.head(.system) }) == nil {
            let opened = ShardOpened(shard: 0, storeUUID: String(repeating: "0", count: 32))
            _ = engine.performAndWait(
                Request([Request.Item(.system, .openShard(opened))], origin: Origin(gateway: .admin)))
        }
        guard try engine.read({ try $0.owner(ofAddress: ImportWorkload.address) }) == nil else { return }
        let last = try answer(AccountAdd(entries: [.init(address: ImportWorkload.address, verifier: nil)])).last
        guard last?.kind == .done else { throw AdministrationFailure(last?.text ?? "no account") }
    }

    func answer(_ command: some AdministrationCommand) throws -> [AnswerLine] {
        var lines: [AnswerLine] = []
        try AdministrationSession(self, form: .text) { lines.append($0) }.run(command)
        return lines
    }
}

enum ImportWorkload {
    static let address = "alice@example.test"

    /// `maildir:PATH`, `mbox:PATH`, or `imap`, whose server is in this process.
    private static func run(
        _ source: String, _ session: AdministrationSession, _ desk: ImportDesk
    ) throws -> AdministrationResult? {
        let parts = source.split(separator: ":", maxSplits: 1).map(String.init)
        switch (parts.first, parts.count) {
        case ("maildir", 2): return try ImportMaildir(address: address, directory: parts[1]).run(desk, in: session)
        case ("mbox", 2):
            return try ImportMbox(address: address, file: parts[1], mailbox: "INBOX").run(desk, in: session)
        case ("imap", 1): return try copyTwice(session, desk)
        default: throw AdministrationFailure("\(source) is no source", .usage)
        }
    }

    /// The second run finds other flags there.
    private static func copyTwice(
        _ session: AdministrationSession, _ desk: ImportDesk
    ) throws -> AdministrationResult? {
        var result: AdministrationResult?
        for flags in ["\\Seen", "\\Seen \\Flagged"] {
            let server = try ScriptedServer { SoundSource.answer($0, $1, count: 230, flags: flags) }
            defer { server.close() }
            var command = ImportImap(
                host: "127.0.0.1", port: server.port, security: .none,
                entries: [.init(address: address, user: "alice", password: "secret")])
            command.connections = 1
            result = try command.run(desk, in: session)
        }
        return result
    }

    /// - Parameter stop: `STEP NUMBER`: the process kills itself there.
    static func main(directory: String, journal: String, source: String, stop: [String]) {
        let journal = JournalWriter(journal, killAfter: 0)
        do {
            let backend = try WorkloadBackend(directory)
            try backend.prepare()
            let session = AdministrationSession(backend, form: .text) { line in
                if line.kind == .item { journal.write([line.text]) }
            }
            var left = stop.count == 2 ? Int(stop[1]) ?? 0 : 0
            let desk = ImportDesk(session) { step in
                say("step \(step.rawValue)")
                guard step.rawValue == stop.first else { return }
                left -= 1
                if left == 0 { kill(getpid(), SIGKILL) }
            }
            let result = try run(source, session, desk)
            say("done \(result?.text ?? "")")
            say("digest \(try digest(backend))")
            backend.engine.close()
        } catch {
            say("failed \(AdministrationFailure(error).text)")
            exit(1)
        }
    }

    /// One line: `ok`, `absent` where no store was promised, or what is wrong.
    /// - Parameters:
    ///   - promisedOctets: reports within so many octets of the journal must have been kept.
    ///   - wanted: the digest of a run that nothing disturbed.
    static func verdict(
        directory: String, journal path: String, promisedOctets: Int, source: String, digest wanted: String
    ) -> String {
        let octets = (readFile(path) ?? []).prefix(promisedOctets)
        let promised = reports(String(decoding: octets, as: UTF8.self).split(separator: "\n").map(String.init))
        let isAbsent = access(directory + "/STORE", F_OK) != 0
        if isAbsent, !promised.isEmpty { return "lost there is no store" }
        do {
            let backend = try WorkloadBackend(directory)
            defer { backend.engine.close() }
            try backend.store.verifyAll()
            _ = try backend.store.compareStateWithReplay()
            try backend.prepare()
            var lines: [String] = []
            let session = AdministrationSession(backend, form: .text) { if $0.kind == .item { lines.append($0.text) } }
            _ = try run(source, session, ImportDesk(session))
            let now = reports(lines)
            for name in promised.keys where now[name] != 0 {
                return "lost \(now[name] ?? -1) messages of \(name), whose report was given"
            }
            let found = try digest(backend)
            guard found == wanted else { return "other \(found)" }
            let session2 = AdministrationSession(backend, form: .text) { if $0.kind == .item { lines.append($0.text) } }
            lines = []
            _ = try run(source, session2, ImportDesk(session2))
            guard reports(lines).values.allSatisfy({ $0 == 0 }) else { return "double \(lines)" }
            try backend.store.verifyAll()
            return isAbsent ? "absent" : "ok"
        } catch let violation as Violation {
            return "violation \(violation)"
        } catch let difference as StateDifference {
            return "difference \(difference)"
        } catch {
            return "refused \(AdministrationFailure(error).text)"
        }
    }

    /// Mailbox to messages imported, of lines `NAME  12 files, 12 imported, ...`; the first of each counts.
    private static func reports(_ lines: [String]) -> [String: Int] {
        var found: [String: Int] = [:]
        for line in lines {
            guard let words = line.firstRange(of: ", "), let gap = line.firstRange(of: "  ") else { continue }
            let name = String(line[..<gap.lowerBound])
            guard found[name] == nil else { continue }
            found[name] = line[words.upperBound...].split(separator: " ").first.flatMap { Int($0) }
        }
        return found
    }

    /// A hash over all that an import has to keep: UIDVALIDITY, UIDNEXT, UIDs, flags, keywords, dates, texts, POP3 UIDLs.
    private static func digest(_ backend: WorkloadBackend) throws -> String {
        var hasher = SHA256Hasher()
        try backend.engine.read { state in
            guard let account = try state.owner(ofAddress: address) else { return }
            var boxes: [(MailboxID, MailboxRow)] = []
            try state.mailboxes(account) { id, row in
                // The others have a UIDVALIDITY from the clock.
                if row.uidNext > 1 { boxes.append((id, row)) }
                return true
            }
            var lines = try state.subscriptions(account).sorted()
            for (id, row) in boxes {
                let name = try state.name(account, of: id)?.description ?? "?"
                lines.append("\(name) \(row.uidValidity.rawValue) \(row.uidNext) \(row.exists)")
                var messages: [(UID, MessageRow)] = []
                try state.messages(account, id, from: UID(1)) { uid, message in
                    messages.append((uid, message))
                    return true
                }
                for (uid, message) in messages {
                    let keywords = try state.keywords(account, id, uid, message).map {
                        try state.keyword(account, $0)?.name ?? "?"
                    }
                    let hash = try state.body(message.blob)?.hash.text ?? "none"
                    lines.append(
                        "\(uid.rawValue) \(message.flags.rawValue) \(keywords.sorted()) "
                            + "\(message.internalDate.time.rawValue) \(hash)")
                }
                try state.uidls(account, id) { uid, uidl in
                    lines.append("\(uid.rawValue) \(uidl)")
                    return true
                }
            }
            hasher.update(Array(lines.joined(separator: "\n").utf8))
        }
        return Hex.encode(hasher.finalize().bytes)
    }
}
