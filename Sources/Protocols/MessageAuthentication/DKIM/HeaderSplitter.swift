/// Tells a message's header from its body as they stream by, and holds the header.
struct HeaderSplitter: Sendable {
    /// With the empty line that ends it; nil when it is longer than `headerOctetsMax`.
    private(set) var octets: [UInt8]? = []
    /// Octets of the header with its empty line, held or not.
    private(set) var count = 0
    private(set) var isOpen = true
    private var lineOctets = 0

    /// Takes the next piece; what of it is body comes back.
    mutating func take(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        guard isOpen else { return bytes }
        var end = 0
        while end < bytes.count, isOpen {
            let octet = bytes[end]
            end += 1
            if octet == Ascii.lineFeed {
                isOpen = lineOctets > 0
                lineOctets = 0
            } else if octet != Ascii.carriageReturn {
                lineOctets += 1
            }
        }
        count += end
        if count > CheckLimits.headerOctetsMax {
            octets = nil
        } else {
            octets?.append(contentsOf: bytes[..<end])
        }
        return UnsafeRawBufferPointer(rebasing: bytes[end...])
    }
}
