// `verify`: every invariant of docs/formats/invariants.md that can be seen from the store, online, in bounded slices.
import EventFormat
import Glibc
import LMDB
import MailCore
import MailTypes
import Octets

/// What to look at.
package struct VerifyScope: Sendable {
    /// Only this account's rows; the log and the bodies are then left out.
    package var account: AccountID?
    /// Begin the log behind this record, which must be a seal.
    package var since: Cursor
    /// How many of a hundred bodies are read and hashed.
    package var bodiesPercent: Int
    package init(account: AccountID? = nil, since: Cursor = .start, bodiesPercent: Int = 1) {
        self.account = account
        self.since = since
        self.bodiesPercent = bodiesPercent
    }
}

extension LMDBStore {
    private static let recordsPerSlice = 20_000

    /// Everything, each body read.
    @discardableResult
    package func verifyAll() throws -> VerifyReport { try verify(VerifyScope(bodiesPercent: 100)) }

    /// - Throws: `Violation`, the first counter-example.
    package func verify(_ scope: VerifyScope, progress: (VerifyReport) -> Void = { _ in }) throws -> VerifyReport {
        var report = VerifyReport()
        if let account = scope.account {
            _ = try readDerived { try check(account, LocalView($0), nil, &report) }
            return report
        }
        var log = LogCheck(after: scope.since.rawValue)
        var more = true
        while more {
            more = try environment.read { try log.advance($0, tables, limit: Self.recordsPerSlice) }
            report.records = log.records
            report.seals = log.seals
            progress(report)
        }
        // References are counted over all accounts, so the state is looked at in one snapshot: the one exception to
        // its 2 seconds beside backup (C21), about 0.3 s per million messages.
        try readDerived { rows in
            while try log.advance(rows.transaction, tables, limit: Self.recordsPerSlice) {}
            try log.finish()
            let view = LocalReader(rows)
            var references: [BlobNumber: UInt32] = [:]
            var accounts: [AccountID] = []
            try view.accounts { account, _ in
                accounts.append(account)
                return true
            }
            for account in accounts {
                let found = try check(account, view, log, &report)
                for (blob, count) in found { references[blob, default: 0] += count }
            }
            try view.queue { _, entry in
                references[entry.blob, default: 0] += 1
                return true
            }
            try checkReferences(references, rows, &report)
        }
        try readBodies(scope.bodiesPercent, &report, progress)
        return report
    }

    @discardableResult
    private func check(
        _ account: AccountID, _ view: LocalView, _ log: LogCheck?, _ report: inout VerifyReport
    ) throws -> [BlobNumber: UInt32] {
        guard let stored = try view.storedHead(account) else { return [:] }
        if let position = log?.position(of: account) {
            guard position.aseq == stored.head.aseq, position.lsn == stored.lastLSN else {
                throw Violation(
                    .fold, 10,
                    "account \(account.rawValue) stands at \(stored.head.aseq.rawValue) (record \(stored.lastLSN)), "
                        + "its log at \(position.aseq.rawValue) (record \(position.lsn))")
            }
        }
        var check = StateCheck(view, account)
        do {
            try check.run()
        } catch let fault as StateFault {
            throw Violation(.fold, 10, "account \(account.rawValue): \(fault)")
        }
        report.accounts += 1
        report.messages += check.messages
        return check.references
    }

    private func checkReferences(
        _ counted: [BlobNumber: UInt32], _ rows: DerivedRows, _ report: inout VerifyReport
    ) throws {
        var left = counted
        let tail = syncedBodies
        var seen = 0
        try rows.scan(.blob, from: []) { key, value in
            let blob = try BlobKey.parse(key)
            let row: BlobRow
            do { row = try BlobRow.decode(value) } catch {
                throw Violation(.body, 22, "body \(blob.rawValue): \(error)")
            }
            let holders = left.removeValue(forKey: blob) ?? 0
            guard row.references == holders else {
                throw Violation(
                    .body, 22, "body \(blob.rawValue) counts \(row.references) references, \(holders) messages hold it")
            }
            let end = row.offset + UInt64(SegmentFormat.recordOctets(payload: Int(row.rawOctets)))
            guard row.segment < tail.segment || (row.segment == tail.segment && end <= tail.offset) else {
                throw Violation(.body, 24, "body \(blob.rawValue) lies behind the synced end of the segments")
            }
            seen += 1
            return true
        }
        if let missing = left.keys.min() {
            throw Violation(.body, 22, "body \(missing.rawValue) is held by messages and has no row")
        }
        report.bodies = seen
    }

    private func readBodies(
        _ percent: Int, _ report: inout VerifyReport, _ progress: (VerifyReport) -> Void
    ) throws {
        guard percent > 0 else { return }
        var next: [UInt8]? = []
        while let start = next {
            var rows: [(BlobNumber, BlobRow)] = []
            next = nil
            try readDerived { derived in
                try derived.scan(.blob, from: start) { key, value in
                    if rows.count == 1000 {
                        next = [UInt8](key)
                        return false
                    }
                    rows.append((try BlobKey.parse(key), try BlobRow.decode(value)))
                    return true
                }
            }
            for (blob, row) in rows where row.references > 0 && Self.isSampled(blob, percent) {
                let location = BodyLocation(segment: row.segment, offset: row.offset)
                switch try bodies.verify(location, expected: row.hash) {
                case .intact: break
                case .erased: throw Violation(.body, 23, "body \(blob.rawValue) is erased and still held")
                case .damaged(let reason): throw Violation(.body, 23, "body \(blob.rawValue): \(reason)")
                }
                report.bodiesRead += 1
            }
            progress(report)
        }
    }

    /// Spread over the numbers, and other ones than a plain modulus would take again and again from one sender's run.
    private static func isSampled(_ blob: BlobNumber, _ percent: Int) -> Bool {
        (blob.rawValue &* 0x9E37_79B9_7F4A_7C15 >> 33) % 100 < UInt64(percent)
    }
}
