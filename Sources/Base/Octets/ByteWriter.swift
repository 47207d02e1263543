/// Appends integers, varints and byte runs to one growing array.
///
/// Every format of the store is written with it, so the byte order is in the name of the method and never implied.
public struct ByteWriter: Sendable {
    /// What has been written so far.
    public var bytes: [UInt8]

    @inlinable
    public init(capacity: Int = 0) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    @inlinable public var count: Int { bytes.count }

    @inlinable
    public mutating func u8(_ value: UInt8) { bytes.append(value) }

    /// Little-endian, the order of values.
    @inlinable
    public mutating func le<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// Big-endian, the order of keys, so that bytes sort as numbers do.
    @inlinable
    public mutating func be<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    /// Unsigned LEB128: seven bits a byte, least significant first; at most 10 bytes.
    @inlinable
    public mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    @inlinable
    public mutating func raw(_ run: some Collection<UInt8>) { bytes.append(contentsOf: run) }

    @inlinable
    public mutating func raw(_ run: UnsafeRawBufferPointer) { bytes.append(contentsOf: run) }

    @inlinable
    public mutating func zeros(_ count: Int) { bytes.append(contentsOf: repeatElement(0, count: count)) }

    /// Overwrites what stands at `offset`; the range must have been written before.
    @inlinable
    public mutating func patchLE<T: FixedWidthInteger>(_ value: T, at offset: Int) {
        precondition(offset >= 0 && offset + MemoryLayout<T>.size <= bytes.count)
        withUnsafeBytes(of: value.littleEndian) { source in
            for (index, byte) in source.enumerated() { bytes[offset + index] = byte }
        }
    }
}
