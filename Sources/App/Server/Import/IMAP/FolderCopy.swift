// One folder of a source into one mailbox.
//
// 1. EXAMINE; where nothing has changed on either side since the last comparison, that is all.
// 2. The list of the messages. Those that the journal does not know are fetched and appended, in ascending order, under
//    their UIDs where the mailbox has the source's UIDVALIDITY and the UID is free; then UIDNEXT is the source's too.
// 3. Flags that have changed in the source since the last run change here, by the difference alone: what changed here
//    meanwhile stays.
// 4. Everything listed is compared with what is here. What differs is told, and is the failure of the import.
//
// Broken off anywhere it goes on: a message that came and is not in the journal is fetched again, known by its hash, and
// not appended again. Nothing is removed here, and nothing changes in the source.
import Digests
import EventStore
import Foundation
import MailCore
import MailEngine
import MailTypes

final class FolderCopy {
    let desk: ImportDesk
    let account: AccountID
    let connection: SourceConnection
    let folder: SourceFolder
    var report: FolderReport
    var mailbox = ImportMailbox(id: .root, uidValidity: UIDValidity(0), uidNext: 1, keepsUIDs: false)
    /// What cannot be here, by UID in the source.
    var refused: [UInt32: String] = [:]
    /// By UID in the source: the hash of what was appended in this run.
    var received: [UInt32: ContentHash] = [:]
    /// Messages of the mailbox that the journal does not name.
    private var unclaimed: [ContentHash: [UID]] = [:]
    /// The engine writes it while the source sends the next window.
    private var appending: Appending?

    private typealias Fresh = [(message: ListedMessage, source: any BodySource)]

    private struct Appending {
        var fresh: Fresh
        /// Of them, those whose UID in the source is not free here.
        var renumbered: Int
        var outcomes: PendingOutcomes
    }
    private let importedBefore: Int
    private var sourceNext: UInt32 = 0

    /// - Parameter importedBefore: messages that came by connections that broke.
    init(
        _ desk: ImportDesk, _ account: AccountID, _ connection: SourceConnection, _ folder: SourceFolder,
        importedBefore: Int = 0
    ) {
        self.desk = desk
        self.account = account
        self.connection = connection
        self.folder = folder
        report = FolderReport(name: folder.name)
        report.imported = importedBefore
        self.importedBefore = importedBefore
    }

    /// - Parameters:
    ///   - directory: of the store.
    ///   - identity: of the account at the source.
    func run(directory: String, identity: String) throws -> FolderReport {
        let (opened, words) = try connection.examine(folder)
        guard let figures = opened else {
            report.missing.append((folder.shown, "the source does not open it: \(words)"))
            return report
        }
        report.found = Int(figures.exists)
        let validity = figures.uidValidity > 0 ? UIDValidity(figures.uidValidity) : nil
        mailbox = try ImportMailbox.prepare(account, folder.name, validity, in: desk.engine) {
            try desk.perform(account, $0)
        }
        report.keepsUIDs = mailbox.keepsUIDs
        try desk.reached(.folderPrepared)
        let journal = try ImportJournal(
            directory: directory, account: account, identity: identity + "\n" + folder.shown,
            sourceValidity: figures.uidValidity, mailbox)
        if try isUnchanged(figures, journal) {
            desk.did(report.found)
            return report
        }
        let listed = try connection.listing(figures)
        report.found = listed.count
        let wanted = listed.filter { journal.entries[$0.uid] == nil }
        desk.did(listed.count - wanted.count)
        report.present = max(0, listed.count - wanted.count - importedBefore)
        if !wanted.isEmpty { try findUnclaimed(journal) }
        let known = Set(wanted.map(\.uid))
        sourceNext = max(figures.uidNext, folder.uidNext)
        // Those whose UIDs are taken here come last, under numbers that the source has not given.
        let first = mailbox.keepsUIDs ? mailbox.uidNext : 0
        try copyTexts(wanted.filter { $0.uid >= first }, journal)
        try keepNextUID()
        try copyTexts(wanted.filter { $0.uid < first }, journal)
        try changeFlags(listed.filter { !known.contains($0.uid) }, journal)
        try check(listed, journal)
        try desk.reached(.folderChecked)
        if report.missing.isEmpty, figures.modSeq > 0 {
            journal.settle(
                ImportJournal.Settled(
                    modSeq: figures.modSeq, uidNext: figures.uidNext, exists: figures.exists, ours: try position()))
            try journal.flush()
        }
        return report
    }

    /// Of the last change to the mailbox.
    private func position() throws -> ModSeq {
        try desk.engine.read { try $0.mailbox(account, mailbox.id)?.highestModSeq ?? .zero }
    }

    /// Nothing has happened in either since they were compared.
    private func isUnchanged(_ figures: SourceFigures, _ journal: ImportJournal) throws -> Bool {
        guard !mailbox.keepsUIDs || mailbox.uidNext >= max(figures.uidNext, folder.uidNext) else { return false }
        guard let settled = journal.settled, figures.modSeq > 0, settled.modSeq == figures.modSeq,
            settled.uidNext == figures.uidNext, settled.exists == figures.exists, settled.ours == (try position())
        else { return false }
        report.present = Int(figures.exists)
        return true
    }

