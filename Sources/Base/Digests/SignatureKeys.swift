// Keys that sign and verify digests: RSA with PKCS #1 v1.5 padding (RFC 8017 section 8.2) and Ed25519 (RFC 8032).
//
// What is signed is a SHA-256 digest that the caller computed: a message is hashed as it streams by, and only its digest
// comes here. Ed25519 signs the digest as if it were the message, as RFC 8463 section 3 asks.
internal import COpenSSL

/// The two kinds of key.
public enum SignatureAlgorithm: String, Hashable, Sendable, CaseIterable {
    case rsa
    case ed25519
}

/// Lets go of a key of libcrypto with the last of its owners.
// libcrypto allows several threads to use one key at a time; the pointer never changes.
private final class KeyPointer: @unchecked Sendable {
    let pointer: OpaquePointer
    let algorithm: SignatureAlgorithm

    /// Takes over `pointer`; nil when it is none, or a key of another kind.
    init?(_ pointer: OpaquePointer?) {
        guard let pointer else {
            ERR_clear_error()
            return nil
        }
        self.pointer = pointer
        switch EVP_PKEY_get_id(pointer) {
        case EVP_PKEY_RSA: algorithm = .rsa
        case EVP_PKEY_ED25519: algorithm = .ed25519
        default:
            // What is not whole has no deinit.
            EVP_PKEY_free(pointer)
            return nil
        }
    }

    deinit { EVP_PKEY_free(pointer) }
}

/// A key that verifies.
public struct VerifyingKey: Sendable {
    private let key: KeyPointer

    /// An RSA key as SubjectPublicKeyInfo, which everybody publishes, or as the RSAPublicKey that RFC 6376 section 3.6.1
    /// names; nil when the octets are neither.
    public init?(rsa octets: [UInt8]) {
        guard let key = KeyPointer(Self.read(octets)), key.algorithm == .rsa else { return nil }
        self.key = key
    }

    /// The 32 octets of an Ed25519 key.
    public init?(ed25519 octets: [UInt8]) {
        guard octets.count == 32,
            let key = KeyPointer(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, octets, octets.count))
        else { return nil }
        self.key = key
    }

    fileprivate init(_ key: KeyPointer) { self.key = key }

    public var algorithm: SignatureAlgorithm { key.algorithm }
    /// Of the modulus, or 256 or so for Ed25519.
    public var bits: Int { Int(EVP_PKEY_get_bits(key.pointer)) }

    /// Whether `signature` is one of `digest`, 32 octets of SHA-256, by this key.
    public func verifies(_ signature: [UInt8], of digest: [UInt8]) -> Bool {
        defer { ERR_clear_error() }
        switch key.algorithm {
        case .rsa:
            guard let context = rsaContext(key, EVP_PKEY_verify_init) else { return false }
            defer { EVP_PKEY_CTX_free(context) }
            return EVP_PKEY_verify(context, signature, signature.count, digest, digest.count) == 1
        case .ed25519:
            guard let context = EVP_MD_CTX_new() else { return false }
            defer { EVP_MD_CTX_free(context) }
            return EVP_DigestVerifyInit(context, nil, nil, nil, key.pointer) == 1
                && EVP_DigestVerify(context, signature, signature.count, digest, digest.count) == 1
        }
    }

    /// What a key record publishes: SubjectPublicKeyInfo for RSA, 32 octets for Ed25519.
    public var published: [UInt8] {
        switch key.algorithm {
        case .rsa:
            return der { i2d_PUBKEY(key.pointer, $0) }
        case .ed25519:
            var octets = [UInt8](repeating: 0, count: 32)
            var count = octets.count
            precondition(EVP_PKEY_get_raw_public_key(key.pointer, &octets, &count) == 1 && count == 32)
            return octets
        }
    }

    private static func read(_ octets: [UInt8]) -> OpaquePointer? {
        octets.withUnsafeBufferPointer { buffer -> OpaquePointer? in
            guard let base = buffer.baseAddress else { return nil }
            var position: UnsafePointer<UInt8>? = base
            if let key = d2i_PUBKEY(nil, &position, buffer.count) { return key }
            position = base
            return d2i_PublicKey(EVP_PKEY_RSA, nil, &position, buffer.count)
        }
    }
}

/// A key that signs. Nothing prints it.
public struct SigningKey: Sendable, CustomStringConvertible, CustomReflectable {
    private let key: KeyPointer

