import Glibc

/// Gives every LF the CR that it lacks, over octets that come in pieces; what has one stays.
package struct LineEnds {
    private var endsInReturn = false
    private var repaired: [UInt8] = []

    package init() {}

    /// - Parameter write: gets the octets, borrowed, once for each call that brings some.
    package mutating func pass(
        _ octets: UnsafeRawBufferPointer, to write: (UnsafeRawBufferPointer) throws -> Void
    ) rethrows {
        guard let base = octets.baseAddress, octets.count > 0 else { return }
        var start = 0
        var position = 0
        repaired.removeAll(keepingCapacity: true)
        while position < octets.count, let found = memchr(base + position, 0x0A, octets.count - position) {
            let feed = base.distance(to: UnsafeRawPointer(found))
            let hasReturn = feed > 0 ? octets[feed - 1] == 0x0D : endsInReturn
            if !hasReturn {
                if repaired.isEmpty { repaired.reserveCapacity(octets.count + octets.count / 16) }
                repaired.append(contentsOf: octets[start..<feed])
                repaired.append(0x0D)
                start = feed
            }
            position = feed + 1
        }
        endsInReturn = octets[octets.count - 1] == 0x0D
        if start == 0, repaired.isEmpty { return try write(octets) }
        repaired.append(contentsOf: octets[start...])
        try repaired.withUnsafeBytes { try write($0) }
    }
}
