import Digests
import Octets
import Testing

@testable import MessageAuthentication

@Suite struct CanonicalizationTests {
    /// The canonical body, found by the hash of what is expected.
    private func hash(_ body: String, _ form: Canonicalization, piece: Int = .max, octetsMax: UInt64? = nil)
        -> SHA256Digest?
    {
        var hasher = BodyHasher(form, octetsMax: octetsMax)
        var rest = Array(body.utf8)[...]
        while !rest.isEmpty {
            hasher.update(Array(rest.prefix(piece)))
            rest = rest.dropFirst(min(piece, rest.count))
        }
        return hasher.finish()
    }

    @Test("The examples of RFC 6376 section 3.4.5: header")
    func headerExamples() {
        let (first, second) = ("A: X\r\n", "B : Y\t\r\n\tZ  \r\n")
        #expect(String(decoding: Canonicalization.relaxed.header(first.utf8), as: UTF8.self) == "a:X\r\n")
        #expect(String(decoding: Canonicalization.relaxed.header(second.utf8), as: UTF8.self) == "b:Y Z\r\n")
        #expect(Canonicalization.simple.header(second.utf8) == Array(second.utf8))
    }

    @Test(
        "Bodies have one canonical form however they are cut",
        arguments: [
            // RFC 6376 section 3.4.5.
            (" C \r\nD \t E\r\n\r\n\r\n", Canonicalization.relaxed, " C\r\nD E\r\n"),
            (" C \r\nD \t E\r\n\r\n\r\n", .simple, " C \r\nD \t E\r\n"),
            // Sections 3.4.3 and 3.4.4: nothing, and nothing but empty lines.
            ("", .simple, "\r\n"), ("", .relaxed, ""), ("\r\n\r\n\r\n", .simple, "\r\n"), ("\r\n\r\n", .relaxed, ""),
            (" \t\r\n  \r\n", .relaxed, ""), (" \r\n", .simple, " \r\n"),
            // Without a last line end.
            ("a", .simple, "a\r\n"), ("a \t", .relaxed, "a\r\n"), ("a\r\n\r\nb", .relaxed, "a\r\n\r\nb\r\n"),
            // What is no line end is an octet like others.
            ("a\rb\nc\r", .simple, "a\rb\nc\r\r\n"), ("a \rb\r\r\n", .relaxed, "a \rb\r\r\n"),
            ("a\r\n \r\n\t\r\nb \t c\r\n \r\n", .relaxed, "a\r\n\r\n\r\nb c\r\n"),
        ])
    func bodies(_ body: String, _ form: Canonicalization, _ canonical: String) {
        for piece in [1, 2, 3, 5, 1_000] {
            #expect(hash(body, form, piece: piece) == SHA256Digest.of(Array(canonical.utf8)), "pieces of \(piece)")
        }
    }

    @Test("The hashes of an empty body are those of the RFC")
    func emptyHashes() {
        #expect(hash("", .simple).map { Base64.encode($0.bytes) } == "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=")
        #expect(hash("", .relaxed).map { Base64.encode($0.bytes) } == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
    }

    @Test("A length cuts the canonical body, and a body that is shorter has no hash")
    func length() {
        for piece in [1, 3, 100] {
            #expect(hash("ab  c\r\nd\r\n", .relaxed, piece: piece, octetsMax: 4) == SHA256Digest.of(Array("ab c".utf8)))
            #expect(hash("ab\r\n\r\n", .simple, piece: piece, octetsMax: 0) == SHA256Digest.of([]))
            #expect(hash("ab\r\n\r\n", .simple, piece: piece, octetsMax: 5) == nil)
        }
    }

    @Test("Cuts never matter", arguments: 0..<40)
    func property(_ seed: UInt64) {
        var state = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let alphabet = Array("a \t\r\nb".utf8)
        var body: [UInt8] = []
        for _ in 0..<(Int(seed) * 17) {
            state = state &* 6_364_136_223_846_793_005 &+ 1
            body += (state >> 33) % 4 == 0 ? [13, 10] : [alphabet[Int((state >> 40) % 6)]]
        }
        for form in [Canonicalization.simple, .relaxed] {
            let text = String(decoding: body, as: UTF8.self)
            let whole = hash(text, form)
            for piece in [1, 2, 7, 64] { #expect(hash(text, form, piece: piece) == whole, "seed \(seed)") }
        }
    }

    @Test("A run of empty lines is counted, not kept, and comes back when something follows")
    func manyEmptyLines() {
        let many = String(repeating: "\r\n", count: 20_000)
        #expect(hash("a\r\n" + many, .simple) == hash("a", .simple))
        #expect(hash("a\r\n" + many + "b", .simple) == SHA256Digest.of(Array(("a\r\n" + many + "b\r\n").utf8)))
    }
}
