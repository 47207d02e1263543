// Damage that checksums of pages would not show, done through the database: what only seals, replays and recounts find.
import EventFormat
import EventStore
import LMDB
import MailTypes

enum Damage {
    /// - Returns: an exit status; 0 when the damage is done.
    static func apply(_ kind: String, directory: String) -> Int32 {
        do {
            let environment = try Environment(directory: directory + "/shard-0000")
            let log = try environment.openDatabase("log", create: false)
            let meta = try environment.openDatabase("meta", create: false)
            let state = try environment.openDatabase("state.1", create: false)
            let blob = try environment.openDatabase("blob", create: false)
            return try environment.write { write in
                switch kind {
                case "record-rewritten": return try rewriteRecord(write, log, at: middle(write, log))
                case "record-rewritten-first": return try rewriteRecord(write, log, at: 1)
                case "record-removed": return try remove(write, log, LogKey.encode(middle(write, log)))
                case "record-removed-last": return try removeLast(write, log)
                case "seal-changed": return try changeSeal(write, log)
                case "message-changed": return try change(write, state, type: 2)
                case "head-changed": return try change(write, state, type: 0)
                case "mailbox-changed": return try change(write, state, type: 1)
                case "message-dropped": return try drop(write, state, type: 2)
                case "change-dropped": return try drop(write, state, type: 3)
                case "name-dropped": return try drop(write, state, type: 6)
                case "references-changed": return try changeReferences(write, blob)
                case "body-row-dropped": return try dropBodyRow(write, blob)
                case "mark-changed": return try changeMark(write, meta)
                case "mark-dropped": return try remove(write, meta, FoldRow.key)
                case "mark-behind": return try moveMark(write, meta, to: 0)
                case "mark-early": return try moveMark(write, meta, to: try previousSeal(write, log, meta))
                case "mark-late":
                    return try moveMark(write, meta, to: try write.last(log) { key, _ in try LogKey.parse(key) } ?? 0)
                case "mark-ahead": return try moveMark(write, meta, to: 1 << 40)
                default: return 2
                }
            }
        } catch {
            say("damage: \(error)", on: 2)
            return 1
        }
    }

    private static func middle(_ write: WriteTransaction, _ log: Database) throws -> UInt64 {
        let last = try write.last(log) { key, _ in try LogKey.parse(key) } ?? 0
        // An event, not a seal.
        var lsn = last / 2
        while lsn > 1, try write.getBytes(log, key: LogKey.encode(lsn))?[2] != 1 { lsn -= 1 }
        return lsn
    }

    /// Another time, and a checksum that fits again: only the seal knows.
    private static func rewriteRecord(_ write: WriteTransaction, _ log: Database, at lsn: UInt64) throws -> Int32 {
        guard var bytes = try write.getBytes(log, key: LogKey.encode(lsn)), bytes.count > 60 else { return 3 }
        // The lowest octet of the record's time: a millisecond is as plausible as its neighbour.
        bytes[32] ^= 1
        fixChecksum(&bytes, lsn)
        guard (try? bytes.withUnsafeBytes({ try RecordCodec.header($0, lsn: lsn) })) != nil else { return 4 }
        try write.put(log, LogKey.encode(lsn), bytes)
        return 0
    }

    private static func changeSeal(_ write: WriteTransaction, _ log: Database) throws -> Int32 {
        let last = try write.last(log) { key, _ in try LogKey.parse(key) } ?? 0
        guard var bytes = try write.getBytes(log, key: LogKey.encode(last)) else { return 3 }
        bytes[bytes.count - 1] ^= 0x10
        fixChecksum(&bytes, last)
        try write.put(log, LogKey.encode(last), bytes)
        return 0
    }

    /// docs/formats/event-log.md, "Record": CRC32C of the LSN, octets 0 to 7 and everything from octet 12 on, at octet 8.
    private static func fixChecksum(_ bytes: inout [UInt8], _ lsn: UInt64) {
        var covered = withUnsafeBytes(of: lsn.bigEndian) { Array($0) }
        covered += bytes[..<8] + bytes[12...]
        var crc = UInt32.max
        for octet in covered {
            crc ^= UInt32(octet)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
        }
        withUnsafeBytes(of: (~crc).littleEndian) { bytes.replaceSubrange(8..<12, with: $0) }
    }

