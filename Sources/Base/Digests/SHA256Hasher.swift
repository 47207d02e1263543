internal import COpenSSL

/// SHA-256 over bytes that come in pieces.
///
/// The state is a value of some 110 bytes: copying the hasher forks the digest, and hashing allocates nothing. It uses
/// libcrypto's low-level functions because EVP looks up an implementation and allocates for every digest.
public struct SHA256Hasher: Sendable {
    private var context: SHA256_CTX

    public init() {
        context = SHA256_CTX()
        // The low-level functions fail only in a library built without SHA-256.
        precondition(ll_sha256_init(&context) == 1, "libcrypto has no SHA-256")
    }

    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0 else { return }
        precondition(ll_sha256_update(&context, bytes.baseAddress, bytes.count) == 1, "libcrypto failed in SHA-256")
    }

    public mutating func update(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { update($0) }
    }

    public mutating func update(_ digest: SHA256Digest) {
        digest.withBytes { update($0) }
    }

    /// The digest of all bytes so far. The hasher itself stays as it was: more may be added to it.
    public func finalize() -> SHA256Digest {
        var context = context
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &words) { out in
            let result = ll_sha256_final(out.bindMemory(to: UInt8.self).baseAddress, &context)
            precondition(result == 1, "libcrypto failed in SHA-256")
        }
        return SHA256Digest(words: words)
    }
}

extension SHA256Digest {
    /// The digest of `pieces` put end to end.
    public static func of(_ pieces: UnsafeRawBufferPointer...) -> SHA256Digest {
        var hasher = SHA256Hasher()
        for piece in pieces { hasher.update(piece) }
        return hasher.finalize()
    }

    /// The digest of `pieces` put end to end.
    public static func of(_ pieces: [UInt8]...) -> SHA256Digest {
        var hasher = SHA256Hasher()
        for piece in pieces { hasher.update(piece) }
        return hasher.finalize()
    }
}
