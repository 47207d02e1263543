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
        if unfolded[table].isEmpty { return try transaction.scan(tables[table], from: start, body) }
        try walk(table, from: start) { key, value in try body(key, value) ? .next : .stop }
    }

    /// As `scan`, over several ranges: the closure may ask to go on from a later key.
    func walk(_ table: DerivedTable, from start: [UInt8], _ body: Step) throws {
        let tree = unfolded[table]
        guard !tree.isEmpty else { return try transaction.walk(tables[table], from: start, body) }
        var merge = Merge(tree, from: start)
        try transaction.walk(tables[table], from: start) { key, value in try merge.take(key, value, body) }
        try merge.finish(body)
    }

    typealias Step = (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> WalkStep

    /// The last key of a table.
    func lastKey(_ table: DerivedTable) throws -> [UInt8]? {
        let stored = try transaction.last(tables[table]) { key, _ in [UInt8](key) }
        let newer = unfolded[table].lastPresent?.key.octets
        guard let stored, let newer else { return stored ?? newer }
        return stored.lexicographicallyPrecedes(newer) ? newer : stored
    }

    /// Two ascending runs of rows as one; of two with the same key the unfolded one counts.
    private struct Merge {
        private let tree: RowTree
        private var cursor: RowTreeCursor
        private var hasEnded = false

        init(_ tree: RowTree, from start: [UInt8]) {
            self.tree = tree
            cursor = tree.cursor(from: start)
        }

        /// Hands out the unfolded rows before a row of the database, then that row or what hides it.
        mutating func take(
            _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ body: Step
        ) throws -> WalkStep {
            while let row = cursor.row {
                switch row.key.order(to: key) {
                case .before:
                    let step = try deliver(row, body)
                    if case .next = step { continue }
                    if case .seek(let target) = step, RowKey(target).order(to: key) != .behind { continue }
                    return step
                case .same:
                    return try deliver(row, body)
                case .behind:
                    return note(try body(key, value))
                }
            }
            return note(try body(key, value))
        }

        /// The database has no further row.
        mutating func finish(_ body: Step) throws {
            while !hasEnded, let row = cursor.row { _ = try deliver(row, body) }
        }

        private mutating func deliver(_ row: UnfoldedRow, _ body: Step) throws -> WalkStep {
            cursor.advance()
            guard let value = row.value else { return .next }
            return note(
                try row.key.octets.withUnsafeBytes { key in try value.withUnsafeBytes { try body(key, $0) } })
        }

        private mutating func note(_ step: WalkStep) -> WalkStep {
            switch step {
            case .next: break
            case .seek(let target): cursor = tree.cursor(from: target)
            case .stop: hasEnded = true
            }
            return step
        }
    }
}
