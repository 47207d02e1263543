/// A run of octets of a stored message.
package struct OctetRange: Hashable, Sendable {
    package var offset: Int
    package var count: Int

    package init(offset: Int, count: Int) {
        self.offset = offset
        self.count = count
    }

    package init(from start: Int, to end: Int) { self.init(offset: start, count: end - start) }

    /// The offset after the last octet.
    package var end: Int { offset + count }

    /// The octets that a partial fetch asks for (RFC 9051 section 6.4.5): cut at the end, empty beyond it.
    package func part(from origin: Int, count wanted: Int) -> OctetRange {
        let skipped = Swift.min(Swift.max(0, origin), count)
        return OctetRange(offset: offset + skipped, count: Swift.min(Swift.max(0, wanted), count - skipped))
    }
}
