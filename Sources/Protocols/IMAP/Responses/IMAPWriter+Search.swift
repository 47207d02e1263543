import MIME
import MailTypes

/// SEARCH, ESEARCH, SORT and THREAD (RFC 9051 section 7.3.4, RFC 5256 section 4). What they are made of is
/// numbers of messages or UIDs, as the command wanted.
extension IMAPWriter {
    /// SEARCH (RFC 3501 section 7.2.5), with the highest MODSEQ of what was found where a key asked for it (RFC 7162
    /// section 3.1.5).
    package mutating func search(_ found: [ClosedRange<UInt32>], modSeq: UInt64? = nil) {
        bytes.put("* SEARCH")
        for run in found {
            for number in run {
                bytes.put(Ascii.space)
                bytes.put(decimal: number)
            }
        }
        endSearch(found.isEmpty ? nil : modSeq)
    }

    /// SORT (RFC 5256 section 4).
    package mutating func sort(_ order: some Sequence<UInt32>, modSeq: UInt64? = nil) {
        bytes.put("* SORT")
        var isEmpty = true
        for number in order {
            isEmpty = false
            bytes.put(Ascii.space)
            bytes.put(decimal: number)
        }
        endSearch(isEmpty ? nil : modSeq)
    }

    private mutating func endSearch(_ modSeq: UInt64?) {
        if let modSeq {
            bytes.put(" (MODSEQ ")
            bytes.put(decimal: modSeq)
            bytes.put(Ascii.close)
        }
        bytes.putLineEnd()
    }

    /// ESEARCH (RFC 4731 section 3.1). Only what the options ask for, and nothing of it where nothing was found, but
    /// COUNT.
    ///
    /// - Parameters:
    ///   - found: ascending, disjoint runs.
    ///   - order: for a SORT, which gives the first and the last in its order, and ALL in it too (RFC 5267 section 3);
    ///     `found` has the same numbers.
    ///   - modSeq: of those that MIN and MAX name where only these are asked for, else of all (RFC 7162 section 3.1.10).
    package mutating func esearch(
        tag: String, isUID: Bool, _ found: [ClosedRange<UInt32>], _ options: SearchReturn, order: [UInt32]? = nil,
        modSeq: UInt64? = nil
    ) {
        bytes.put("* ESEARCH (TAG ")
        bytes.put(string: tag, usesUTF8: false)
        bytes.put(Ascii.close)
        if isUID { bytes.put(" UID") }
        if let first = order?.first ?? found.first?.lowerBound, let last = order?.last ?? found.last?.upperBound {
            if options.contains(.min) {
                bytes.put(" MIN ")
                bytes.put(decimal: first)
            }
            if options.contains(.max) {
                bytes.put(" MAX ")
                bytes.put(decimal: last)
            }
            if options.contains(.all) {
                bytes.put(" ALL ")
                if let order { bytes.put(set: Self.runs(inOrder: order)) } else { bytes.put(set: found) }
            }
        }
        if options.contains(.count) {
            bytes.put(" COUNT ")
            bytes.put(decimal: UInt64(found.reduce(0) { $0 + $1.count }))
        }
        if let modSeq, !found.isEmpty {
            bytes.put(" MODSEQ ")
            bytes.put(decimal: modSeq)
        }
        bytes.putLineEnd()
    }

    /// Numbers in their order as runs of rising neighbours.
    private static func runs(inOrder order: [UInt32]) -> [ClosedRange<UInt32>] {
        var runs: [ClosedRange<UInt32>] = []
        for number in order {
            if let last = runs.last, number > 0, last.upperBound == number - 1 {
                runs[runs.count - 1] = last.lowerBound...number
            } else {
                runs.append(number...number)
            }
        }
        return runs
    }

    /// THREAD (RFC 5256 section 4).
    package mutating func thread(_ threads: ThreadForest) {
        bytes.put("* THREAD")
        if !threads.roots.isEmpty {
            bytes.put(Ascii.space)
            threads.write(into: &bytes)
        }
        bytes.putLineEnd()
    }
}
