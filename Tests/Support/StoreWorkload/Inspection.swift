// What a damaged store says: an error, a violation, a difference, or the same as before the damage in every row and
// every body. The walk of the pages comes first, so that the library never sees a file whose structure is broken.
import Digests
import EventStore
import LMDB
import MailCore
import MailTypes
import Octets

enum Inspection {
    /// One line: `refused …`, `violation …`, `difference …`, `same`, or `undetected`.
    static func verdict(directory: String, digest wanted: String) -> String {
        do {
            try examine(directory)
        } catch let violation as Violation {
            return "violation \(violation)"
        } catch let difference as StateDifference {
            return "difference \(difference)"
        } catch {
            return "refused \(error)"
        }
        return digest(directory: directory) == wanted ? "same" : "undetected"
    }

    private static func examine(_ directory: String) throws {
        var options = WorkloadSettings().storeOptions
        options.checksStructure = true
        let store = try LMDBStore(directory, options: options)
        defer { store.close() }
        try store.verifyAll()
        _ = try store.compareStateWithReplay()
    }

    /// A hash over every row of every table and every octet of every body that is held.
    static func digest(directory: String) -> String {
        var hasher = SHA256Hasher()
        do {
            let environment = try Environment(
                directory: directory + "/shard-0000", options: Environment.Options(readOnly: true))
            for name in ["meta", "log", "blob", "state.1", "dedup", "gc"] {
                let table = try environment.openDatabase(name, create: false)
                try environment.read { transaction in
                    try transaction.scan(table, from: []) { key, value in
                        hasher.update(Array("\(name) \(key.count) \(value.count)".utf8))
                        hasher.update(Array(key))
                        hasher.update(Array(value))
                        return true
                    }
                }
            }
        } catch {
            return "no digest: \(error)"
        }
        do {
            try addBodies(directory, &hasher)
        } catch {
            return "no digest: \(error)"
        }
        return Hex.encode(hasher.finalize().bytes)
    }

    private static func addBodies(_ directory: String, _ hasher: inout SHA256Hasher) throws {
        let store = try LMDBStore(directory, options: WorkloadSettings().storeOptions)
        defer { store.close() }
        var bodies: Set<BlobNumber> = []
        try store.read { state in
            var accounts: [AccountID] = []
            try state.accounts { account, _ in
                accounts.append(account); return true
            }
            for account in accounts {
                var boxes: [MailboxID] = []
                try state.mailboxes(account) { id, _ in
                    boxes.append(id); return true
                }
                for box in boxes {
                    try state.messages(account, box, from: UID(1)) { _, row in
                        bodies.insert(row.blob)
                        return true
                    }
                }
            }
        }
        for blob in bodies.sorted() {
            let handle = try store.openBody(blob)
            var bytes: [UInt8] = []
            try handle.read(at: 0, count: handle.size, into: &bytes)
            hasher.update(bytes)
        }
    }
}