    private func findUnclaimed(_ journal: ImportJournal) throws {
        let claimed = Set(journal.entries.values.map(\.uid))
        try desk.engine.read { state in
            try state.importedRows(account, mailbox.id) { uid, row in
                guard !claimed.contains(uid), let body = try state.body(row.blob) else { return }
                unclaimed[body.hash, default: []].append(uid)
            }
        }
        // The first to come is the first to be taken.
        for hash in unclaimed.keys { unclaimed[hash]?.reverse() }
    }

    // MARK: Texts

    private func copyTexts(_ wanted: [ListedMessage], _ journal: ImportJournal) throws {
        do {
            try TextCopy(connection, desk.engine).run(wanted) { try take($0, $1, journal) }
        } catch {
            // Who tries again must find what this one has handed in.
            try finishAppending(journal)
            throw error
        }
        try finishAppending(journal)
    }

    private func keepNextUID() throws {
        try mailbox.keepNextUID(sourceNext, account, desk, &report)
        mailbox.uidNext = try desk.engine.read { try $0.mailbox(account, mailbox.id)?.uidNext ?? 1 }
    }

    private func take(
        _ window: [(message: ListedMessage, arrived: ArrivedText?)], _ complaint: String?, _ journal: ImportJournal
    ) throws {
        try finishAppending(journal)
        var fresh: Fresh = []
        for (message, arrived) in window {
            switch arrived {
            case nil: refused[message.uid] = "the source did not send it" + (complaint.map { ": \($0)" } ?? "")
            case .refused(let reason): refused[message.uid] = reason
            case .text(let source):
                guard let there = unclaimed[source.hash]?.popLast() else {
                    received[message.uid] = source.hash
                    fresh.append((message, source))
                    continue
                }
                try adopt(there, message)
                journal.put(message.uid, entry(message, there))
                report.present += 1
            }
        }
        desk.did(window.count - fresh.count)
        if fresh.isEmpty { try journal.flush() } else { appending = append(fresh) }
    }

    /// Waits until the last window is in the mailbox, and writes so into the journal.
    private func finishAppending(_ journal: ImportJournal) throws {
        guard let appending else { return }
        self.appending = nil
        let uids = try uids(of: appending)
        try desk.reached(.batchAppended)
        for ((message, _), uid) in zip(appending.fresh, uids) { journal.put(message.uid, entry(message, uid)) }
        try journal.flush()
        try desk.reached(.journalWritten)
        desk.did(appending.fresh.count)
    }

    private func entry(_ message: ListedMessage, _ uid: UID) -> ImportJournal.Entry {
        ImportJournal.Entry(uid: uid, flags: message.flags, keywords: message.keywords)
    }

    /// One that is here already has the source's flags too.
    private func adopt(_ uid: UID, _ message: ListedMessage) throws {
        guard !message.flags.isEmpty || !message.keywords.isEmpty else { return }
        _ = try desk.perform(
            account,
            .changeFlags(
                ChangeFlags(
                    mailbox: mailbox.id, uids: UIDSet(uid), operation: .add, flags: message.flags,
                    keywords: kept(message))))
    }

    private func kept(_ message: ListedMessage) -> [Keyword] {
        Array(message.keywords.prefix(DomainLimits.keywordsPerMessageMax))
    }

    private func append(_ fresh: Fresh) -> Appending {
        var next = mailbox.uidNext
        var renumbered = 0
        var messages: [NewMessage] = []
        for (index, (message, _)) in fresh.enumerated() {
            var uid: UID?
            if mailbox.keepsUIDs, message.uid >= next, message.uid < .max {
                uid = UID(message.uid)
                next = message.uid + 1
            } else {
                renumbered += mailbox.keepsUIDs ? 1 : 0
                next += 1
            }
            messages.append(
                NewMessage(
                    body: index, flags: message.flags, keywords: kept(message), internalDate: message.date, uid: uid))
        }
        let command = AppendMessages(mailbox: mailbox.id, messages: messages, origin: .import)
        return Appending(
            fresh: fresh, renumbered: renumbered,
            outcomes: desk.begin(account, .append(command), bodies: fresh.map(\.source)))
    }

    private func uids(of appending: Appending) throws -> UIDSet {
        var appending = appending
        for attempt in 0... {
            do {
                let result = try appending.outcomes.wait()[0].result()
                guard case .appended(_, let uids) = result, uids.count == appending.fresh.count, let last = uids.last
                else { throw AdministrationFailure("a defect: an append answered without UIDs") }
                mailbox.uidNext = last.rawValue + 1
                report.imported += appending.fresh.count
                report.octets += appending.fresh.reduce(0) { $0 + $1.source.count }
                report.renumbered += appending.renumbered
                return uids
            } catch Refusal.uidNotAscending where attempt < 100 {
                // Mail has been delivered meanwhile and took the number.
                try keepNextUID()
                appending = append(appending.fresh)
            }
        }
        throw Refusal.uidNotAscending
    }
}
