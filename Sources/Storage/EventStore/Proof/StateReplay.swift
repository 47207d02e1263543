// Replaying the log into memory and holding the result against the live tables, row by row, byte for byte, while the
// node goes on serving.
//
// The log is append-only, so it is folded in slices without holding a snapshot. What is compared is compared inside one
// short snapshot each: the replay first catches up to that snapshot's end, then the rows of one account are compared.
// Rejected: one snapshot for everything, which would keep every page of the meantime from being used again.
import Digests
import EventFormat
import LMDB
import MailCore
import MailTypes
import Octets

/// The first place where a replay of the log and the live tables differ.
package struct StateDifference: Error, Equatable, Sendable, CustomStringConvertible {
    /// The table and the key, in hexadecimal, or the record that could not be folded.
    package var place: String
    package var expected: String
    package var found: String
    package var description: String { "\(place): replay has \(expected), live has \(found)" }
}

/// What a comparison went through.
package struct ReplayReport: Equatable, Sendable {
    package var events = 0
    package var accounts = 0
    package var rows = 0
    /// Of them, rows of messages that do not tell when they were saved; a rebuild makes them anew.
    package var unsaved = 0
    /// POP3 UIDLs that are in the log alone; a rebuild makes rows of them.
    package var withoutUIDL = 0
}

/// Folds records in log order and knows each account's chain.
final class StateReplay {
    let state = MemoryState()
    private(set) var report = ReplayReport()
    private(set) var lsn: UInt64 = 0
    private(set) var heads: [AccountID: (lastLSN: UInt64, chain: SHA256Digest)] = [:]
    /// Rows of remembered commands; those out of the window are left out by whoever compares.
    private(set) var dedup: [[UInt8]: [UInt8]] = [:]
    private(set) var lastTime = Timestamp(rawValue: 0)
    private var previousSeal = SHA256Digest.zero
    private var batchHasher = SHA256Hasher()
    private var batchFirst: UInt64 = 1

    /// Folds what the snapshot has behind the last call, at most `limit` records; answers whether there is more.
    func advance(_ transaction: Transaction, _ tables: LocalTables, limit: Int) throws -> Bool {
        var count = 0
        try transaction.scan(tables.log, from: LogKey.encode(lsn + 1)) { key, value in
            guard count < limit else { return false }
            count += 1
            try take(try LogKey.parse(key), value)
            return true
        }
        return count == limit
    }

    private func take(_ number: UInt64, _ bytes: UnsafeRawBufferPointer) throws {
        guard number == lsn + 1 else {
            throw StateDifference(place: "log", expected: "record \(lsn + 1)", found: "record \(number)")
        }
        let record = try RecordCodec.decode(bytes, lsn: number)
        lsn = number
        switch record.content {
        case .seal(let seal): try check(seal, number)
        case .event(let event): try fold(event, record, number)
        }
    }

    private func check(_ seal: Seal, _ number: UInt64) throws {
        let matches =
            seal.isConsistent && seal.previous == previousSeal && seal.firstLSN == batchFirst
            && seal.firstLSN + UInt64(seal.count) == number && seal.recordsHash == batchHasher.finalize()
        guard matches else {
            throw StateDifference(place: "seal \(number)", expected: "the hash of its batch", found: "another")
        }
        previousSeal = seal.seal
        batchHasher = SHA256Hasher()
        batchFirst = number + 1
    }

    private func fold(_ event: Event, _ record: DecodedRecord, _ number: UInt64) throws {
        let account = record.header.account
        let before = heads[account] ?? (0, .zero)
        let position = state.head(account)?.aseq ?? .zero
        guard record.header.aseq == position.next, record.header.previousLSN == before.lastLSN else {
            throw StateDifference(
                place: "record \(number) of account \(account.rawValue)",
                expected: "position \(position.next.rawValue) after record \(before.lastLSN)",
                found: "position \(record.header.aseq.rawValue) after record \(record.header.previousLSN)")
        }
        guard record.header.time >= lastTime else {
            throw StateDifference(
                place: "record \(number)", expected: "a time not before its predecessor's", found: "one")
        }
        lastTime = record.header.time
        let context = EventContext(account: account, aseq: record.header.aseq, time: record.header.time)
        try evolve(event, at: context, in: state)
        batchHasher.update(record.hash)
        heads[account] = (number, RecordCodec.chain(before.chain, adding: record.hash))
        if record.retryable, let command = record.command {
            let key = DedupKey.encode(day: dayNumber(record.header.time), account: account, command: command)
            dedup[key] = DedupRow(lsn: number, aseq: record.header.aseq).encode()
        }
        report.events += 1
    }

    func storedHead(_ account: AccountID) -> StoredHead? {
        guard let head = state.head(account), let log = heads[account] else { return nil }
        return StoredHead(head: head, lastLSN: log.lastLSN, chain: log.chain)
    }

    func count(rows: Int, accounts: Int = 0, unsaved: Int = 0, withoutUIDL: Int = 0) {
        report.rows += rows
        report.unsaved += unsaved
        report.withoutUIDL += withoutUIDL
        report.accounts += accounts
    }
}
