// The promises, checked on a store after a crash: it opens; every invariant that `verify` knows holds and every body
// is read; the live rows equal a replay, and a second, independent folding of the log; every acknowledged command is in
// the log at its position with its UIDs and bodies; no command is there in part; and the store goes on working.
import EventStore
import Glibc
import MailCore
import MailTypes

enum Check {
    /// One line: `ok …`, `absent`, or the kind of the first thing that is wrong and what it is.
    /// - Parameter promisedOctets: acknowledgements within so many octets of the journal must have been kept.
    static func verdict(directory: String, journal path: String, promisedOctets: Int) -> String {
        guard let bytes = readFile(path) else { return "usage: no journal" }
        let journal = Journal(bytes, promisedOctets: promisedOctets)
        if access(directory + "/STORE", F_OK) != 0 { return absent(directory, journal) }
        do {
            let store = try LMDBStore(directory, options: WorkloadSettings().storeOptions)
            defer { store.close() }
            try store.verifyAll()
            _ = try store.compareStateWithReplay()
            var model = LogModel()
            var fault: String?
            let difference = try store.read { state in
                try state.log(after: .start) { event in
                    fault = model.take(event).map { "record \(event.cursor.rawValue): \($0)" }
                    return fault == nil
                }
                return try fault ?? model.difference(from: state)
            }
            if let difference { return "model \(difference)" }
            if let broken = brokenPromise(journal, model) { return broken }
            if let stuck = goOn(store) { return stuck }
            return "ok promised=\(journal.promised) events=\(model.count)"
        } catch let violation as Violation {
            return "violation \(violation)"
        } catch let difference as StateDifference {
            return "difference \(difference)"
        } catch {
            return "refused \(error)"
        }
    }

    /// A creation that was interrupted promised nothing, and must be possible to repeat.
    private static func absent(_ directory: String, _ journal: Journal) -> String {
        if journal.promised > 0 { return "lost there is no store" }
        do {
            try LMDBStore.create(directory, options: WorkloadSettings().storeOptions)
            try LMDBStore(directory, options: WorkloadSettings().storeOptions).close()
            return "absent"
        } catch {
            return "stuck creating again: \(error)"
        }
    }

    private static func brokenPromise(_ journal: Journal, _ model: LogModel) -> String? {
        for (index, acknowledgement) in journal.acknowledgements.enumerated() {
            // One that came after the cut may be missing, but then all of it.
            if index >= journal.promised, model.places[acknowledgement.command] == nil { continue }
            if let reason = missing(acknowledgement, model) {
                return "\(index < journal.promised ? "lost" : "partial") \(acknowledgement.line): \(reason)"
            }
        }
        for (command, places) in model.places {
            guard let wanted = journal.messages[command] else { return "model a command nobody gave" }
            let brought = places.filter { account, position in
                if case .messageAppended? = model.events[account]?[position]?.event { return true }
                return false
            }
            if wanted > 0, brought.count != wanted {
                return "partial \(command.text) brought \(brought.count) of \(wanted) messages"
            }
        }
        return nil
    }

    /// Why the log does not say what was acknowledged; nil when it does.
    private static func missing(_ acknowledgement: Acknowledgement, _ model: LogModel) -> String? {
        let rest = acknowledgement.rest
        // What changed nothing has no event.
        if rest.first == "-" { return nil }
        let position = acknowledgement.position
        guard let last = model.events[acknowledgement.account]?[position] else { return "no event at its position" }
        guard last.command == acknowledgement.command else { return "another command's event at its position" }
        switch (acknowledgement.kind, last.event) {
        case ("append", _): return missingMessages(acknowledgement, model)
        case ("flags", .flagsChanged(let event)):
            return event.mailbox == acknowledgement.mailbox && event.uids.text == rest.first ? nil : "other UIDs"
        case ("expunge", .messagesExpunged(let event)):
            return event.mailbox == acknowledgement.mailbox && event.uids.text == rest.first ? nil : "other UIDs"
        case ("copy", .messagesCopied(let event)), ("move", .messagesMoved(let event)):
            let first = event.firstUID
            let targets = UIDSet(first...UID(first.rawValue + UInt32(event.uids.count) - 1))
            let said = [event.uids.text, "\(event.destination.rawValue)", targets.text]
            return event.source == acknowledgement.mailbox && said == rest ? nil : "other UIDs"
        case ("delete", .mailboxDeleted(let event)):
            return event.mailbox == acknowledgement.mailbox ? nil : "another mailbox"
        case ("mailbox", .mailboxRenamed(let event)):
            return event.mailbox == acknowledgement.mailbox && event.newLeaf == rest.first ? nil : "another name"
        case ("mailbox", .mailboxCreated(let event)):
            return event.mailbox == acknowledgement.mailbox && event.leaf == rest.first ? nil : "another name"
        case ("mailbox", .subscriptionChanged), ("account", _): return nil
        default: return "another kind of event"
        }
    }

    private static func missingMessages(_ acknowledgement: Acknowledgement, _ model: LogModel) -> String? {
        let rest = acknowledgement.rest
        guard rest.count == 3 else { return "unreadable" }
        let hashes = rest[2].split(separator: ",").map(String.init)
        var uids = UIDSet()
        for (index, hash) in hashes.enumerated() {
            let position = ModSeq(acknowledgement.position.rawValue - UInt64(hashes.count - 1 - index))
            guard let logged = model.events[acknowledgement.account]?[position],
                logged.command == acknowledgement.command, case .messageAppended(let event) = logged.event
            else { return "a message is missing" }
            let isSame = event.hash.text == hash && event.mailbox == acknowledgement.mailbox
            guard isSame, "\(event.flags.rawValue)" == rest[1] else { return "another message" }
            uids.insert(event.uid)
        }
        return uids.text == rest[0] ? nil : "other UIDs"
    }

    /// One more message, so that the store is known to work and not only to be readable.
    private static func goOn(_ store: LMDBStore) -> String? {
        do {
            let account = AccountID.firstPersonal
            guard try store.read({ try $0.mailbox(account, MailboxID(1)) }) != nil else { return nil }
            let body = Array("Subject: after\r\n\r\nthe crash\r\n".utf8)
            let staged = try store.stage(MemoryBody(body))
            try store.syncBodies()
            let now = Timestamp(rawValue: 1)
            let batch = try store.beginBatch(now: now)
            do {
                try batch.register(staged)
                let append = AppendMessages(mailbox: MailboxID(1), messages: [NewMessage(body: 0)], origin: .append)
                let context = DecideContext(account: account, now: now, bodies: [staged.reference])
                let decision = try decide(.append(append), context, batch)
                _ = try batch.append(
                    Append(account: account, expected: try batch.head(account)?.aseq ?? .zero, events: decision.events))
                _ = try batch.commit()
            } catch {
                batch.abort()
                throw error
            }
            var found: [UInt8] = []
            let handle = try store.openBody(staged.reference.blob)
            try handle.read(at: 0, count: handle.size, into: &found)
            return found == body ? nil : "stuck a new body is not what was written"
        } catch {
            return "stuck \(error)"
        }
    }
}

/// All of a file; nil when it cannot be read.
func readFile(_ path: String) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    let size = max(0, Int(lseek(descriptor, 0, SEEK_END)))
    return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
        while count < size {
            let octets = pread(descriptor, buffer.baseAddress! + count, size - count, off_t(count))
            if octets <= 0 { break }
            count += octets
        }
    }
}
