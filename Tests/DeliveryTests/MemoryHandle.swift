import EventStore

/// A body in memory.
final class MemoryHandle: BodyHandle {
    private let octets: [UInt8]
    init(_ octets: [UInt8]) { self.octets = octets }
    var size: Int { octets.count }
    func read(at offset: Int, count: Int, into bytes: inout [UInt8]) throws(StoreError) {
        bytes += octets[offset..<min(octets.count, offset + count)]
    }
}
