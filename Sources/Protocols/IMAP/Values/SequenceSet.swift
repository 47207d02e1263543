import MailTypes

/// A `sequence-set` (RFC 9051 section 9) as the client wrote it: numbers and ranges in any order, `*` for the last one,
/// `$` for what the last search saved (RFC 5182, section 6.4.4.1 of RFC 9051).
package struct SequenceSet: Equatable, Sendable {
    /// Two bounds in either order; 0 stands for `*`, which no number can be.
    package struct Element: Equatable, Sendable {
        package var first: UInt32
        package var last: UInt32

        package init(_ first: UInt32, _ last: UInt32) {
            self.first = first
            self.last = last
        }
    }

    package var elements: [Element]
    /// `$` is among them.
    package var includesSaved: Bool

    package init(_ elements: [Element], includesSaved: Bool = false) {
        self.elements = elements
        self.includesSaved = includesSaved
    }

    /// Every message: `1:*`.
    package static let all = SequenceSet([Element(1, 0)])
    /// What the last search saved: `$`.
    package static let saved = SequenceSet([], includesSaved: true)

    /// `*` is among them.
    package var includesLast: Bool { elements.contains { $0.first == 0 || $0.last == 0 } }
    package var isAll: Bool { !includesSaved && elements == Self.all.elements }

    /// The UIDs meant, `$` left to the caller. `*` is the last message's UID, also where that is lower than the other
    /// bound.
    ///
    /// - Parameter last: the highest UID in the mailbox; nil when it is empty. Then `*` means UIDNEXT, which no message
    ///   has, so only numbers are left.
    package func uids(last: UID?) -> UIDSet {
        UIDSet(validating: runs(last: last?.rawValue ?? 0)) ?? UIDSet()
    }

    /// The message numbers meant as ascending, disjoint, non-adjacent runs, `$` left to the caller; nil when one is above
    /// `count`, or `*` stands in an empty mailbox: the command is then BAD (RFC 9051 section 9, `seq-number`).
    package func sequenceNumbers(count: UInt32) -> [ClosedRange<UInt32>]? {
        for element in elements {
            if element.first > count || element.last > count { return nil }
            if count == 0 { return nil }
        }
        return runs(last: count)
    }

    private func runs(last: UInt32) -> [ClosedRange<UInt32>] {
        var runs: [ClosedRange<UInt32>] = []
        runs.reserveCapacity(elements.count)
        for element in elements {
            let (a, b) = (element.first == 0 ? last : element.first, element.last == 0 ? last : element.last)
            // Only in an empty mailbox, where `n:*` means nothing that is there.
            if a == 0 || b == 0 { continue }
            runs.append(min(a, b)...max(a, b))
        }
        return SequenceSet.normalized(runs)
    }

    /// Sorted and merged.
    static func normalized(_ runs: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        if runs.count < 2 { return runs }
        var result: [ClosedRange<UInt32>] = []
        result.reserveCapacity(runs.count)
        for run in runs.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            guard let previous = result.last, UInt64(run.lowerBound) <= UInt64(previous.upperBound) + 1 else {
                result.append(run)
                continue
            }
            result[result.count - 1] = previous.lowerBound...max(previous.upperBound, run.upperBound)
        }
        return result
    }
}

extension SequenceSet: CustomStringConvertible {
    package var description: String {
        func number(_ value: UInt32) -> String { value == 0 ? "*" : String(value) }
        var parts = elements.map { $0.first == $0.last ? number($0.first) : number($0.first) + ":" + number($0.last) }
        if includesSaved { parts.append("$") }
        return parts.joined(separator: ",")
    }
}
