// The walk over all trees of a data file; see StructureCheck.swift.

/// A branch or leaf page whose header and node offsets have been checked.
struct NodePage {
    private static let nodeHeader = 8
    private static let bigData: UInt16 = 1
    private static let subTree: UInt16 = 2
    private let page: Page
    private let number: UInt64
    let isLeaf: Bool
    let count: Int

    init(_ page: Page, _ number: UInt64) throws {
        self.page = page
        self.number = number
        isLeaf = page.flags == Page.leaf
        guard page.number == number, isLeaf || page.flags == Page.branch else {
            throw StructureFault("page \(number) says that it is page \(page.number) of kind \(page.flags)")
        }
        let size = PageFile.pageOctets
        guard page.lower >= Page.header, page.lower % 2 == 0, page.lower <= page.upper, page.upper <= size else {
            throw StructureFault("page \(number) has its bounds at \(page.lower) and \(page.upper)")
        }
        count = page.count
        var used = 0
        for index in 0..<count {
            let start = offset(index)
            guard start >= page.upper, start % 2 == 0, start + Self.nodeHeader <= size else {
                throw StructureFault("page \(number): node \(index) lies outside")
            }
            let length = Self.nodeHeader + keyOctets(index) + inlineOctets(index)
            guard start + length <= size else { throw StructureFault("page \(number): node \(index) is too long") }
            used += (length + 1) & ~1
        }
        guard used == size - page.upper else { throw StructureFault("page \(number): its nodes do not fill it") }
    }

    private func offset(_ index: Int) -> Int { Int(page.integer(Page.header + 2 * index) as UInt16) }
    private func keyOctets(_ index: Int) -> Int { Int(page.integer(offset(index) + 6) as UInt16) }
    private func flags(_ index: Int) -> UInt16 { page.integer(offset(index) + 4) }

    /// Octets of the value, also of one in an overflow run.
    func valueOctets(_ index: Int) -> Int {
        let low: UInt16 = page.integer(offset(index))
        let high: UInt16 = page.integer(offset(index) + 2)
        return Int(low) | Int(high) << 16
    }

    private func inlineOctets(_ index: Int) -> Int {
        guard isLeaf else { return 0 }
        return flags(index) & Self.bigData != 0 ? 8 : valueOctets(index)
    }

    private func valueStart(_ index: Int) -> Int { offset(index) + Self.nodeHeader + keyOctets(index) }

    func key(_ index: Int) -> ArraySlice<UInt8> {
        let start = offset(index) + Self.nodeHeader
        return page.bytes[start..<(start + keyOctets(index))]
    }

    /// Of a branch: the page below a node.
    func child(_ index: Int) throws -> UInt64 {
        guard !isLeaf else { throw StructureFault("page \(number) is a leaf above its depth") }
        return UInt64(valueOctets(index)) | UInt64(flags(index)) << 32
    }

    /// Of a leaf: the first page of the overflow run that holds the value, if one does.
    func overflow(_ index: Int) throws -> UInt64? {
        guard flags(index) & ~(Self.bigData | Self.subTree) == 0 else {
            throw StructureFault("page \(number): node \(index) is of a kind that this store never writes")
        }
        return flags(index) & Self.bigData != 0 ? page.integer(valueStart(index)) : nil
    }

    /// Of a leaf of the main tree: the tree that a name stands for.
    func tree(_ index: Int) throws -> TreeRecord {
        guard flags(index) == Self.subTree, valueOctets(index) == TreeRecord.octets else {
            throw StructureFault("page \(number): node \(index) of the main tree names no tree")
        }
        return TreeRecord(page, valueStart(index))
    }

    func isPlain(_ index: Int) -> Bool { flags(index) & Self.subTree == 0 }

    /// Of a leaf of the tree of free pages: the transaction that freed them.
    func transaction(_ index: Int) throws -> UInt64 {
        guard keyOctets(index) == 8 else { throw StructureFault("page \(number): no transaction number") }
        return page.integer(offset(index) + Self.nodeHeader)
    }

    /// Octets of a value held in the page.
    func inlineValue(_ index: Int) -> ArraySlice<UInt8> {
        page.bytes[valueStart(index)..<(valueStart(index) + valueOctets(index))]
    }
}

/// Walks the trees of one meta page and ticks off every page.
final class TreeWalk {
    private enum Kind { case free, main, rows }

    private struct Counts {
        var branches: UInt64 = 0
        var leaves: UInt64 = 0
        var overflows: UInt64 = 0
        var entries: UInt64 = 0
    }

    private static let depthMax = 32
    private let file: PageFile
    private let meta: MetaRecord
    private var seen: [Bool]
    private var counts = Counts()
    private var trees: [TreeRecord] = []
    private var freed: [UInt64] = []
    private var lastKey: [UInt8]?

    init(_ file: PageFile, _ meta: MetaRecord) {
        self.file = file
        self.meta = meta
        seen = [Bool](repeating: false, count: Int(meta.lastPage) + 1)
    }

