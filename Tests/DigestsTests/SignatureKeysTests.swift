import Digests
import Testing

@Suite struct SignatureKeysTests {
    private static let digest = SHA256Digest.of(Array("abc".utf8)).bytes

    @Test("What a key signs its public half verifies, and nothing else", arguments: SignatureAlgorithm.allCases)
    func roundTrip(_ algorithm: SignatureAlgorithm) throws {
        let key = SigningKey.generate(algorithm)
        let signature = key.sign(Self.digest)
        #expect(key.verifyingKey.verifies(signature, of: Self.digest))
        #expect(!key.verifyingKey.verifies(signature, of: SHA256Digest.of([]).bytes))
        #expect(!SigningKey.generate(algorithm).verifyingKey.verifies(signature, of: Self.digest))
        var changed = signature
        changed[changed.count / 2] ^= 1
        #expect(!key.verifyingKey.verifies(changed, of: Self.digest))
        #expect(!key.verifyingKey.verifies([], of: Self.digest))
        let again = try #require(SigningKey(secret: key.secret))
        #expect(again.algorithm == algorithm && key.verifyingKey.verifies(again.sign(Self.digest), of: Self.digest))
        let published = key.verifyingKey.published
        let publicKey = algorithm == .rsa ? VerifyingKey(rsa: published) : VerifyingKey(ed25519: published)
        #expect(publicKey?.verifies(signature, of: Self.digest) == true)
        #expect(publicKey?.bits == (algorithm == .rsa ? 2_048 : 256) || algorithm == .ed25519)
    }

    @Test(
        "Octets that are no key are none",
        arguments: [[UInt8]](arrayLiteral: [], [48, 0], Array(repeating: 0, count: 31)))
    func noKeys(_ octets: [UInt8]) {
        #expect(VerifyingKey(rsa: octets) == nil && VerifyingKey(ed25519: octets) == nil)
        #expect(SigningKey(secret: octets) == nil && SigningKey(pem: octets) == nil)
    }

    @Test("An Ed25519 key is no RSA key")
    func otherKind() {
        #expect(VerifyingKey(rsa: SigningKey.generate(.ed25519).verifyingKey.published) == nil)
    }

    @Test("A signing key shows itself to nobody")
    func secrecy() {
        let key = SigningKey.generate(.ed25519)
        var text = ""
        dump(key, to: &text)
        #expect(
            "\(key) \(String(reflecting: key)) \(text)".contains("redacted") && Mirror(reflecting: key).children.isEmpty
        )
    }
}
