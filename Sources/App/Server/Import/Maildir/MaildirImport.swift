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
    private let desk: ImportDesk
    private let account: AccountID
    private var report: FolderReport
    private var importedBefore = 0
    /// POP3 UIDLs that messages of the folder have.
    private var uidls: Set<String> = []
    /// One for all files: most are small, and a new one for each would cost more than reading them.
    private var buffer = [UInt8](repeating: 0, count: 1 << 18)

    /// Messages, of all folders.
    var imported: Int { importedBefore + report.imported }

    init(_ desk: ImportDesk, account: AccountID) {
        self.desk = desk
        self.account = account
        report = FolderReport(name: .inbox)
    }

    func run(_ folder: MaildirFolder) throws -> FolderReport {
        importedBefore = imported
        report = FolderReport(name: folder.name, unit: "files")
        let uids = try MaildirSource.uids(folder)
        let files = try MaildirSource.messages(folder, uids)
        report.found = files.count
        let target = try ImportMailbox.prepare(account, folder.name, uids.uidValidity, in: desk.engine) {
            try desk.perform(account, $0)
        }
        try desk.reached(.folderPrepared)
        let mailbox = target.id
        var batches = ImportBatches<MaildirMessage>(desk, account, into: target, sourceNext: uids.uidNext)
        report.keepsUIDs = target.keepsUIDs
        var there = try hashes(mailbox)
        uidls = try takenUIDLs(mailbox)
        var wanted: [ContentHash: [String]] = [:]
        for (index, file) in files.enumerated() {
            if desk.isCancelled { throw AdministrationFailure("the import was interrupted") }
            desk.progress(index, of: files.count)
            guard let (source, hash) = try read(file) else { continue }
            report.hash.update(hash.digest)
            wanted[hash, default: []].append(file.path)
            if let count = there[hash], count > 0 {
                there[hash] = count - 1
                report.present += 1
                continue
            }
            try batches.add(message(file), uid: file.uid, source, from: file, &report)
        }
        try batches.flush(&report)
        try target.keepNextUID(uids.uidNext, account, desk, &report)
        try check(mailbox, wanted)
        // Each message of this run has the flags, keywords and date that its file says.
        try batches.compare { file, row, keywords in
            let isSame =
                row.flags == file.flags && keywords == Set(file.keywords)
                && row.internalDate.time.seconds == file.date.time.seconds
            if !isSame { report.missing.append((file.path, "its flags or its date are not those of the file")) }
        }
        try desk.reached(.folderChecked)
        return report
    }

    /// POP3 UIDLs of the mailbox, of which each is unique (RFC 1939 section 7).
    private func takenUIDLs(_ mailbox: MailboxID) throws -> Set<String> {
        Set(try desk.engine.read { try $0.uidls(account, mailbox) }.values)
    }

    private func hashes(_ mailbox: MailboxID) throws -> [ContentHash: Int] {
        try desk.engine.read { try $0.importedHashes(account, mailbox) }
    }

    /// The file in its stored form; nil, and told, when it cannot be taken.
    private func read(_ file: MaildirMessage) throws -> (any BodySource, ContentHash)? {
        let writer = desk.engine.makeBody()
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

    private func message(_ file: MaildirMessage) -> NewMessage {
        var uidl: String?
        if let text = file.uidl, UniqueID.isValid(text), uidls.insert(text).inserted { uidl = text }
        return NewMessage(
            body: 0, flags: file.flags, keywords: Array(file.keywords.prefix(DomainLimits.keywordsPerMessageMax)),
            internalDate: file.date, uidl: uidl)
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
