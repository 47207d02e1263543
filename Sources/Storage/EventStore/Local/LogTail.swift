// Verifying the end of the log at open: the last batches' records, hashes and seals.
import Digests
import EventFormat
import LMDB
import MailTypes

/// Where the log ends and what its last seal says of the bodies.
struct LogTail {
    /// Nil for an empty log.
    var end: LogEnd?
    var segment: UInt32 = 0
    var offset: UInt64 = 0
    var nextBlob: UInt64 = 1

    /// Reads back over `batches` batches, and over all behind record `folded`, and checks each record against its seal
    /// and each seal against the one before.
    static func verify(
        _ environment: Environment, _ tables: LocalTables, batches: Int, after folded: UInt64
    ) throws -> LogTail {
        try environment.read { transaction in
            guard let lastLSN = try transaction.last(tables.log, { key, _ in try LogKey.parse(key) }) else {
                return LogTail()
            }
            var lsn = lastLSN
            var newest: Seal?
            var following: Seal?
            var left = max(1, batches)
            while lsn > 0, left > 0 || lsn > folded {
                left -= 1
                let seal = try readSeal(transaction, tables, lsn)
                if let following, following.previous != seal.seal {
                    throw StoreError.damaged("seal \(lsn) is not the one that its successor names")
                }
                try verifyBatch(transaction, tables, seal, sealLSN: lsn)
                if newest == nil { newest = seal }
                following = seal
                lsn = seal.firstLSN - 1
            }
            if lsn == 0, let following, following.previous != .zero {
                throw StoreError.damaged("the first seal names a predecessor")
            }
            guard let newest else { return LogTail() }
            let end = LogEnd(lsn: lastLSN, time: newest.time, seal: newest.seal, timeline: newest.timeline)
            return LogTail(end: end, segment: newest.segment, offset: newest.offset, nextBlob: newest.nextBlob)
        }
    }

    private static func readSeal(
        _ transaction: ReadTransaction, _ tables: LocalTables, _ lsn: UInt64
    ) throws -> Seal {
        let record = try transaction.get(tables.log, LogKey.encode(lsn)) { try RecordCodec.decode($0, lsn: lsn) }
        guard let record, case .seal(let seal) = record.content else {
            throw StoreError.damaged("record \(lsn) should be a seal")
        }
        return seal
    }

    /// Every LSN of the batch is there, every record hashes to what the seal says.
    static func verifyBatch(
        _ transaction: Transaction, _ tables: LocalTables, _ seal: Seal, sealLSN: UInt64
    ) throws {
        guard seal.firstLSN >= 1, seal.firstLSN + UInt64(seal.count) == sealLSN else {
            throw StoreError.damaged("seal \(sealLSN) does not follow its batch")
        }
        var expected = seal.firstLSN
        var hasher = SHA256Hasher()
        try transaction.scan(tables.log, from: LogKey.encode(seal.firstLSN)) { key, value in
            let lsn = try LogKey.parse(key)
            guard lsn < sealLSN else { return false }
            guard lsn == expected else { throw StoreError.damaged("record \(expected) is missing") }
            _ = try RecordCodec.header(value, lsn: lsn)
            hasher.update(try RecordCodec.hash(of: value))
            expected += 1
            return true
        }
        guard expected == sealLSN else { throw StoreError.damaged("record \(expected) is missing") }
        guard hasher.finalize() == seal.recordsHash, seal.isConsistent else {
            throw StoreError.damaged("batch \(seal.firstLSN)...\(sealLSN) does not match its seal")
        }
    }
}
