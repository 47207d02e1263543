// RFC 6856: UTF8 and LANG, and what a client that knows neither gets.
import POP3
import Testing

@Suite struct UTF8Tests {
    private static func surrogate(_ header: String) -> String? {
        HeaderSurrogate.make(Array(header.utf8)).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test(arguments: [
        ("Subject: Gr\u{FC}\u{DF}e an alle\r\n\r\n", "Subject: =?utf-8?b?R3LDvMOfZQ==?= an alle\r\n\r\n"),
        ("Subject: \u{FC} \u{F6}\r\nX: y\r\n", "Subject: =?utf-8?b?w7wgw7Y=?=\r\nX: y\r\n"),
        ("From: \"J\u{F6}rg M\" <j@x>\r\n", "From: =?utf-8?b?SsO2cmcgTQ==?= <j@x>\r\n"),
        ("To: <j\u{F6}@b\u{FC}.test>, a@b\r\n", "To: <=?utf-8?b?asO2?=@=?utf-8?b?YsO8LnRlc3Q=?=>, a@b\r\n"),
        ("Subject: \u{FC}\n folded\n", "Subject: =?utf-8?b?w7w=?=\n folded\n"),
        ("X: \u{FC}", "X: =?utf-8?b?w7w=?="), ("X: \"\u{FC}\r\n", "X: =?utf-8?b?w7w=?=\r\n"),
    ])
    func inASCII(_ header: String, _ expected: String) { #expect(Self.surrogate(header) == expected) }

    @Test func whatNeedsNothing() {
        #expect(Self.surrogate("Subject: plain\r\n\r\n") == nil)
        #expect(HeaderSurrogate.make(Array("Subject: ".utf8) + [0xFC, 13, 10]) == nil, "no UTF-8")
    }

    /// RFC 2047 section 2: no encoded word over 75 octets, no character in two.
    @Test func longTexts() throws {
        let text = String(repeating: "\u{1F4EE}\u{E9}", count: 200)
        let made = try #require(Self.surrogate("Subject: \(text)\r\n"))
        let words = made.split(whereSeparator: { " \r\n".contains($0) || $0 == "\r\n" }).dropFirst()
        #expect(words.count > 20)
        for word in words {
            #expect(word.utf8.count <= 75 && word.hasPrefix("=?utf-8?b?") && word.hasSuffix("?="), "\(word)")
        }
    }
}
