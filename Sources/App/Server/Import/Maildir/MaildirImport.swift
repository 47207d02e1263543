// A Maildir tree on its way into an account, folder by folder: bodies with CRLF line ends, UIDs and UIDVALIDITY kept where
// the mailbox is new or was never used, everything else beside the message kept in any case.
//
// It can be broken off anywhere and run again: a message is recognised by the SHA-256 of its stored form, as often as it
// is there, so none comes twice. At the end of each folder the mailbox is counted against the files, message by message;
// what is missing is listed, and the import has failed.
import Digests
import EventFormat
import EventStore
import Foundation
import MailCore
import MailEngine
import MailTypes

/// What became of one folder.
struct FolderReport {
    var name: MailboxName
    /// Files.
    var found = 0
    var imported = 0
    /// Were there already, from a run before.
    var present = 0
    var octets = 0
    /// UIDs and UIDVALIDITY are those of the source.
    var keepsUIDs = false
    /// Files that are not in the mailbox, with the reason.
    var missing: [(path: String, reason: String)] = []
    /// SHA-256 over the messages' own, in the order of the source.
    var hash = SHA256Hasher()
}

final class MaildirImport {
    private let session: AdministrationSession
    private let account: AccountID
    private var report: FolderReport
    private var messages: [NewMessage] = []
    private var bodies: [any BodySource] = []
    private var pendingOctets = 0
    /// UIDs from here on can be kept.
    private var nextUID: UInt32 = 1
    private(set) var imported = 0

    init(_ session: AdministrationSession, account: AccountID) {
        self.session = session
        self.account = account
        report = FolderReport(name: .inbox)
    }

    func run(_ folder: MaildirFolder) throws -> FolderReport {
        report = FolderReport(name: folder.name)
        let uids = try MaildirSource.uids(folder)
        let files = try MaildirSource.messages(folder, uids)
        report.found = files.count
        let mailbox = try prepare(folder.name, uids.uidValidity)
        var there = try hashes(mailbox)
        var wanted: [ContentHash: [String]] = [:]
        for (index, file) in files.enumerated() {
            if session.isCancelled { throw AdministrationFailure("the import was interrupted") }
            try session.progress(index, of: files.count)
            guard let (source, hash) = try read(file) else { continue }
            report.hash.update(hash)
            let content = ContentHash(hash)
            wanted[content, default: []].append(file.path)
            if let count = there[content], count > 0 {
                there[content] = count - 1
                report.present += 1
                continue
            }
            try add(file, source, to: mailbox)
        }
        try flush(mailbox)
        try check(mailbox, wanted)
        return report
    }

    /// The mailbox, made when it is missing, under the source's UIDVALIDITY where it can be.
    private func prepare(_ name: MailboxName, _ validity: UIDValidity?) throws -> MailboxID {
        var id = try session.engine.read { try $0.mailboxID(account, named: name) }
        if id == nil {
            let result = try session.perform(account, .createMailbox(NewMailbox(name: name)))
            if case .mailbox(let made, _) = result { id = made }
        }
        guard let id, let row = try session.engine.read({ try $0.mailbox(account, id) }) else {
            throw Refusal.noSuchMailbox
        }
        nextUID = row.uidNext
        guard let validity else { return id }
        if row.uidValidity != validity, row.uidNext == 1 {
            do {
                _ = try session.perform(account, .adoptUIDValidity(id, validity))
                report.keepsUIDs = true
            } catch Refusal.uidValidityNotAscending {}
        } else {
            report.keepsUIDs = row.uidValidity == validity
        }
        return id
    }

    /// How often each message is in the mailbox.
    private func hashes(_ mailbox: MailboxID) throws -> [ContentHash: Int] {
        try session.engine.read { state in
            var blobs: [BlobNumber] = []
            try state.messages(account, mailbox, from: UID(1)) { _, row in
                blobs.append(row.blob)
                return true
            }
            var counts: [ContentHash: Int] = [:]
            for blob in blobs {
                if let body = try state.body(blob) { counts[body.hash, default: 0] += 1 }
            }
            return counts
        }
    }

    /// The file in its stored form; nil, and told, when it cannot be taken.
    private func read(_ file: MaildirMessage) throws -> (any BodySource, SHA256Digest)? {
        let writer = session.engine.makeBody()
        var hasher = SHA256Hasher()
        var endsInReturn = false
        do {
            let handle = try InputFile.open(file.path)
            while let chunk = try handle.read(upToCount: 1 << 18), !chunk.isEmpty {
                let octets = Self.withCRLF(chunk, after: &endsInReturn)
                hasher.update(octets)
                try writer.append(octets)
            }
            return (try writer.finish(), hasher.finalize())
        } catch EngineFailure.full {
            throw EngineFailure.full
        } catch {
            report.missing.append((file.path, AdministrationFailure(error).text))
            return nil
        }
    }

    /// Every LF gets the CR that it lacks; what has one stays.
    static func withCRLF(_ chunk: Data, after endsInReturn: inout Bool) -> [UInt8] {
        var octets: [UInt8] = []
        octets.reserveCapacity(chunk.count + chunk.count / 32)
        var last: UInt8 = endsInReturn ? 0x0D : 0
        for octet in chunk {
            if octet == 0x0A, last != 0x0D { octets.append(0x0D) }
            octets.append(octet)
            last = octet
        }
        endsInReturn = last == 0x0D
        return octets
    }

    private func add(_ file: MaildirMessage, _ source: any BodySource, to mailbox: MailboxID) throws {
        // A UID below those that are there, or behind a message without one, cannot be kept, nor any after it.
        let uid = report.keepsUIDs ? file.uid.flatMap { $0.rawValue >= nextUID && $0.rawValue < .max ? $0 : nil } : nil
        if let uid { nextUID = uid.rawValue + 1 } else { nextUID = .max }
        messages.append(
            NewMessage(
                body: bodies.count, flags: file.flags,
                keywords: Array(file.keywords.prefix(DomainLimits.keywordsPerMessageMax)), internalDate: file.date,
                uid: uid,
                uidl: file.uidl.flatMap { $0.utf8.count <= DomainLimits.uidlOctetsMax ? $0 : nil }))
        bodies.append(source)
        pendingOctets += source.count
        let isFull =
            messages.count == ServerLimits.importMessagesPerCommandMax
            || pendingOctets >= ServerLimits.importOctetsPerCommandMax
        if isFull { try flush(mailbox) }
    }

    private func flush(_ mailbox: MailboxID) throws {
        guard !messages.isEmpty else { return }
        let append = AppendMessages(mailbox: mailbox, messages: messages, origin: .import)
        _ = try session.perform(account, .append(append), bodies: bodies)
        imported += messages.count
        report.imported += messages.count
        report.octets += pendingOctets
        messages = []
        bodies = []
        pendingOctets = 0
    }

    /// Each file is in the mailbox, as often as it is in the folder.
    private func check(_ mailbox: MailboxID, _ wanted: [ContentHash: [String]]) throws {
        let there = try hashes(mailbox)
        for (hash, paths) in wanted {
            for path in paths.dropFirst(there[hash] ?? 0) {
                report.missing.append((path, "is not in the mailbox as it is in the file"))
            }
        }
    }
}
