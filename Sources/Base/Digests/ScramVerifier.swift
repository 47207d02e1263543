/// What a server keeps of a password for SCRAM (RFC 5802 section 3, RFC 7677): enough to check a login, not enough to
/// log in elsewhere.
///
///     SaltedPassword = PBKDF2(password, salt, iterations)
///     ClientKey = HMAC(SaltedPassword, "Client Key")     StoredKey = H(ClientKey)
///     ServerKey = HMAC(SaltedPassword, "Server Key")
///
/// The same value checks a password given in the clear (PLAIN, POP3 PASS): one secret per account and digest.
/// Its textual form belongs to Authentication.
public struct ScramVerifier: Hashable, Sendable {
    /// The least count RFC 5802 section 5.1 lets a server announce.
    public static let iterationsMin = 4096
    /// Far above anything sensible: a bound on what one login may cost.
    public static let iterationsMax = 10_000_000
    /// Longest salt that is kept, in octets.
    public static let saltOctetsMax = 1024
    /// Longest password that is looked at, in octets.
    public static let passwordOctetsMax = 4096

    public let algorithm: DigestAlgorithm
    public let iterations: Int
    public let salt: [UInt8]
    public let storedKey: [UInt8]
    public let serverKey: [UInt8]

    /// A verifier from its parts, or nil when a length or the count is outside its range.
    public init?(
        algorithm: DigestAlgorithm, iterations: Int, salt: [UInt8], storedKey: [UInt8], serverKey: [UInt8]
    ) {
        guard (Self.iterationsMin...Self.iterationsMax).contains(iterations),
            (1...Self.saltOctetsMax).contains(salt.count),
            storedKey.count == algorithm.octets, serverKey.count == algorithm.octets
        else { return nil }
        self.algorithm = algorithm
        self.iterations = iterations
        self.salt = salt
        self.storedKey = storedKey
        self.serverKey = serverKey
    }

    /// The verifier of a password that `SASLprep` has prepared, or nil when the password, salt or count is outside its
    /// range. Costs `iterations` rounds of HMAC: keep it off event loops.
    public static func make(
        _ algorithm: DigestAlgorithm, password: [UInt8], salt: [UInt8], iterations: Int
    ) -> ScramVerifier? {
        guard password.count <= passwordOctetsMax, (1...saltOctetsMax).contains(salt.count),
            (iterationsMin...iterationsMax).contains(iterations)
        else { return nil }
        let keys = ScramKeys(algorithm, password: password, salt: salt, iterations: iterations)
        return ScramVerifier(
            algorithm: algorithm, iterations: iterations, salt: salt,
            storedKey: algorithm.digest(keys.clientKey), serverKey: keys.serverKey)
    }

    /// Whether `password`, prepared by `SASLprep`, is the one this verifier was made from. As slow as `make`.
    public func verify(password: [UInt8]) -> Bool {
        guard password.count <= Self.passwordOctetsMax else { return false }
        let keys = ScramKeys(algorithm, password: password, salt: salt, iterations: iterations)
        return constantTimeEquals(algorithm.digest(keys.clientKey), storedKey)
    }

    /// Whether `clientProof` (p= of the client's last message) proves the password for this `authMessage`.
    public func accepts(clientProof: [UInt8], authMessage: [UInt8]) -> Bool {
        guard clientProof.count == algorithm.octets else { return false }
        let signature = HMACDigest.code(algorithm, key: storedKey, message: authMessage)
        let clientKey = zip(clientProof, signature).map { $0 ^ $1 }
        return constantTimeEquals(algorithm.digest(clientKey), storedKey)
    }

    /// The server's proof to the client (v= of the server's last message).
    public func serverSignature(authMessage: [UInt8]) -> [UInt8] {
        HMACDigest.code(algorithm, key: serverKey, message: authMessage)
    }
}

/// What both sides say at the end of a login by SCRAM, as the client computes it.
public struct ScramProof: Hashable, Sendable {
    /// `p=` of the client's last message.
    public let client: [UInt8]
    /// `v=` of the server's last message, when it knows the password.
    public let server: [UInt8]

    /// The proofs of a password that `SASLprep` has prepared, or nil when the password, salt or count is outside its range.
    /// Costs `iterations` rounds of HMAC: keep it off event loops.
    public static func make(
        _ algorithm: DigestAlgorithm, password: [UInt8], salt: [UInt8], iterations: Int, authMessage: [UInt8]
    ) -> ScramProof? {
        guard password.count <= ScramVerifier.passwordOctetsMax,
            (1...ScramVerifier.saltOctetsMax).contains(salt.count),
            (ScramVerifier.iterationsMin...ScramVerifier.iterationsMax).contains(iterations)
        else { return nil }
        let keys = ScramKeys(algorithm, password: password, salt: salt, iterations: iterations)
        let signature = HMACDigest.code(
            algorithm, key: algorithm.digest(keys.clientKey), message: authMessage)
        return ScramProof(
            client: zip(keys.clientKey, signature).map { $0 ^ $1 },
            server: HMACDigest.code(algorithm, key: keys.serverKey, message: authMessage))
    }
}

/// The keys of one password: what a client computes. They never leave this room.
private struct ScramKeys {
    let clientKey: [UInt8]
    let serverKey: [UInt8]

    init(_ algorithm: DigestAlgorithm, password: [UInt8], salt: [UInt8], iterations: Int) {
        let salted = PBKDF2.derive(
            algorithm, password: password, salt: salt, iterations: iterations, count: algorithm.octets)
        clientKey = HMACDigest.code(algorithm, key: salted, message: Array("Client Key".utf8))
        serverKey = HMACDigest.code(algorithm, key: salted, message: Array("Server Key".utf8))
    }
}

// Whoever has a verifier can try passwords at leisure, so no description shows one.
extension ScramVerifier: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "ScramVerifier(redacted)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}
