import Digests
import Testing

@Suite("HMAC, PBKDF2, comparison, random numbers")
struct KeyedDigestTests {
    /// RFC 4231 section 4, without the truncated case 5.
    static let hmacSHA256: [(key: [UInt8], message: [UInt8], code: String)] = [
        (
            [UInt8](repeating: 0x0B, count: 20), Array("Hi There".utf8),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        ),
        (
            Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        ),
        (
            [UInt8](repeating: 0xAA, count: 20), [UInt8](repeating: 0xDD, count: 50),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
        ),
        (
            Array(1...25), [UInt8](repeating: 0xCD, count: 50),
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"
        ),
        (
            [UInt8](repeating: 0xAA, count: 131),
            Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        ),
        (
            [UInt8](repeating: 0xAA, count: 131),
            Array(
                """
                This is a test using a larger than block-size key and a larger than block-size data. \
                The key needs to be hashed before being used by the HMAC algorithm.
                """.utf8),
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"
        ),
    ]

    @Test(arguments: hmacSHA256.indices)
    func hmacOfRFC4231(_ index: Int) {
        let vector = Self.hmacSHA256[index]
        #expect(HMACDigest.code(.sha256, key: vector.key, message: vector.message) == octets(vector.code))
    }

    @Test("HMAC-SHA-1 of RFC 2202 section 3")
    func hmacSHA1() {
        #expect(
            HMACDigest.code(.sha1, key: [UInt8](repeating: 0x0B, count: 20), message: Array("Hi There".utf8))
                == octets("b617318655057264e28bc0b6fb378c8ef146be00"))
        #expect(
            HMACDigest.code(.sha1, key: Array("Jefe".utf8), message: Array("what do ya want for nothing?".utf8))
                == octets("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"))
    }

    /// RFC 6070 section 2, without the case of 16,777,216 rounds; then RFC 7914 section 11 for SHA-256.
    static let pbkdf2: [(DigestAlgorithm, password: String, salt: String, rounds: Int, key: String)] = [
        (.sha1, "password", "salt", 1, "0c60c80f961f0e71f3a9b524af6012062fe037a6"),
        (.sha1, "password", "salt", 2, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"),
        (.sha1, "password", "salt", 4096, "4b007901b765489abead49d926f721d065a429c1"),
        (
            .sha1, "passwordPASSWORDpassword", "saltSALTsaltSALTsaltSALTsaltSALTsalt", 4096,
            "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038"
        ),
        (.sha1, "pass\0word", "sa\0lt", 4096, "56fa6aa75548099dcc37d7f03425e0c3"),
        (
            .sha256, "passwd", "salt", 1,
            """
            55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc
            49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783
            """
        ),
        (
            .sha256, "Password", "NaCl", 80000,
            """
            4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56
            a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d
            """
        ),
    ]

    @Test(arguments: pbkdf2.indices)
    func pbkdf2Published(_ index: Int) {
        let vector = Self.pbkdf2[index]
        let expected = octets(vector.key)
        let key = PBKDF2.derive(
            vector.0, password: Array(vector.password.utf8), salt: Array(vector.salt.utf8), iterations: vector.rounds,
            count: expected.count)
        #expect(key == expected)
    }

    @Test("an empty password is a password")
    func pbkdf2OfNothing() {
        let key = PBKDF2.derive(.sha256, password: [], salt: [1, 2, 3], iterations: 2, count: 32)
        // HMAC pads its key with zeros, so the empty key and a key of one zero octet are the same key.
        #expect(key == PBKDF2.derive(.sha256, password: [0], salt: [1, 2, 3], iterations: 2, count: 32))
        #expect(key != PBKDF2.derive(.sha256, password: [1], salt: [1, 2, 3], iterations: 2, count: 32))
    }

    @Test("constant-time comparison answers as == does")
    func comparison() {
        #expect(constantTimeEquals([], []))
        #expect(constantTimeEquals([1, 2, 3], [1, 2, 3]))
        #expect(!constantTimeEquals([1, 2, 3], [1, 2, 4]))
        #expect(!constantTimeEquals([0, 2, 3], [1, 2, 3]))
        #expect(!constantTimeEquals([1, 2], [1, 2, 3]))
        #expect(!constantTimeEquals([], [0]))
    }

    @Test("random octets come in the length asked for and differ")
    func random() {
        #expect(randomBytes(count: 0).isEmpty)
        #expect(randomBytes(count: 1).count == 1)
        let first = randomBytes(count: 32)
        #expect(first.count == 32)
        #expect(first != randomBytes(count: 32))
        var generator = SystemRandom()
        #expect(Set((0..<100).map { _ in generator.next() }).count == 100)
    }
}
