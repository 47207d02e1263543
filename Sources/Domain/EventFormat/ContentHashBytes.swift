import Digests
import MailTypes

// A ContentHash holds the 32 octets of a SHA-256 digest as four words in memory order, as SHA256Digest does.
extension ContentHash {
    /// The digest as the domain carries it.
    package init(_ digest: SHA256Digest) {
        self = digest.withBytes { ContentHash(bytes: $0) }
    }

    /// From exactly 32 octets.
    package init(bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count == 32)
        self.init(
            bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self),
            bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
            bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self),
            bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
    }

    /// The same as a digest.
    package var digest: SHA256Digest {
        withUnsafeBytes(of: words) { SHA256Digest(bytes: $0) ?? .zero }
    }
}
