internal import COpenSSL

/// The digests that keyed constructions are built on here.
public enum DigestAlgorithm: String, Hashable, Sendable, CaseIterable {
    case sha1 = "SHA-1"
    case sha256 = "SHA-256"

    /// Length of a digest in octets.
    public var octets: Int {
        switch self {
        case .sha1: 20
        case .sha256: 32
        }
    }

    var evp: OpaquePointer? {
        switch self {
        case .sha1: EVP_sha1()
        case .sha256: EVP_sha256()
        }
    }

    /// The digest of `bytes`.
    public func digest(_ bytes: [UInt8]) -> [UInt8] {
        switch self {
        case .sha1: SHA1.digest(bytes)
        case .sha256: SHA256Digest.of(bytes).bytes
        }
    }
}

/// SHA-1 (FIPS 180-4). Kept for SCRAM-SHA-1, whose security does not rest on collisions; nothing new is built on it.
public enum SHA1 {
    public static func digest(_ bytes: [UInt8]) -> [UInt8] {
        var count: UInt32 = 0
        var out = [UInt8](repeating: 0, count: DigestAlgorithm.sha1.octets)
        let result = EVP_Digest(bytes, bytes.count, &out, &count, DigestAlgorithm.sha1.evp, nil)
        precondition(result == 1 && Int(count) == out.count, "libcrypto failed in SHA-1")
        return out
    }
}

/// HMAC (RFC 2104).
public enum HMACDigest {
    /// The code of `message` under `key`, `algorithm.octets` long. Neither has a limit of its own below 2 GiB.
    public static func code(_ algorithm: DigestAlgorithm, key: [UInt8], message: [UInt8]) -> [UInt8] {
        var count: UInt32 = 0
        var out = [UInt8](repeating: 0, count: algorithm.octets)
        let result = HMAC(algorithm.evp, key, Int32(key.count), message, message.count, &out, &count)
        precondition(result != nil && Int(count) == out.count, "libcrypto failed in HMAC")
        return out
    }
}

/// PBKDF2 with HMAC (RFC 8018 section 5.2). Slow on purpose: keep it off event loops.
public enum PBKDF2 {
    /// `count` octets of key from `password`. `iterations` and `count` are at least 1.
    public static func derive(
        _ algorithm: DigestAlgorithm, password: [UInt8], salt: [UInt8], iterations: Int, count: Int
    ) -> [UInt8] {
        precondition(iterations >= 1 && iterations <= Int32.max && count >= 1, "PBKDF2 needs positive counts")
        var out = [UInt8](repeating: 0, count: count)
        let result = password.withUnsafeBytes { secret in
            PKCS5_PBKDF2_HMAC(
                // An empty array may give a null pointer, which libcrypto reads as the empty password.
                secret.bindMemory(to: CChar.self).baseAddress, Int32(password.count), salt, Int32(salt.count),
                Int32(iterations), algorithm.evp, Int32(count), &out)
        }
        precondition(result == 1, "libcrypto failed in PBKDF2")
        return out
    }
}

/// Whether two byte strings are equal, in a time that depends on their lengths only.
public func constantTimeEquals(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count else { return false }
    return CRYPTO_memcmp(left, right, left.count) == 0
}