    func run() throws {
        try mark(0)
        try mark(1)
        try walk(meta.free, .free)
        try walk(meta.main, .main)
        for tree in trees { try walk(tree, .rows) }
        for page in freed { try mark(page) }
        if let lost = seen.firstIndex(of: false) { throw StructureFault("page \(lost) is in no tree and not free") }
    }

    private func mark(_ page: UInt64) throws {
        guard page < UInt64(seen.count) else { throw StructureFault("page \(page) is behind the last one in use") }
        guard !seen[Int(page)] else { throw StructureFault("page \(page) is in two places") }
        seen[Int(page)] = true
    }

    private func walk(_ tree: TreeRecord, _ kind: Kind) throws {
        counts = Counts()
        lastKey = nil
        guard tree.depth <= Self.depthMax else { throw StructureFault("a tree of depth \(tree.depth)") }
        guard kind != .rows || tree.flags == 0 else { throw StructureFault("a tree of a kind we do not make") }
        if tree.root == TreeRecord.none {
            guard tree.depth == 0 else { throw StructureFault("a tree with a depth and no root") }
        } else {
            try visit(tree.root, Int(tree.depth), kind, from: nil, below: nil)
        }
        guard counts.branches == tree.branchPages, counts.leaves == tree.leafPages,
            counts.overflows == tree.overflowPages, counts.entries == tree.entries
        else { throw StructureFault("the tree at page \(tree.root) does not count what it holds") }
    }

    private func visit(
        _ number: UInt64, _ depth: Int, _ kind: Kind, from low: [UInt8]?, below high: [UInt8]?
    ) throws {
        try mark(number)
        let page = try NodePage(try file.page(number), number)
        guard page.isLeaf == (depth == 1), page.count > 0 else {
            throw StructureFault("page \(number) is empty or at the wrong depth")
        }
        guard page.isLeaf else {
            counts.branches += 1
            let keys = (0..<page.count).map { Array(page.key($0)) }
            for index in 0..<page.count {
                // The first key of a branch is never looked at and may be empty.
                let start = index == 0 ? low : keys[index]
                let end = index + 1 < page.count ? keys[index + 1] : high
                try visit(try page.child(index), depth - 1, kind, from: start, below: end)
            }
            return
        }
        counts.leaves += 1
        for index in 0..<page.count {
            let key = Array(page.key(index))
            let ascends = lastKey.map { Self.precedes($0, key, kind) } ?? true
            let isAbove = low.map { !Self.precedes(key, $0, kind) } ?? true
            let isBelow = high.map { Self.precedes(key, $0, kind) } ?? true
            guard ascends, isAbove, isBelow else {
                throw StructureFault("page \(number): key \(index) is out of order")
            }
            lastKey = key
            counts.entries += 1
            try take(page, index, kind, number)
        }
    }

    private static func precedes(_ a: [UInt8], _ b: [UInt8], _ kind: Kind) -> Bool {
        // Transactions are compared as numbers, everything else as octets.
        kind == .free ? a.reversed().lexicographicallyPrecedes(b.reversed()) : a.lexicographicallyPrecedes(b)
    }

    private func take(_ page: NodePage, _ index: Int, _ kind: Kind, _ number: UInt64) throws {
        var value = [UInt8]()
        if let first = try page.overflow(index) {
            let octets = Page.header + page.valueOctets(index)
            value = try run(first, octets: octets, keeping: kind == .free)
        } else if kind == .free {
            value = Array(page.inlineValue(index))
        }
        switch kind {
        case .main: trees.append(try page.tree(index))
        case .rows: guard page.isPlain(index) else { throw StructureFault("page \(number): a row that is a tree") }
        case .free:
            guard try page.transaction(index) <= meta.transaction else {
                throw StructureFault("page \(number): pages freed by a transaction to come")
            }
            try free(value, number)
        }
    }

    /// Pages of an overflow run; only the first has a header.
    private func run(_ first: UInt64, octets: Int, keeping: Bool) throws -> [UInt8] {
        let pages = (octets + PageFile.pageOctets - 1) / PageFile.pageOctets
        var bytes: [UInt8] = []
        for index in 0..<pages {
            let number = first &+ UInt64(index)
            try mark(number)
            guard keeping || index == 0 else { continue }
            let page = try file.page(number)
            let begins = page.number == number && page.flags == Page.overflow && Int(page.runPages) == pages
            guard index > 0 || begins else {
                throw StructureFault("page \(number) does not begin the run of \(pages) pages that a row names")
            }
            if keeping { bytes += page.bytes }
        }
        counts.overflows += UInt64(pages)
        return keeping ? Array(bytes[Page.header..<octets]) : []
    }

    /// A list of free pages: their count, then their numbers, descending.
    private func free(_ value: [UInt8], _ number: UInt64) throws {
        let words = value.withUnsafeBytes { bytes in
            (0..<(bytes.count / 8)).map { index in
                UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self))
            }
        }
        guard let count = words.first, count < UInt64(words.count) else {
            throw StructureFault("page \(number): a list of free pages with a wrong count")
        }
        let pages = words[1...].prefix(Int(count))
        guard zip(pages, pages.dropFirst()).allSatisfy({ $0 > $1 }) else {
            throw StructureFault("page \(number): a list of free pages out of order")
        }
        freed += pages
    }
}
