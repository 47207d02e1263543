// A sorted map from keys to rows whose copies are free: a B+ tree that shares what it has not changed.
//
// It holds the rows that are folded and not yet written to LMDB (docs/decisions/0012). The writer changes its copy while
// readers keep theirs; a node is copied when someone else still holds it.
//
// Invariants
// - All leaves have the same depth. Keys ascend in a leaf and over the leaves; a branch's key n is the least key below
//   its child n.
// - A key stays until the whole map goes: a removed row is a row without a value, since it hides one in LMDB.
//
// Rejected: a hash trie with sorted arrays per mailbox (a change in a mailbox of many rows would copy them all), and
// sorted runs merged in the background (each get would look into every run).

/// A key in the order of the database, with its first octets where they are compared fast.
struct RowKey: Sendable {
    let octets: [UInt8]
    private let high: UInt64
    private let low: UInt64

    init(_ octets: [UInt8]) {
        self.octets = octets
        (high, low) = octets.withUnsafeBytes { Self.head($0) }
    }

    /// The first 16 octets as two numbers, zeros where there are fewer.
    private static func head(_ bytes: UnsafeRawBufferPointer) -> (UInt64, UInt64) {
        if bytes.count >= 16 {
            return (
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
        var words: (UInt64, UInt64) = (0, 0)
        withUnsafeMutableBytes(of: &words) { $0.copyMemory(from: bytes) }
        return (UInt64(bigEndian: words.0), UInt64(bigEndian: words.1))
    }

    static func < (left: RowKey, right: RowKey) -> Bool {
        if left.high != right.high { return left.high < right.high }
        if left.low != right.low { return left.low < right.low }
        return left.octets.lexicographicallyPrecedes(right.octets)
    }

    static func == (left: RowKey, right: RowKey) -> Bool {
        left.high == right.high && left.low == right.low && left.octets == right.octets
    }

    enum Order { case before, same, behind }

    /// Where this key stands beside one of the database.
    func order(to other: UnsafeRawBufferPointer) -> Order {
        let (otherHigh, otherLow) = Self.head(other)
        if high != otherHigh { return high < otherHigh ? .before : .behind }
        if low != otherLow { return low < otherLow ? .before : .behind }
        if octets.elementsEqual(other) { return .same }
        return octets.lexicographicallyPrecedes(other) ? .before : .behind
    }
}

/// One row that LMDB does not have yet.
struct UnfoldedRow: Sendable {
    let key: RowKey
    /// Nil says that the row is removed.
    var value: [UInt8]?
}

struct RowTree: Sendable {
    /// Rows of a leaf, or children of a branch. A node is copied whole when it is shared.
    fileprivate static let fanOutMax = 32

    fileprivate var root: RowNode?
    /// Rows, those without a value included.
    private(set) var count = 0
    /// Octets of keys and values.
    private(set) var octets = 0

    var isEmpty: Bool { root == nil }

    /// The row of that key: nil when this map says nothing of it.
    func row(_ octets: [UInt8]) -> UnfoldedRow? {
        guard var node = root else { return nil }
        let key = RowKey(octets)
        while !node.children.isEmpty { node = node.children[node.child(for: key)] }
        let index = node.lowerBound(key)
        guard index < node.rows.count, node.rows[index].key == key else { return nil }
        return node.rows[index]
    }

    /// Puts a row, or, without a value, the removal of one.
    mutating func set(_ octets: [UInt8], _ value: [UInt8]?) {
        let row = UnfoldedRow(key: RowKey(octets), value: value)
        guard root != nil else {
            root = RowNode(rows: [row])
            count = 1
            self.octets = octets.count + (value?.count ?? 0)
            return
        }
        var change = Change()
        let sibling = Self.insert(row, into: &root!, &change)
        count += change.rows
        self.octets += change.octets
        if let sibling, let left = root {
            root = RowNode(keys: [left.least, sibling.least], children: [left, sibling])
        }
    }

    private struct Change {
        var rows = 0
        var octets = 0
    }

    /// - Returns: the right half of the node when it had to be split.
    private static func insert(_ row: UnfoldedRow, into node: inout RowNode, _ change: inout Change) -> RowNode? {
        if !isKnownUniquelyReferenced(&node) { node = node.copy() }
        if node.children.isEmpty {
            let index = node.lowerBound(row.key)
            if index < node.rows.count, node.rows[index].key == row.key {
                change.octets += (row.value?.count ?? 0) - (node.rows[index].value?.count ?? 0)
                node.rows[index].value = row.value
                return nil
            }
            change.rows += 1
            change.octets += row.key.octets.count + (row.value?.count ?? 0)
            node.rows.insert(row, at: index)
            return node.rows.count > fanOutMax ? node.split(behindLast: index == node.rows.count - 1) : nil
        }
        let index = node.child(for: row.key)
        let sibling = insert(row, into: &node.children[index], &change)
        if index == 0, row.key < node.keys[0] { node.keys[0] = row.key }
        guard let sibling else { return nil }
        node.keys.insert(sibling.least, at: index + 1)
        node.children.insert(sibling, at: index + 1)
        return node.children.count > fanOutMax
            ? node.split(behindLast: index + 1 == node.children.count - 1) : nil
    }

    /// Rows from `start` on, ascending; an empty `start` is below every key.
    func cursor(from start: [UInt8]) -> RowTreeCursor { RowTreeCursor(root, from: RowKey(start)) }

    /// All rows, ascending.
    func forEach<E: Error>(_ body: (UnfoldedRow) throws(E) -> Void) throws(E) {
        var cursor = cursor(from: [])
        while let row = cursor.row {
            try body(row)
            cursor.advance()
        }
    }

    /// The last row that has a value.
    var lastPresent: UnfoldedRow? { root?.lastPresent }
}

// Changed only by the one `RowTree` that holds it alone.
private final class RowNode: @unchecked Sendable {
    /// Of a leaf; empty in a branch.
    var rows: [UnfoldedRow]
    /// Of a branch; empty in a leaf.
    var keys: [RowKey]
    var children: [RowNode]

    init(rows: [UnfoldedRow] = [], keys: [RowKey] = [], children: [RowNode] = []) {
        self.rows = rows
        self.keys = keys
        self.children = children
    }

    func copy() -> RowNode { RowNode(rows: rows, keys: keys, children: children) }

    var least: RowKey { children.isEmpty ? rows[0].key : keys[0] }

    /// The first row that is not below `key`.
    func lowerBound(_ key: RowKey) -> Int {
        rows.withUnsafeBufferPointer { rows in
            var (low, high) = (0, rows.count)
            while low < high {
                let middle = (low + high) / 2
                if rows[middle].key < key { low = middle + 1 } else { high = middle }
            }
            return low
        }
    }

    /// The child below which `key` belongs: the last whose least key is not above it, else the first.
    func child(for key: RowKey) -> Int {
        keys.withUnsafeBufferPointer { keys in
            var (low, high) = (1, keys.count)
            while low < high {
                let middle = (low + high) / 2
                if key < keys[middle] { high = middle } else { low = middle + 1 }
            }
            return low - 1
        }
    }

    /// Gives the upper part to a new node: half, or the last element alone where keys come in order.
    func split(behindLast: Bool) -> RowNode {
        if children.isEmpty {
            let at = behindLast ? rows.count - 1 : rows.count / 2
            defer { rows.removeSubrange(at...) }
            return RowNode(rows: Array(rows[at...]))
        }
        let at = behindLast ? children.count - 1 : children.count / 2
        defer {
            keys.removeSubrange(at...)
            children.removeSubrange(at...)
        }
        return RowNode(keys: Array(keys[at...]), children: Array(children[at...]))
    }

    var lastPresent: UnfoldedRow? {
        if children.isEmpty { return rows.last { $0.value != nil } }
        for child in children.reversed() {
            if let found = child.lastPresent { return found }
        }
        return nil
    }
}

/// A position in one copy of a tree; later changes of the tree do not reach it.
struct RowTreeCursor {
    private var path: [(node: RowNode, index: Int)] = []
    /// The row it stands on; nil behind the last.
    private(set) var row: UnfoldedRow?

    fileprivate init(_ root: RowNode?, from key: RowKey) {
        guard var node = root else { return }
        while !node.children.isEmpty {
            let index = node.child(for: key)
            path.append((node, index))
            node = node.children[index]
        }
        path.append((node, node.lowerBound(key)))
        settle()
    }

    mutating func advance() {
        guard !path.isEmpty else { return }
        path[path.count - 1].index += 1
        settle()
    }

    /// Goes on to the next leaf when this one is at its end.
    private mutating func settle() {
        while let (leaf, index) = path.last {
            if index < leaf.rows.count {
                row = leaf.rows[index]
                return
            }
            guard climb() else { break }
        }
        row = nil
    }

    /// To the first row of the next leaf; false when there is none.
    private mutating func climb() -> Bool {
        path.removeLast()
        while let (branch, index) = path.popLast() {
            guard index + 1 < branch.children.count else { continue }
            path.append((branch, index + 1))
            var node = branch.children[index + 1]
            while !node.children.isEmpty {
                path.append((node, 0))
                node = node.children[0]
            }
            path.append((node, 0))
            return true
        }
        return false
    }
}
