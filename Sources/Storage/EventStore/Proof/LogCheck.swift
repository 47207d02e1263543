// The log's own invariants, without folding it: 1 gapless, 2 checksums, 3 seals and chain, 4 each account's positions,
// 5 time, 6 everything decodes.
import Digests
import EventFormat
import LMDB
import MailTypes

struct LogCheck {
    private var lsn: UInt64
    private let start: UInt64
    private var accounts: [AccountID: (aseq: ModSeq, lsn: UInt64)] = [:]
    private var time = Timestamp(rawValue: .min)
    private var previousSeal: SHA256Digest?
    private var batchFirst: UInt64
    private var hasher = SHA256Hasher()
    private(set) var records = 0
    private(set) var seals = 0

    /// - Parameter after: the record behind which to begin; it must be a seal, or 0.
    init(after: UInt64) {
        start = after
        lsn = after
        batchFirst = after + 1
        if after == 0 { previousSeal = .zero }
    }

    /// Looks at no more than `limit` records; answers whether there are more.
    mutating func advance(_ transaction: Transaction, _ tables: LocalTables, limit: Int) throws -> Bool {
        var count = 0
        var check = self
        try transaction.scan(tables.log, from: LogKey.encode(lsn + 1)) { key, value in
            guard count < limit else { return false }
            count += 1
            try check.take(try LogKey.parse(key), value)
            return true
        }
        self = check
        return count == limit
    }

    private mutating func take(_ number: UInt64, _ bytes: UnsafeRawBufferPointer) throws {
        guard number == lsn + 1 else { throw Violation(.log, 1, "record \(lsn + 1) is missing") }
        lsn = number
        let record: DecodedRecord
        do {
            record = try RecordCodec.decode(bytes, lsn: number)
        } catch {
            throw Violation(.log, 2, "record \(number): \(error)")
        }
        if case .seal(let seal) = record.content { return try check(seal, number) }
        records += 1
        hasher.update(record.hash)
        let account = record.header.account
        let last = accounts[account] ?? (.zero, 0)
        // A check that begins in the middle learns each account's position from its first record.
        if last.lsn != 0 || start == 0 {
            guard record.header.aseq == last.aseq.next, record.header.previousLSN == last.lsn else {
                throw Violation(
                    .log, 4,
                    "record \(number): account \(account.rawValue) goes from \(last.aseq.rawValue) to "
                        + "\(record.header.aseq.rawValue), back-pointer \(record.header.previousLSN)")
            }
        }
        accounts[account] = (record.header.aseq, number)
        guard record.header.time >= time else { throw Violation(.log, 5, "record \(number): time runs back") }
        time = record.header.time
    }

    private mutating func check(_ seal: Seal, _ number: UInt64) throws {
        seals += 1
        guard seal.firstLSN == batchFirst, seal.firstLSN + UInt64(seal.count) == number, seal.count > 0 else {
            throw Violation(.log, 3, "seal \(number) does not count its batch")
        }
        guard seal.recordsHash == hasher.finalize(), seal.isConsistent else {
            throw Violation(.log, 3, "seal \(number) does not match its batch")
        }
        if let previousSeal, seal.previous != previousSeal {
            throw Violation(.log, 3, "seal \(number) does not follow its predecessor")
        }
        previousSeal = seal.seal
        hasher = SHA256Hasher()
        batchFirst = number + 1
    }

    /// The log's word on an account's head; nil when its last record is before the start.
    func position(of account: AccountID) -> (aseq: ModSeq, lsn: UInt64)? { accounts[account] }

    /// Every record seen must be covered by a seal.
    func finish() throws {
        guard batchFirst == lsn + 1 else { throw Violation(.log, 3, "records from \(batchFirst) on have no seal") }
    }
}