    private static func remove(_ write: WriteTransaction, _ table: Database, _ key: [UInt8]) throws -> Int32 {
        try write.delete(table, key) ? 0 : 3
    }

    private static func removeLast(_ write: WriteTransaction, _ log: Database) throws -> Int32 {
        try remove(write, log, LogKey.encode(try write.last(log) { key, _ in try LogKey.parse(key) } ?? 0))
    }

    /// Rows of personal accounts: account 4, type 1, the rest.
    private static func keys(_ write: WriteTransaction, _ state: Database, type: UInt8) throws -> [[UInt8]] {
        var keys: [[UInt8]] = []
        try write.scan(state, from: [0, 0, 0, 16]) { key, _ in
            if key.count > 4, key[4] == type { keys.append(Array(key)) }
            return true
        }
        return keys
    }

    private static func change(_ write: WriteTransaction, _ state: Database, type: UInt8) throws -> Int32 {
        let keys = try keys(write, state, type: type)
        guard !keys.isEmpty else { return 3 }
        let key = keys[keys.count / 2]
        guard var value = try write.getBytes(state, key: key), value.count > 2 else { return 3 }
        // Behind the version: flags, an identifier or a counter.
        value[value.count / 2] ^= 1
        try write.put(state, key, value)
        return 0
    }

    private static func drop(_ write: WriteTransaction, _ state: Database, type: UInt8) throws -> Int32 {
        let keys = try keys(write, state, type: type)
        return keys.isEmpty ? 3 : try remove(write, state, keys[keys.count / 2])
    }

    private static func bodyRow(_ write: WriteTransaction, _ blob: Database) throws -> (key: [UInt8], row: BlobRow)? {
        var rows: [([UInt8], BlobRow)] = []
        try write.scan(blob, from: []) { key, value in
            let row = try BlobRow.decode(value)
            if row.references > 0 { rows.append((Array(key), row)) }
            return true
        }
        return rows.isEmpty ? nil : rows[rows.count / 2]
    }

    private static func changeReferences(_ write: WriteTransaction, _ blob: Database) throws -> Int32 {
        guard let found = try bodyRow(write, blob) else { return 3 }
        var row = found.row
        row.references += 1
        try write.put(blob, found.key, row.encode())
        return 0
    }

    private static func dropBodyRow(_ write: WriteTransaction, _ blob: Database) throws -> Int32 {
        guard let (key, _) = try bodyRow(write, blob) else { return 3 }
        return try remove(write, blob, key)
    }

    // MARK: The mark of what is folded

    private static func changeMark(_ write: WriteTransaction, _ meta: Database) throws -> Int32 {
        guard var bytes = try write.getBytes(meta, key: FoldRow.key) else { return 3 }
        bytes[bytes.count - 8] ^= 1
        try write.put(meta, FoldRow.key, bytes)
        return 0
    }

    private static func moveMark(_ write: WriteTransaction, _ meta: Database, to lsn: UInt64) throws -> Int32 {
        guard let row = try write.get(meta, FoldRow.key, { try FoldRow.decode($0) }), row.lsn != lsn else { return 3 }
        try write.put(meta, FoldRow.key, FoldRow(lsn: lsn).encode())
        return 0
    }

    /// The seal before the one that the mark names.
    private static func previousSeal(
        _ write: WriteTransaction, _ log: Database, _ meta: Database
    ) throws -> UInt64 {
        guard let row = try write.get(meta, FoldRow.key, { try FoldRow.decode($0) }), row.lsn > 1 else { return 0 }
        var lsn = row.lsn - 1
        while lsn > 0, try write.getBytes(log, key: LogKey.encode(lsn))?[2] != 2 { lsn -= 1 }
        return lsn
    }
}
