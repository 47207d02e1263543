// What must hold of store and tree after a crash, whenever it came: the projection comes up, finds the tree again and ends
// with one that equals the state; every promise of the journal is kept; nothing is there twice; and another pass does
// nothing. Where much is missing, it waits for a word, and the word is that it was a mistake.
import EventStore
import Glibc
import MailCore
import MailEngine
import MailTypes
import Projections

enum MaildirTreeCheck {
    /// - Parameters:
    ///   - boot: the boot that the projection believes to be on; nil is that of this machine.
    ///   - numbers: pairs of file numbers, of the image and of the recording.
    static func verdict(
        _ directory: String, journal path: String, promisedOctets: Int, boot: String?, numbers: [UInt64: UInt64]
    ) -> String {
        guard let bytes = readFile(path), let journal = MaildirJournal(bytes, promisedOctets: promisedOctets) else {
            return "usage: no journal"
        }
        if access(directory + "/store/STORE", F_OK) != 0 { return journal.facts > 0 ? "lost the store" : "absent" }
        do {
            let store = try LMDBStore(directory + "/store", options: WorkloadSettings().storeOptions)
            let engine = MailEngine(store: store, options: EngineOptions(spoolDirectory: directory + "/store")) {
                MaildirStory.wallClock()
            }
            defer { engine.close() }
            let projection = MaildirProjection(
                engine: engine, options: MaildirOptions(root: directory + "/maildir"),
                boot: boot ?? MaildirOptions.currentBoot(), fileNumber: { numbers[$0] ?? $0 })
            return try verdict(journal, engine, projection)
        } catch {
            return "refused \(error)"
        }
    }

    private static func verdict(
        _ journal: MaildirJournal, _ engine: MailEngine, _ projection: MaildirProjection
    ) throws -> String {
        try projection.settleImports()
        if journal.isSpoilt { try projection.rebuild() }
        try projection.settleImports()
        try projection.storeCheckpoint()
        // Much that is missing waits for a word, and this is it.
        for account in journal.promises.keys where try !projection.importStatus(account).quarantine.isEmpty {
            try projection.restore(account)
            try projection.settleImports()
        }
        let report = try projection.check(contents: true)
        if let first = report.differences.first ?? report.waiting.first { return "drift \(first)" }
        if let broken = try brokenPromise(journal, engine) { return broken }
        let head = try engine.read { $0.head }
        try projection.settleImports()
        if try engine.read({ $0.head }) != head { return "restless another pass made events" }
        return "ok facts=\(journal.facts) files=\(report.files)"
    }

    private static func brokenPromise(_ journal: MaildirJournal, _ engine: MailEngine) throws -> String? {
        for (account, promises) in journal.promises.sorted(by: { $0.key < $1.key }) {
            let all = Dictionary(grouping: try MaildirMessage.all(account, engine), by: \.key)
            for (key, promise) in promises.sorted(by: { $0.key < $1.key }) {
                let found = all[key] ?? []
                if found.isEmpty, !promise.mayBeGone { return "lost \(key) of account \(account.rawValue)" }
                if found.count > promise.countMax { return "doubled \(key): \(found)" }
                for message in promise.messages where !found.contains(message) {
                    return "changed \(message) is \(found)"
                }
            }
            for (key, found) in all.sorted(by: { $0.key < $1.key }) where promises[key] == nil && found.count > 1 {
                return "doubled \(key): \(found)"
            }
            let validities = try MaildirMessage.validities(account, engine)
            for (mailbox, value) in journal.validities[account] ?? [:] {
                if let now = validities[mailbox], now != value {
                    return "renumbered mailbox \(mailbox.rawValue): \(value) is \(now)"
                }
            }
        }
        return nil
    }
}
