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
import Glibc
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

    private let desk: ImportDesk
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
    /// What the file says of the UID after the last that was given.
    private var nextUID: UInt32?
    private var body: BodyWriter?
    private var bodyFailure: String?

    var imported: Int { report.imported }

    init(_ desk: ImportDesk, account: AccountID, mailbox: MailboxName, quoting: MboxQuoting = .automatic) {
        self.desk = desk
        self.account = account
        self.quoting = quoting
        name = mailbox
        report = FolderReport(name: mailbox)
    }

    func read(_ path: String) throws {
        let handle = try InputFile.open(path)
        let size = Int(clamping: (try? handle.seekToEnd()) ?? 0)
        try? handle.seek(toOffset: 0)
        let descriptor = handle.fileDescriptor
        var reader = MboxReader(quoting: quoting, dropsStatusFields: true) { body, length in
            Self.isEnd(of: body, length, in: descriptor, size)
        }
        var seen = 0
        while let chunk = try handle.read(upToCount: 1 << 18), !chunk.isEmpty {
            try chunk.withUnsafeBytes { try reader.consume($0, take) }
            seen += chunk.count
            desk.progress(seen, of: size > 0 ? size : nil)
            if desk.isCancelled { throw AdministrationFailure("the import was interrupted") }
        }
        try reader.finish(take)
        if reader.messages == 0, reader.strayOctets > 0 {
            throw AdministrationFailure("\(path) is no mbox: no line `From sender date` begins a message")
        }
        try batches?.flush(&report)
        try target?.keepNextUID(nextUID, account, desk, &report)
        try check()
        try desk.reached(.folderChecked)
        if reader.strayOctets > 0 {
            desk.note("\(reader.strayOctets) octets before the first message were passed over")
        }
    }

    /// Whether a message whose text begins at `body` can have `length` octets: the file ends there, or another begins.
    private static func isEnd(of body: Int, _ length: Int, in descriptor: Int32, _ size: Int) -> Bool {
        let (end, overflows) = body.addingReportingOverflow(length)
        guard !overflows, length >= 0, end <= size else { return false }
        var octets = [UInt8](repeating: 0, count: ServerLimits.mboxFromLineOctetsMax)
        let count = octets.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, off_t(end)) }
        guard count >= 0 else { return false }
        var rest = octets[..<count]
        // The line end that writers put between two messages.
        if rest.starts(with: [13, 10]) {
            rest = rest.dropFirst(2)
        } else if rest.first == 10 {
            rest = rest.dropFirst()
        }
        guard !rest.isEmpty else { return count < octets.count }
        guard let feed = rest.firstIndex(of: 10) else { return false }
        let line = rest[..<feed]
        return MboxFromLine(parsing: line.last == 13 ? line.dropLast() : line) != nil
    }

    private func take(_ event: MboxEvent) throws {
        switch event {
        case .began(let line):
            date = line.date
            body = desk.engine.makeBody()
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
        if target == nil {
            // The last UID is given already.
            nextUID = status.lastUID.map { $0 &+ 1 }
            try prepare(status)
        }
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
        let isNew = try desk.engine.read { try $0.mailboxID(account, named: name) == nil }
        let validities = status.uidValidity.map { [name: $0.rawValue] } ?? [:]
        try ImportMailbox.makeRoom(account, [name], validities, in: desk.engine) {
            try desk.perform(account, $0)
        }
        let target = try ImportMailbox.prepare(account, name, status.uidValidity, in: desk.engine) {
            try desk.perform(account, $0)
        }
        if isNew { _ = try desk.perform(account, .setSubscription(name, true)) }
        try desk.reached(.folderPrepared)
        self.target = target
        batches = ImportBatches(desk, account, into: target, sourceNext: nextUID)
        report.keepsUIDs = target.keepsUIDs
        there = try desk.engine.read { try $0.importedHashes(account, target.id) }
    }

    /// Every message of the file is in the mailbox as often as in the file; those of this run have their flags.
    private func check() throws {
        guard let target else { return }
        let now = try desk.engine.read { try $0.importedHashes(account, target.id) }
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
