// Which unfolded rows belong to which commit, so that a reader never pairs the rows of one with the snapshot of another.
//
// Rows are announced under the number of their transaction before it commits. A reader begins its snapshot and looks up
// the rows for the snapshot's number under one lock, so it finds the pair whether or not the commit had happened.
import LMDB
import Synchronization

final class PublishedRows: Sendable {
    private struct Entry {
        /// The first transaction that these rows belong to.
        var transaction: Int
        var rows: UnfoldedRows
    }

    /// One entry; two while a commit is under way.
    private let entries: Mutex<[Entry]>

    init(_ rows: UnfoldedRows) { entries = Mutex([Entry(transaction: 0, rows: rows)]) }

    /// Begins a snapshot and finds its rows.
    func pair(_ begin: () throws -> ReadTransaction) throws -> (ReadTransaction, UnfoldedRows) {
        var transaction: ReadTransaction?
        let rows = try entries.withLock { entries throws -> UnfoldedRows? in
            let begun = try begin()
            transaction = begun
            let number = begun.identifier
            return entries.last { $0.transaction <= number }?.rows
        }
        guard let transaction, let rows else { preconditionFailure("a snapshot older than the store's first") }
        return (transaction, rows)
    }

    /// The rows of the last commit. For the writer, who alone moves it.
    var current: UnfoldedRows { entries.withLock { $0[$0.count - 1].rows } }

    /// Says which rows will belong to `transaction` when it is committed.
    func announce(_ rows: UnfoldedRows, for transaction: Int) {
        entries.withLock { $0.append(Entry(transaction: transaction, rows: rows)) }
    }

    /// The announced transaction is committed.
    func confirm() {
        // What the old rows hold is let go outside the lock.
        let old = entries.withLock { entries -> [Entry] in
            let old = Array(entries.dropLast())
            entries.removeFirst(entries.count - 1)
            return old
        }
        withExtendedLifetime(old) {}
    }

    /// The announced transaction did not come to be.
    func withdraw() { entries.withLock { _ = $0.removeLast() } }
}
