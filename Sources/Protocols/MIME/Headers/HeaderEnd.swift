/// Finds where a header ends, however its octets are cut up: behind the first line that is LF or CR LF and nothing else.
/// Nothing behind it is looked at.
package struct HeaderEnd: Sendable {
    private enum Line { case empty, carriageReturn, filled }

    private var line = Line.empty
    /// Octets that `find` has looked at.
    private var position = 0

    package init() {}

    /// - Parameter octets: the header from its start, longer at each call.
    /// - Returns: how many octets the header has, the empty line included; nil while it is not to be seen.
    package mutating func find(in octets: [UInt8]) -> Int? {
        let start = position
        position = octets.count
        return octets[start...].withUnsafeBytes { take($0) }.map { start + $0 }
    }

    /// - Parameter piece: the next octets.
    /// - Returns: how many of them are the header's, the empty line included; nil where all are and it goes on.
    package mutating func take(_ piece: UnsafeRawBufferPointer) -> Int? {
        for (index, octet) in piece.enumerated() {
            if octet == 10 {
                if line != .filled { return index + 1 }
                line = .empty
            } else {
                line = octet == 13 && line == .empty ? .carriageReturn : .filled
            }
        }
        return nil
    }
}
