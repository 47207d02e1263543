// UID sets as runs: count, then for each run the distance from the end of the last, and its length less one.
import MailTypes
import Octets

/// Octets of the set in this coding.
func uidSetOctets(_ uids: UIDSet) -> Int {
    var octets = varintOctets(UInt64(uids.runs.count))
    var end: UInt32 = 0
    for run in uids.runs {
        octets += uidRunOctets(run, after: end)
        end = run.upperBound
    }
    return octets
}

func uidRunOctets(_ run: ClosedRange<UInt32>, after end: UInt32) -> Int {
    varintOctets(UInt64(run.lowerBound - end)) + varintOctets(UInt64(run.upperBound - run.lowerBound))
}

extension ByteWriter {
    mutating func uidSet(_ uids: UIDSet) { uidRuns(uids.runs[...]) }

    mutating func uidRuns(_ runs: ArraySlice<ClosedRange<UInt32>>) {
        varint(UInt64(runs.count))
        var end: UInt32 = 0
        for run in runs {
            varint(UInt64(run.lowerBound - end))
            varint(UInt64(run.upperBound - run.lowerBound))
            end = run.upperBound
        }
    }
}

extension ByteReader {
    /// Refuses zero, overlapping and adjacent runs, so that a set has one encoding.
    mutating func uidSet() throws(FormatError) -> UIDSet {
        let count = try varint()
        guard count <= UInt64(remaining / 2) else { throw .invalid("more runs than bytes") }
        var runs: [ClosedRange<UInt32>] = []
        runs.reserveCapacity(Int(count))
        var end: UInt64 = 0
        for _ in 0..<count {
            let distance = try varint()
            let length = try varint()
            guard distance >= (end == 0 ? 1 : 2), distance <= UInt32.max, length < UInt32.max else {
                throw .invalid("run of UIDs")
            }
            let first = end + distance
            let last = first + length
            guard last <= UInt32.max else { throw .invalid("run of UIDs") }
            runs.append(UInt32(first)...UInt32(last))
            end = last
        }
        guard let uids = UIDSet(validating: runs) else { throw .invalid("runs of UIDs") }
        return uids
    }
}