    /// A new key; `bits` is for RSA alone.
    public static func generate(_ algorithm: SignatureAlgorithm, bits: Int = 2_048) -> SigningKey {
        let kind = algorithm == .rsa ? EVP_PKEY_RSA : EVP_PKEY_ED25519
        let context = EVP_PKEY_CTX_new_id(kind, nil)
        defer { EVP_PKEY_CTX_free(context) }
        var made: OpaquePointer?
        precondition(EVP_PKEY_keygen_init(context) == 1, "libcrypto makes no keys")
        if algorithm == .rsa { precondition(EVP_PKEY_CTX_set_rsa_keygen_bits(context, Int32(bits)) == 1) }
        precondition(EVP_PKEY_keygen(context, &made) == 1, "libcrypto makes no keys")
        guard let key = KeyPointer(made) else { preconditionFailure("libcrypto made another kind of key") }
        return SigningKey(key)
    }

    /// From what `secret` gave, or any PKCS #8 or PKCS #1 key in DER.
    public init?(secret octets: [UInt8]) {
        let pointer = octets.withUnsafeBufferPointer { buffer -> OpaquePointer? in
            var position = buffer.baseAddress
            return d2i_AutoPrivateKey(nil, &position, buffer.count)
        }
        guard let key = KeyPointer(pointer) else { return nil }
        self.init(key)
    }

    /// From a file of PEM without a passphrase.
    public init?(pem octets: [UInt8]) {
        guard let reader = BIO_new_mem_buf(octets, Int32(clamping: octets.count)) else { return nil }
        defer { BIO_free(reader) }
        // Without a callback libcrypto asks for a passphrase on the terminal.
        guard let key = KeyPointer(PEM_read_bio_PrivateKey(reader, nil, { _, _, _, _ in 0 }, nil)) else { return nil }
        self.init(key)
    }

    /// The 32 octets of an Ed25519 key.
    public init?(ed25519 octets: [UInt8]) {
        guard octets.count == 32,
            let key = KeyPointer(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, octets, octets.count))
        else { return nil }
        self.init(key)
    }

    private init(_ key: KeyPointer) { self.key = key }

    public var algorithm: SignatureAlgorithm { key.algorithm }
    public var verifyingKey: VerifyingKey { VerifyingKey(key) }

    /// The key in DER (PKCS #8): a secret.
    public var secret: [UInt8] {
        let wrapped = EVP_PKEY2PKCS8(key.pointer)
        defer { PKCS8_PRIV_KEY_INFO_free(wrapped) }
        return der { i2d_PKCS8_PRIV_KEY_INFO(wrapped, $0) }
    }

    /// The signature of `digest`, 32 octets of SHA-256. Takes a millisecond for RSA: keep it off event loops.
    public func sign(_ digest: [UInt8]) -> [UInt8] {
        var count = Int(EVP_PKEY_get_size(key.pointer))
        var signature = [UInt8](repeating: 0, count: count)
        switch key.algorithm {
        case .rsa:
            let context = rsaContext(key, EVP_PKEY_sign_init)
            defer { EVP_PKEY_CTX_free(context) }
            precondition(EVP_PKEY_sign(context, &signature, &count, digest, digest.count) == 1, "RSA does not sign")
        case .ed25519:
            let context = EVP_MD_CTX_new()
            defer { EVP_MD_CTX_free(context) }
            precondition(EVP_DigestSignInit(context, nil, nil, nil, key.pointer) == 1, "Ed25519 does not sign")
            precondition(EVP_DigestSign(context, &signature, &count, digest, digest.count) == 1)
        }
        return Array(signature.prefix(count))
    }

    public var description: String { "SigningKey(\(algorithm.rawValue), redacted)" }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// What one of libcrypto's functions for DER writes of a key.
private func der(_ write: (UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>) -> Int32) -> [UInt8] {
    var start: UnsafeMutablePointer<UInt8>?
    let count = write(&start)
    precondition(count > 0 && start != nil, "libcrypto does not write a key that it holds")
    defer { ll_free(start) }
    return Array(UnsafeBufferPointer(start: start, count: Int(count)))
}

/// A context for digests of SHA-256 in PKCS #1 v1.5; nil when libcrypto refuses the key.
private func rsaContext(_ key: KeyPointer, _ begin: (OpaquePointer?) -> Int32) -> OpaquePointer? {
    guard let context = EVP_PKEY_CTX_new(key.pointer, nil) else { return nil }
    guard begin(context) == 1, EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1,
        EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1
    else {
        EVP_PKEY_CTX_free(context)
        return nil
    }
    return context
}
