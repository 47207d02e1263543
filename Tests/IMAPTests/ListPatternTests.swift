import IMAP
import InputSupport
import Testing

/// RFC 9051 section 6.3.9 written down as plainly as possible.
private func naive(_ name: ArraySlice<UInt8>, _ pattern: ArraySlice<UInt8>) -> Bool {
    guard let first = pattern.first else { return name.isEmpty }
    let rest = pattern.dropFirst()
    switch first {
    case UInt8(ascii: "*"): return naive(name, rest) || !name.isEmpty && naive(name.dropFirst(), pattern)
    case UInt8(ascii: "%"):
        return naive(name, rest) || name.first.map { $0 != 47 } == true && naive(name.dropFirst(), pattern)
    default: return name.first == first && naive(name.dropFirst(), rest)
    }
}

@Suite struct ListPatternTests {
    @Test(arguments: [
        ("", "*", "a/b/c", true),
        ("", "%", "a", true),
        ("", "%", "a/b", false),
        ("", "%/%", "a/b", true),
        ("a/", "%", "a/b", true),
        ("a/", "%", "a/b/c", false),
        ("a", "*", "abc/d", true),
        ("", "%c", "abc", true),
        ("", "a%c/*e", "abc/d/e", true),
        ("", "*%", "a/b", true),
        ("", "inbox", "INBOX", true),
        ("", "iNb*", "INBOX", true),
        ("", "inbox/%", "INBOX/x", true),
        ("", "inbox/X", "INBOX/x", false),
        ("", "x/inbox", "x/INBOX", false),
        ("", "ünter%", "ünterlagen", true),
        ("", "", "a", false),
        ("", "a*b", "a", false),
        ("\0", "*", "a", false),
    ])
    func match(_ reference: String, _ pattern: String, _ name: String, _ matches: Bool) {
        #expect(ListPattern(reference: reference, pattern: pattern).matches(name) == matches)
    }

    @Test(arguments: 0..<20)
    func againstThePlainRule(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<300 {
            let name = String(
                (0..<Int.random(in: 1...8, using: &random)).map { _ in "ab/".randomElement(using: &random)! })
            let pattern = String(
                (0..<Int.random(in: 0...6, using: &random)).map { _ in "ab/*%*%".randomElement(using: &random)! })
            let expected = naive(Array(name.utf8)[...], Array(pattern.utf8)[...])
            #expect(
                ListPattern(reference: "", pattern: pattern).matches(name) == expected,
                "seed \(seed): \(name) by \(pattern)")
        }
    }

    /// A pattern that makes a walk with two ways at each step take years.
    @Test func noPatternIsDear() {
        let pattern = ListPattern(reference: "", pattern: String(repeating: "*a", count: 2_000))
        #expect(!pattern.matches(String(repeating: "a", count: 200) + "b"))
    }
}
