import Digests
import Testing

@Suite("SHA-256 and SHA-1")
struct SHA256Tests {
    /// FIPS 180-4 examples (NIST, "Examples with Intermediate Values") and the empty message.
    static let vectors: [(message: [UInt8], digest: String)] = [
        ([], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (Array("abc".utf8), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (
            [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        ),
    ]

    @Test(arguments: vectors.indices)
    func published(_ index: Int) {
        let vector = Self.vectors[index]
        #expect(SHA256Digest.of(vector.message).description == vector.digest)
        #expect(SHA256Digest.of(vector.message).bytes == octets(vector.digest))
    }

    @Test("SHA-1 of FIPS 180-4")
    func sha1() {
        #expect(hexadecimal(SHA1.digest(Array("abc".utf8))) == "a9993e364706816aba3e25717850c26c9cd0d89d")
        #expect(hexadecimal(SHA1.digest([])) == "da39a3ee5e6b4b0d3255bfef95601890afd80709")
    }

    @Test("pieces give the digest of the whole, wherever it is cut")
    func pieces() {
        let message = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let whole = SHA256Digest.of(message)
        for cut in 0...message.count {
            #expect(SHA256Digest.of(Array(message[..<cut]), Array(message[cut...])) == whole)
        }
        message.withUnsafeBytes { bytes in
            let head = UnsafeRawBufferPointer(rebasing: bytes[..<100])
            let tail = UnsafeRawBufferPointer(rebasing: bytes[100...])
            #expect(SHA256Digest.of(head, UnsafeRawBufferPointer(start: nil, count: 0), tail) == whole)
        }
    }

    @Test("a copy of a hasher goes its own way")
    func fork() {
        var hasher = SHA256Hasher()
        hasher.update(Array("ab".utf8))
        let fork = hasher
        hasher.update(Array("c".utf8))
        #expect(hasher.finalize() == SHA256Digest.of(Array("abc".utf8)))
        #expect(fork.finalize() == SHA256Digest.of(Array("ab".utf8)))
        // finalize leaves the hasher usable.
        hasher.update(Array("d".utf8))
        #expect(hasher.finalize() == SHA256Digest.of(Array("abcd".utf8)))
    }

    @Test("a digest is exactly 32 octets and keeps their order")
    func digestBytes() throws {
        let bytes = Array(UInt8(0)..<32)
        let digest = try #require(SHA256Digest(bytes: bytes))
        #expect(digest.bytes == bytes)
        #expect(digest.description == hexadecimal(bytes))
        #expect(SHA256Digest(bytes: Array(bytes.dropLast())) == nil)
        #expect(SHA256Digest(bytes: bytes + [0]) == nil)
        #expect(SHA256Digest.zero.bytes == [UInt8](repeating: 0, count: 32))
        #expect(MemoryLayout<SHA256Digest>.size == 32)
        var hasher = SHA256Hasher()
        hasher.update(digest)
        #expect(hasher.finalize() == SHA256Digest.of(bytes))
    }
}
