// Rows that the log implies and the derived tables do not hold yet (docs/decisions/0012).
import MailTypes

/// A table that can be computed from the log.
enum DerivedTable: CaseIterable {
    case state, blob, dedup, gc
}

/// What readers lay over the derived tables. A value: whoever has a copy keeps what it saw.
struct UnfoldedRows: Sendable {
    private var state = RowTree()
    private var blob = RowTree()
    private var dedup = RowTree()
    private var gc = RowTree()
    /// Events since the last fold.
    var events = 0
    /// Time of the first batch since the last fold.
    var since: Timestamp?

    subscript(table: DerivedTable) -> RowTree {
        switch table {
        case .state: state
        case .blob: blob
        case .dedup: dedup
        case .gc: gc
        }
    }

    mutating func set(_ table: DerivedTable, _ key: [UInt8], _ value: [UInt8]?) {
        switch table {
        case .state: state.set(key, value)
        case .blob: blob.set(key, value)
        case .dedup: dedup.set(key, value)
        case .gc: gc.set(key, value)
        }
    }

    /// Nothing has happened since the last fold.
    var isEmpty: Bool { events == 0 && count == 0 }
    var count: Int { state.count + blob.count + dedup.count + gc.count }
    var octets: Int { state.octets + blob.octets + dedup.octets + gc.octets }
}
