/// What was wrong with bytes that should have been in a known format.
public enum FormatError: Error, Equatable, Sendable {
    /// The bytes ended `missing` bytes before the field did.
    case truncated(missing: Int)
    /// A field holds what its format does not allow; the text names the field and the rule, never its content.
    case invalid(String)
}

/// Reads what `ByteWriter` wrote, checking every length before it moves.
///
/// It borrows its buffer: it must not outlive the closure that handed the buffer out.
public struct ByteReader {
    public let buffer: UnsafeRawBufferPointer
    public var position: Int

    @inlinable
    public init(_ buffer: UnsafeRawBufferPointer) {
        self.buffer = buffer
        position = 0
    }

    @inlinable public var remaining: Int { buffer.count - position }
    @inlinable public var isAtEnd: Bool { position == buffer.count }

    @inlinable
    public mutating func advance(_ count: Int) throws(FormatError) -> Int {
        guard count >= 0, count <= buffer.count - position else {
            throw .truncated(missing: count - (buffer.count - position))
        }
        let start = position
        position += count
        return start
    }

    @inlinable
    public mutating func u8() throws(FormatError) -> UInt8 {
        buffer[try advance(1)]
    }

    @inlinable
    public mutating func le<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(FormatError) -> T {
        let start = try advance(MemoryLayout<T>.size)
        return T(littleEndian: buffer.loadUnaligned(fromByteOffset: start, as: T.self))
    }

    @inlinable
    public mutating func be<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(FormatError) -> T {
        let start = try advance(MemoryLayout<T>.size)
        return T(bigEndian: buffer.loadUnaligned(fromByteOffset: start, as: T.self))
    }

    /// Unsigned LEB128. Refuses more than 64 bits and forms longer than needed, so that one value has one encoding.
    @inlinable
    public mutating func varint() throws(FormatError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = try u8()
            if shift == 63, byte > 1 { throw .invalid("varint over 64 bits") }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 {
                if byte == 0, shift > 0 { throw .invalid("varint longer than needed") }
                return value
            }
            shift += 7
            if shift > 63 { throw .invalid("varint over 64 bits") }
        }
    }

    /// A varint that must fit in `type`.
    @inlinable
    public mutating func varint<T: FixedWidthInteger>(as type: T.Type) throws(FormatError) -> T {
        guard let value = T(exactly: try varint()) else { throw .invalid("varint out of range") }
        return value
    }

    /// The next `count` bytes, still in the borrowed buffer.
    @inlinable
    public mutating func slice(_ count: Int) throws(FormatError) -> UnsafeRawBufferPointer {
        let start = try advance(count)
        return UnsafeRawBufferPointer(rebasing: buffer[start..<(start + count)])
    }

    /// A copy of the next `count` bytes.
    @inlinable
    public mutating func array(_ count: Int) throws(FormatError) -> [UInt8] {
        [UInt8](try slice(count))
    }

    /// The next `count` bytes as text; refuses what is not UTF-8.
    @inlinable
    public mutating func text(_ count: Int) throws(FormatError) -> String {
        let run = try slice(count)
        guard let text = String(validating: run, as: UTF8.self) else { throw .invalid("text that is not UTF-8") }
        return text
    }

    @inlinable
    public mutating func skip(_ count: Int) throws(FormatError) { _ = try advance(count) }
}
