import MIME

/// Tells a message's header from its body as they stream by, and holds the header.
struct HeaderSplitter: Sendable {
    /// With the empty line that ends it; nil when it is longer than `headerOctetsMax`.
    private(set) var octets: [UInt8]? = []
    /// Octets of the header with its empty line, held or not.
    private(set) var count = 0
    private(set) var isOpen = true
    private var end = HeaderEnd()

    /// Takes the next piece; what of it is body comes back.
    mutating func take(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        guard isOpen else { return bytes }
        let found = end.take(bytes)
        isOpen = found == nil
        let taken = found ?? bytes.count
        count += taken
        if count > CheckLimits.headerOctetsMax {
            octets = nil
        } else {
            octets?.append(contentsOf: bytes[..<taken])
        }
        return UnsafeRawBufferPointer(rebasing: bytes[taken...])
    }
}
