// One mbox file on its way into a mailbox: read in pieces, bodies streamed to the engine, appended in batches.
//
// A message that cannot be taken is listed and left out; what stops a batch (quota, a full disk) ends the import, and
// what was appended before stays. Run again, it goes on: a message is recognised by the SHA-256 of its stored form, as
// often as it is there. UIDs come along where the mailbox has the UIDVALIDITY that the file names, which one that is new
// or has given no UID takes. At the end the mailbox is counted against the file, and flags are compared.
import Digests
import EventFormat
import EventStore
import Foundation
import MIME
import MailCore
import MailEngine
import MailTypes

final class MboxImport {
    private struct Placed {
        var number: Int
        var flags: SystemFlags
        var keywords: [Keyword]
    }

    private let session: AdministrationSession
    private let account: AccountID
    private let name: MailboxName
    private let quoting: MboxQuoting
    private var target: ImportMailbox?
    private var batches: ImportBatches<Placed>?
    /// How often each message is in the mailbox and was not met in the file yet.
    private var there: [ContentHash: Int] = [:]
    private var wanted: [ContentHash: Int] = [:]
    private(set) var report: FolderReport

    private var date: InternalDate?
    private var body: BodyWriter?
    private var bodyFailure: String?

    var imported: Int { report.imported }

    init(_ session: AdministrationSession, account: AccountID, mailbox: MailboxName, quoting: MboxQuoting = .mboxrd) {
        self.session = session
        self.account = account
        self.quoting = quoting
        name = mailbox
        report = FolderReport(name: mailbox)
    }

    func read(_ path: String) throws {
        let handle = try InputFile.open(path)
        let size = Int(clamping: (try? handle.seekToEnd()) ?? 0)
        try? handle.seek(toOffset: 0)
        var reader = MboxReader(quoting: quoting, dropsStatusFields: true)
        var seen = 0
        while let chunk = try handle.read(upToCount: 1 << 18), !chunk.isEmpty {
            try chunk.withUnsafeBytes { try reader.consume($0, take) }
            seen += chunk.count
            try session.progress(seen, of: size > 0 ? size : nil)
            if session.isCancelled { throw AdministrationFailure("the import was interrupted") }
        }
        try reader.finish(take)
        if reader.messages == 0, reader.strayOctets > 0 {
            throw AdministrationFailure("\(path) is no mbox: no line `From sender date` begins a message")
        }
        try batches?.flush(&report)
        try check()
        if reader.strayOctets > 0 {
            try session.note("\(reader.strayOctets) octets before the first message were passed over")
        }
    }

    private func take(_ event: MboxEvent) throws {
        switch event {
        case .began(let line):
            date = line.date
            body = session.engine.makeBody()
            bodyFailure = nil
        case .bytes(let bytes):
            guard bodyFailure == nil else { return }
            do {
                try body?.append(bytes)
            } catch {
                // A full spool ends the import; a message over the limit is left out.
                guard case .tooLarge = error else { throw error }
                bodyFailure = AdministrationFailure(error).text
            }
        case .ended(let status):
            try end(status)
        }
    }

    private func end(_ status: MboxStatus) throws {
        defer { body = nil }
        if target == nil { try prepare(status) }
        if status.isMailboxData { return }
        report.found += 1
        if let bodyFailure { return report.missing.append(("message \(report.found)", bodyFailure)) }
        guard let source = try body?.finish() else { return }
        report.hash.update(source.hash.digest)
        wanted[source.hash, default: 0] += 1
        if let count = there[source.hash], count > 0 {
            there[source.hash] = count - 1
            report.present += 1
            return
        }
        try batches?.add(
            NewMessage(body: 0, flags: status.flags, keywords: status.keywords, internalDate: date), uid: status.uid,
            source, from: Placed(number: report.found, flags: status.flags, keywords: status.keywords), &report)
    }

    private func prepare(_ status: MboxStatus) throws {
        let isNew = try session.engine.read { try $0.mailboxID(account, named: name) == nil }
        let validities = status.uidValidity.map { [name: $0.rawValue] } ?? [:]
        try ImportMailbox.makeRoom(account, [name], validities, in: session.engine) {
            try session.perform(account, $0)
        }
        let target = try ImportMailbox.prepare(account, name, status.uidValidity, in: session.engine) {
            try session.perform(account, $0)
        }
        if isNew { _ = try session.perform(account, .setSubscription(name, true)) }
        self.target = target
        batches = ImportBatches(session, account, into: target)
        report.keepsUIDs = target.keepsUIDs
        there = try session.engine.read { try $0.importedHashes(account, target.id) }
    }

    /// Every message of the file is in the mailbox as often as in the file; those of this run have their flags.
    private func check() throws {
        guard let target else { return }
        let now = try session.engine.read { try $0.importedHashes(account, target.id) }
        let short = wanted.reduce(0) { $0 + max(0, $1.value - (now[$1.key] ?? 0)) }
        if short > 0 {
            report.missing.append((name.description, "\(short) messages of the file are not in the mailbox"))
        }
        try batches?.compare { message, row, keywords in
            if row.flags != message.flags || keywords != Set(message.keywords) {
                report.missing.append(("message \(message.number)", "its flags are not those of the file"))
            }
        }
    }
}
