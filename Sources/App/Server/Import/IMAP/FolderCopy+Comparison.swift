// Flags that changed in the source, and the comparison of all that it lists with what is here.
import EventFormat
import EventStore
import MailCore
import MailTypes

extension FolderCopy {
    private struct Difference: Hashable {
        var add: SystemFlags
        var remove: SystemFlags
        var addKeywords: Set<Keyword>
        var removeKeywords: Set<Keyword>
    }

    /// - Parameter listed: messages that the journal knows from a run before.
    func changeFlags(_ listed: [ListedMessage], _ journal: ImportJournal) throws {
        var groups: [Difference: [(ListedMessage, UID)]] = [:]
        for message in listed {
            guard let entry = journal.entries[message.uid] else { continue }
            let (now, before) = (Set(message.keywords), Set(entry.keywords))
            if message.flags == entry.flags, now == before { continue }
            let difference = Difference(
                add: message.flags.subtracting(entry.flags), remove: entry.flags.subtracting(message.flags),
                addKeywords: now.subtracting(before), removeKeywords: before.subtracting(now))
            groups[difference, default: []].append((message, entry.uid))
        }
        for (difference, messages) in groups {
            let uids = UIDSet(messages.map(\.1))
            try change(uids, .add, difference.add, difference.addKeywords)
            try change(uids, .remove, difference.remove, difference.removeKeywords)
            try desk.reached(.flagsChanged)
            for (message, uid) in messages {
                journal.put(
                    message.uid, ImportJournal.Entry(uid: uid, flags: message.flags, keywords: message.keywords))
            }
            report.flagsChanged += messages.count
        }
        try journal.flush()
    }

    private func change(
        _ uids: UIDSet, _ operation: FlagOperation, _ flags: SystemFlags, _ keywords: Set<Keyword>
    ) throws {
        guard !flags.isEmpty || !keywords.isEmpty else { return }
        _ = try desk.perform(
            account,
            .changeFlags(
                ChangeFlags(
                    mailbox: mailbox.id, uids: uids, operation: operation, flags: flags,
                    keywords: Array(
                        keywords.sorted { $0.folded < $1.folded }.prefix(DomainLimits.keywordsPerMessageMax)))))
    }

    /// Holds every message that the source lists against the mailbox: it is there, with the octets that came, its date and
    /// its flags.
    func check(_ listed: [ListedMessage], _ journal: ImportJournal) throws {
        var present = Set<UInt32>()
        for message in listed { present.insert(message.uid) }
        report.goneFromSource = journal.entries.keys.reduce(0) { $0 + (present.contains($1) ? 0 : 1) }
        // In slices: a snapshot that is held long keeps pages from being used again.
        var rest = listed[...]
        while !rest.isEmpty {
            let slice = rest.prefix(ServerLimits.eventsPerSnapshotMax)
            rest = rest.dropFirst(slice.count)
            try desk.engine.read { state in
                for message in slice { try check(message, journal, state) }
            }
        }
    }

    private func check(_ message: ListedMessage, _ journal: ImportJournal, _ state: any ShardReader) throws {
        func differs(_ reason: String) { report.missing.append(("\(folder.shown) UID \(message.uid)", reason)) }
        guard let entry = journal.entries[message.uid] else {
            return differs(refused[message.uid] ?? "is not in the mailbox")
        }
        guard let row = try state.message(account, mailbox.id, entry.uid) else {
            report.goneFromHere += 1
            return
        }
        guard let body = try state.body(row.blob) else { return differs("its text is not in the store") }
        report.hash.update(body.hash.digest)
        guard let hash = received[message.uid] else { return }
        if body.hash != hash { return differs("other octets are in the mailbox than came") }
        let keywords = try state.importedKeywords(account, mailbox.id, entry.uid, row)
        if !row.flags.isSuperset(of: message.flags) || !keywords.isSuperset(of: message.keywords) {
            return differs("its flags are not those of the source")
        }
        if message.oddFlags > 0 { return differs("\(message.oddFlags) of its flags cannot be kept") }
        if let date = message.date, date.time.seconds != row.internalDate.time.seconds {
            return differs("its date is not that of the source")
        }
    }
}
