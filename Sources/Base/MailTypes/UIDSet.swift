/// A set of UIDs as ascending, disjoint, non-adjacent runs: the form in which events, change rows and views hold them.
public struct UIDSet: Hashable, Sendable {
    /// Ascending; between two runs at least one UID is missing.
    public private(set) var runs: [ClosedRange<UInt32>]

    public init() { runs = [] }

    public init(_ uid: UID) { runs = [uid.rawValue...uid.rawValue] }

    public init(_ range: ClosedRange<UID>) { runs = [range.lowerBound.rawValue...range.upperBound.rawValue] }

    /// From any order, with repeats.
    public init(_ uids: some Sequence<UID>) {
        runs = []
        for uid in uids.sorted() { insertAtEnd(uid) }
    }

    /// From runs that must already be ascending, disjoint and non-adjacent; nil when they are not.
    public init?(validating runs: [ClosedRange<UInt32>]) {
        var last: UInt64 = 0
        for (index, run) in runs.enumerated() {
            if index > 0, UInt64(run.lowerBound) <= last + 1 { return nil }
            if run.lowerBound == 0 { return nil }
            last = UInt64(run.upperBound)
        }
        self.runs = runs
    }

    public var isEmpty: Bool { runs.isEmpty }
    /// How many UIDs, not how many runs.
    public var count: Int { runs.reduce(0) { $0 + Int($1.upperBound - $1.lowerBound) + 1 } }
    public var first: UID? { runs.first.map { UID($0.lowerBound) } }
    public var last: UID? { runs.last.map { UID($0.upperBound) } }

    public func contains(_ uid: UID) -> Bool {
        var low = 0
        var high = runs.count
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].upperBound < uid.rawValue { low = middle + 1 } else { high = middle }
        }
        return low < runs.count && runs[low].lowerBound <= uid.rawValue
    }

    /// Adds a UID that is not below any in the set.
    public mutating func insertAtEnd(_ uid: UID) {
        guard let last = runs.last else { return runs.append(uid.rawValue...uid.rawValue) }
        precondition(uid.rawValue >= last.upperBound, "insertAtEnd out of order")
        if uid.rawValue == last.upperBound { return }
        if uid.rawValue - 1 == last.upperBound {
            runs[runs.count - 1] = last.lowerBound...uid.rawValue
        } else {
            runs.append(uid.rawValue...uid.rawValue)
        }
    }

    /// Adds a range that begins above all in the set.
    public mutating func insertAtEnd(_ range: ClosedRange<UID>) {
        insertAtEnd(range.lowerBound)
        runs[runs.count - 1] = runs[runs.count - 1].lowerBound...range.upperBound.rawValue
    }

    public mutating func insert(_ uid: UID) { formUnion(UIDSet(uid)) }
    public mutating func formUnion(_ other: UIDSet) { self = union(other) }
    public mutating func subtract(_ other: UIDSet) { self = subtracting(other) }

    public func union(_ other: UIDSet) -> UIDSet {
        if other.isEmpty { return self }
        if isEmpty { return other }
        var result: [ClosedRange<UInt32>] = []
        var a = runs[...]
        var b = other.runs[...]
        while let next = Self.popLower(&a, &b) {
            if let last = result.last, UInt64(next.lowerBound) <= UInt64(last.upperBound) + 1 {
                result[result.count - 1] = last.lowerBound...Swift.max(last.upperBound, next.upperBound)
            } else {
                result.append(next)
            }
        }
        return UIDSet(trusted: result)
    }

    public func intersection(_ other: UIDSet) -> UIDSet {
        var result: [ClosedRange<UInt32>] = []
        var i = 0
        var j = 0
        while i < runs.count, j < other.runs.count {
            let low = Swift.max(runs[i].lowerBound, other.runs[j].lowerBound)
            let high = Swift.min(runs[i].upperBound, other.runs[j].upperBound)
            if low <= high { result.append(low...high) }
            if runs[i].upperBound < other.runs[j].upperBound { i += 1 } else { j += 1 }
        }
        return UIDSet(trusted: result)
    }

    public func subtracting(_ other: UIDSet) -> UIDSet {
        if isEmpty || other.isEmpty { return self }
        var result: [ClosedRange<UInt32>] = []
        var j = 0
        for run in runs {
            var low = UInt64(run.lowerBound)
            let high = UInt64(run.upperBound)
            while j < other.runs.count, UInt64(other.runs[j].upperBound) < low { j += 1 }
            var k = j
            while k < other.runs.count, UInt64(other.runs[k].lowerBound) <= high {
                let hole = other.runs[k]
                if UInt64(hole.lowerBound) > low { result.append(UInt32(low)...(hole.lowerBound - 1)) }
                low = UInt64(hole.upperBound) + 1
                k += 1
            }
            if low <= high { result.append(UInt32(low)...UInt32(high)) }
        }
        return UIDSet(trusted: result)
    }

    /// The set cut into pieces of at most `count` UIDs, in order.
    public func chunks(of count: Int) -> [UIDSet] {
        precondition(count > 0)
        var pieces: [UIDSet] = []
        var piece: [ClosedRange<UInt32>] = []
        var room = count
        for run in runs {
            var low = UInt64(run.lowerBound)
            let high = UInt64(run.upperBound)
            while low <= high {
                let take = Swift.min(high - low + 1, UInt64(room))
                piece.append(UInt32(low)...UInt32(low + take - 1))
                low += take
                room -= Int(take)
                if room == 0 {
                    pieces.append(UIDSet(trusted: piece))
                    piece = []
                    room = count
                }
            }
        }
        if !piece.isEmpty { pieces.append(UIDSet(trusted: piece)) }
        return pieces
    }

    private init(trusted runs: [ClosedRange<UInt32>]) { self.runs = runs }

    private static func popLower(
        _ a: inout ArraySlice<ClosedRange<UInt32>>, _ b: inout ArraySlice<ClosedRange<UInt32>>
    ) -> ClosedRange<UInt32>? {
        guard let x = a.first else { return b.popFirst() }
        guard let y = b.first else { return a.popFirst() }
        return x.lowerBound <= y.lowerBound ? a.popFirst() : b.popFirst()
    }
}

extension UIDSet: Sequence {
    public struct Iterator: IteratorProtocol {
        let runs: [ClosedRange<UInt32>]
        var run = 0
        var next32: UInt32

        init(_ runs: [ClosedRange<UInt32>]) {
            self.runs = runs
            next32 = runs.first?.lowerBound ?? 0
        }

        public mutating func next() -> UID? {
            guard run < runs.count else { return nil }
            let uid = UID(next32)
            if next32 == runs[run].upperBound {
                run += 1
                if run < runs.count { next32 = runs[run].lowerBound }
            } else {
                next32 += 1
            }
            return uid
        }
    }

    public func makeIterator() -> Iterator { Iterator(runs) }
    public var underestimatedCount: Int { runs.count }
}

extension UIDSet: CustomStringConvertible {
    /// As an IMAP `uid-set` (RFC 9051 section 9): `1:4,7`.
    public var description: String {
        runs.map { $0.lowerBound == $0.upperBound ? "\($0.lowerBound)" : "\($0.lowerBound):\($0.upperBound)" }
            .joined(separator: ",")
    }
}
