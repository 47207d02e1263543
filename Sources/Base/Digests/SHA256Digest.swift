/// A SHA-256 digest (FIPS 180-4): 32 bytes held inline, so that a table of digests is one block of memory.
public struct SHA256Digest: Hashable, Sendable {
    /// Length of a digest in octets.
    public static let octets = 32

    /// All zero bits: stands for "no digest", as before the first seal of a log.
    public static let zero = SHA256Digest(words: (0, 0, 0, 0))

    /// The 32 octets in order, as four words in memory order (not as numbers).
    @usableFromInline let word0: UInt64
    @usableFromInline let word1: UInt64
    @usableFromInline let word2: UInt64
    @usableFromInline let word3: UInt64

    @inlinable
    init(words: (UInt64, UInt64, UInt64, UInt64)) {
        (word0, word1, word2, word3) = words
    }

    /// The digest that `bytes` are, or nil when there are not exactly 32 of them.
    @inlinable
    public init?(bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 32 else { return nil }
        self.init(words: bytes.loadUnaligned(as: (UInt64, UInt64, UInt64, UInt64).self))
    }

    /// The digest that `bytes` are, or nil when there are not exactly 32 of them.
    @inlinable
    public init?(bytes: [UInt8]) {
        guard let digest = bytes.withUnsafeBytes({ SHA256Digest(bytes: $0) }) else { return nil }
        self = digest
    }

    /// Calls `body` with the 32 octets, which it must not keep.
    @inlinable
    public func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        var words = (word0, word1, word2, word3)
        return try withUnsafeBytes(of: &words, body)
    }

    /// A copy of the 32 octets.
    public var bytes: [UInt8] { withBytes { [UInt8]($0) } }
}

extension SHA256Digest: CustomStringConvertible {
    /// 64 lower-case hexadecimal digits.
    public var description: String {
        withBytes { octets in
            String(unsafeUninitializedCapacity: 64) { text in
                for (index, octet) in octets.enumerated() {
                    text[index * 2] = Self.digit(octet >> 4)
                    text[index * 2 + 1] = Self.digit(octet & 15)
                }
                return 64
            }
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? value + 48 : value + 87 }
}
