// The derived tables as they stand at one LSN: what LMDB holds, under what is folded and not written there yet.
import LMDB

struct DerivedRows {
    let transaction: Transaction
    let tables: LocalTables
    var unfolded: UnfoldedRows

    /// Calls `body` with the value of `key`; nil, without calling it, when there is no such row.
    @inline(__always)
    func get<R>(_ table: DerivedTable, _ key: [UInt8], _ body: (UnsafeRawBufferPointer) throws -> R) throws -> R? {
        let tree = unfolded[table]
        if !tree.isEmpty, let row = tree.row(key) {
            guard let value = row.value else { return nil }
            return try value.withUnsafeBytes(body)
        }
        return try transaction.get(tables[table], key, body)
    }

    func getBytes(_ table: DerivedTable, _ key: [UInt8]) throws -> [UInt8]? {
        try get(table, key) { [UInt8]($0) }
    }

    /// Calls `body` with the rows from `start` on, ascending, until it answers false. Rows that are set meanwhile do not
    /// appear.
    func scan(_ table: DerivedTable, from start: [UInt8], _ body: Transaction.Row) throws {
        let tree = unfolded[table]
        guard !tree.isEmpty else { return try transaction.scan(tables[table], from: start, body) }
        var merge = Merge(cursor: tree.cursor(from: start))
        try transaction.scan(tables[table], from: start) { key, value in try merge.take(key, value, body) }
        try merge.finish(body)
    }

    /// The last key of a table.
    func lastKey(_ table: DerivedTable) throws -> [UInt8]? {
        let stored = try transaction.last(tables[table]) { key, _ in [UInt8](key) }
        let newer = unfolded[table].lastPresent?.key.octets
        guard let stored, let newer else { return stored ?? newer }
        return stored.lexicographicallyPrecedes(newer) ? newer : stored
    }

    /// Two ascending runs of rows as one; of two with the same key the unfolded one counts.
    private struct Merge {
        var cursor: RowTreeCursor
        var hasEnded = false

        mutating func take(
            _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ body: Transaction.Row
        ) throws -> Bool {
            while let row = cursor.row {
                switch row.key.order(to: key) {
                case .before:
                    cursor.advance()
                    guard try deliver(row, body) else { return false }
                case .same:
                    cursor.advance()
                    return try deliver(row, body)
                case .behind:
                    return try note(body(key, value))
                }
            }
            return try note(body(key, value))
        }

        mutating func finish(_ body: Transaction.Row) throws {
            while !hasEnded, let row = cursor.row {
                cursor.advance()
                _ = try deliver(row, body)
            }
        }

        private mutating func deliver(_ row: UnfoldedRow, _ body: Transaction.Row) throws -> Bool {
            guard let value = row.value else { return true }
            return try note(
                row.key.octets.withUnsafeBytes { key in try value.withUnsafeBytes { try body(key, $0) } })
        }

        private mutating func note(_ goesOn: Bool) -> Bool {
            hasEnded = !goesOn
            return goesOn
        }
    }
}
