import Glibc

extension UnsafeRawBufferPointer {
    /// Where `octet` first stands within `range`, found with the C library's vector search.
    @inlinable
    @inline(__always)
    package func firstIndex(of octet: UInt8, in range: Range<Int>) -> Int? {
        guard !range.isEmpty, let base = baseAddress,
            let found = memchr(base + range.lowerBound, Int32(octet), range.count)
        else { return nil }
        return base.distance(to: UnsafeRawPointer(found))
    }
}
