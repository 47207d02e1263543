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
        ("X: \u{FC}", "X: =?utf-8?b?w7w=?="), ("To: \"\u{FC}\r\n", "To: =?utf-8?b?w7w=?=\r\n"),
        // The name of the field is none of its text.
        ("Subject:\u{FC}\r\n", "Subject: =?utf-8?b?w7w=?=\r\n"),
        // In text quotes and delimiters are text.
        ("Subject: \"\u{FC}\"\r\n", "Subject: =?utf-8?b?IsO8Ig==?=\r\n"),
        ("Subject: a,\u{FC};b c\r\n", "Subject: =?utf-8?b?YSzDvDti?= c\r\n"),
        // A backslash takes its meaning from the quote behind it (RFC 5322 section 3.2.4), wherever it stands.
        ("From: \"a \\\"\u{FC}\\\" b\" <j@x>\r\n", "From: =?utf-8?b?YSAiw7wiIGI=?= <j@x>\r\n"),
        ("From: \"\u{FC}\\\\\" <j@x>\r\n", "From: =?utf-8?b?w7xc?= <j@x>\r\n"),
        ("From: \"a\\\"b\" <\u{FC}@x>\r\n", "From: \"a\\\"b\" <=?utf-8?b?w7w=?=@x>\r\n"),
        // The space between two lines is text, where both have encoded words.
        ("Subject: \u{FC}\r\n \u{F6}\r\nX: y\r\n", "Subject: =?utf-8?b?w7wgw7Y=?=\r\nX: y\r\n"),
        // So is the one beside an encoded word that was there before.
        (
            "Subject: \u{FC} =?utf-8?q?a?= \u{F6} b\r\n",
            "Subject: =?utf-8?b?w7wg?= =?utf-8?q?a?= =?utf-8?b?IMO2?= b\r\n"
        ),
        // RFC 2231 section 4: an encoded word has no place in a parameter.
        (
            "Content-Disposition: attachment;\r\n filename=\"\u{FC} \\\"1\\\".pdf\"; size=3\r\n",
            "Content-Disposition: attachment;\r\n filename*=utf-8''%C3%BC%20%221%22.pdf; size=3\r\n"
        ),
        ("Content-Type: a/b; name=\u{FC};x=y\r\n", "Content-Type: a/b; name*=utf-8''%C3%BC;x=y\r\n"),
        ("Content-Type: \u{FC}/b; x=\"y;\"\r\n", "Content-Type: ??/b; x=\"y;\"\r\n"),
    ])
    func inASCII(_ header: String, _ expected: String) { #expect(Self.surrogate(header) == expected) }

    @Test func whatNeedsNothing() {
        #expect(Self.surrogate("Subject: plain\r\n\r\n") == nil)
        #expect(HeaderSurrogate.make(Array("Subject: ".utf8) + [0xFC, 13, 10]) == nil, "no UTF-8")
    }

    /// Of a header that is too long to be looked at whole.
    @Test func whatNeedsUTF8() {
        let letter = Array("Subject: \u{FC}".utf8)
        #expect(HeaderSurrogate.needsUTF8(beginning: letter))
        #expect(HeaderSurrogate.needsUTF8(beginning: letter + Array("\u{1F4EE}".utf8).dropLast()), "cut within")
        #expect(!HeaderSurrogate.needsUTF8(beginning: Array("Subject: u".utf8)))
        #expect(!HeaderSurrogate.needsUTF8(beginning: Array("Subject: ".utf8) + [0xFC, 0x20, 0x61, 0x61]), "Latin-1")
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
