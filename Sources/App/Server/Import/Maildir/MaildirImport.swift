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
import Octets

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
    /// Messages of this run with the UIDs they got.
    private var placed: [(file: MaildirMessage, uid: UID)] = []
    private var waiting: [MaildirMessage] = []
    /// One for all files: most are small, and a new one for each would cost more than reading them.
    private var buffer = [UInt8](repeating: 0, count: 1 << 18)

    init(_ session: AdministrationSession, account: AccountID) {
        self.session = session
        self.account = account
        report = FolderReport(name: .inbox)
    }

    func run(_ folder: MaildirFolder) throws -> FolderReport {
        report = FolderReport(name: folder.name, unit: "files")
        let uids = try MaildirSource.uids(folder)
        let files = try MaildirSource.messages(folder, uids)
        report.found = files.count
        let target = try ImportMailbox.prepare(account, folder.name, uids.uidValidity, in: session.engine) {
            try session.perform(account, $0)
        }
        let mailbox = target.id
        nextUID = target.uidNext
        report.keepsUIDs = target.keepsUIDs
        placed = []
        var there = try hashes(mailbox)
        var wanted: [ContentHash: [String]] = [:]
        for (index, file) in files.enumerated() {
            if session.isCancelled { throw AdministrationFailure("the import was interrupted") }
            try session.progress(index, of: files.count)
            guard let (source, hash) = try read(file) else { continue }
            report.hash.update(hash.digest)
            wanted[hash, default: []].append(file.path)
            if let count = there[hash], count > 0 {
                there[hash] = count - 1
                report.present += 1
                continue
            }
            try add(file, source, to: mailbox)
        }
        try flush(mailbox)
        try check(mailbox, wanted)
        try checkFlags(mailbox)
        return report
    }

    private func hashes(_ mailbox: MailboxID) throws -> [ContentHash: Int] {
        try session.engine.read { try $0.importedHashes(account, mailbox) }
    }

    /// The file in its stored form; nil, and told, when it cannot be taken.
    private func read(_ file: MaildirMessage) throws -> (any BodySource, ContentHash)? {
        let writer = session.engine.makeBody()
        var ends = LineEnds()
        do {
            try InputFile.read(file.path, into: &buffer) { octets in
                try ends.pass(octets) { try writer.append($0) }
            }
            let source = try writer.finish()
            return (source, source.hash)
        } catch EngineFailure.full {
            throw EngineFailure.full
        } catch {
            report.missing.append((file.path, AdministrationFailure(error).text))
            return nil
        }
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
        waiting.append(file)
        pendingOctets += source.count
        let isFull =
            messages.count == ServerLimits.importMessagesPerCommandMax
            || pendingOctets >= ServerLimits.importOctetsPerCommandMax
        if isFull { try flush(mailbox) }
    }

    private func flush(_ mailbox: MailboxID) throws {
        guard !messages.isEmpty else { return }
        let append = AppendMessages(mailbox: mailbox, messages: messages, origin: .import)
        let result = try session.perform(account, .append(append), bodies: bodies)
        if case .appended(_, let uids) = result { placed += zip(waiting, uids).map { (file: $0, uid: $1) } }
        waiting = []
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

    /// Each message of this run has the flags, keywords and date that its file says.
    private func checkFlags(_ mailbox: MailboxID) throws {
        var rest = placed[...]
        while !rest.isEmpty {
            let slice = rest.prefix(ServerLimits.eventsPerSnapshotMax)
            rest = rest.dropFirst(slice.count)
            try session.engine.read { state in
                for (file, uid) in slice {
                    guard let row = try state.message(account, mailbox, uid) else { continue }
                    let keywords = try state.importedKeywords(account, mailbox, uid, row)
                    let isSame =
                        row.flags == file.flags && keywords == Set(file.keywords)
                        && row.internalDate.time.seconds == file.date.time.seconds
                    if !isSame { report.missing.append((file.path, "its flags or its date are not those of the file")) }
                }
            }
        }
    }
}
