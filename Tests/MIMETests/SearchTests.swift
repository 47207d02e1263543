// Looking for strings in messages, with the text of all parts decoded, whatever the pieces; and previews.
import MIME
import Testing

private func isFound(_ strings: [String], in message: [UInt8], headers: Bool = false, pieces: Int = 7) -> [Bool] {
    var search = TextSearch(strings.map { Array($0.utf8) })
    search.take(summary(message).structure, withHeaders: headers) { range, body in
        var offset = range.offset
        while offset < range.end {
            let end = min(range.end, offset + pieces)
            let more = Array(message[offset..<end]).withUnsafeBytes { body($0) }
            guard more else { return }
            offset = end
        }
    }
    return search.found
}

@Suite("Search in text")
struct SearchTests {
    private let message = crlf(
        """
        Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= from
         afar
        Content-Type: multipart/mixed; boundary=b

        preamble
        --b
        Content-Type: text/plain; charset=iso-8859-1
        Content-Transfer-Encoding: quoted-printable

        Stra=DFe nach K=F6ln, a wo=
        rd cut in two
        --b
        Content-Type: text/html; charset=utf-8
        Content-Transfer-Encoding: base64

        PGI+QmFzZSBTaXh0eSBGb3VyPC9iPg==
        --b
        Content-Type: application/octet-stream

        hidden
        --b
        Content-Type: message/rfc822

        Subject: inner words

        inner body
        --b
        Content-Type: message/delivery-status

        Reporting-MTA: dns; mta
        --b--
        """)

    @Test(
        "SEARCH BODY: decoded text of all parts, no headers (RFC 9051 section 6.4.4)", arguments: [1, 3, 7, 64, 10_000])
    func body(_ size: Int) {
        for (string, expected) in [
            ("straße nach KÖLN", true), ("a word cut", true), ("wo=", false), ("base sixty four", true), ("<B>", true),
            ("hidden", false), ("preamble", false), ("INNER BODY", true), ("inner words", false), ("afar", false),
            ("reporting-mta", true), ("", true), ("two<b>", false),
        ] {
            #expect(isFound([string], in: message, pieces: size) == [expected], "\(string)")
        }
    }

    @Test("SEARCH TEXT: headers too, those of parts included")
    func text() {
        #expect(
            isFound(
                ["grüße from afar", "inner words", "quoted-PRINTABLE", "subject: GRÜSSE", "hidden"], in: message,
                headers: true)
                == [true, true, true, false, false])
    }

    @Test("several strings, each on its own; an empty one always")
    func several() {
        #expect(isFound(["köln", "absent", "", "four"], in: message) == [true, false, true, true])
        #expect(isFound([""], in: []) == [true])
        var search = TextSearch([Array("a".utf8)])
        search.take(Array("xxA".utf8))
        #expect(search.isComplete)
        search.reset()
        #expect(!search.isComplete)
        // Not across texts.
        var across = TextSearch([Array("ab".utf8)])
        across.take(Array("a".utf8))
        across.endText()
        across.take(Array("b".utf8))
        #expect(!across.isComplete)
    }

    @Test("the search stops as soon as all is found")
    func stops() {
        let long = crlf("Subject: x\n\nneedle ") + [UInt8](repeating: 97, count: 1 << 20)
        var search = TextSearch([Array("needle".utf8)])
        var read = 0
        search.take(summary(long).structure, withHeaders: false) { range, body in
            var offset = range.offset
            while offset < range.end, Array(long[offset..<min(range.end, offset + 4096)]).withUnsafeBytes({ body($0) })
            {
                offset += 4096
                read += 4096
            }
        }
        #expect(search.isComplete && read == 0)
    }

    @Test("finding agrees with a plain search, on texts that repeat")
    func plain() {
        var state: UInt32 = 7
        func next(_ bound: Int) -> Int {
            state = state &* 1_664_525 &+ 1_013_904_223
            return Int(state >> 16) % bound
        }
        for _ in 0..<3000 {
            let text = (0..<next(60)).map { _ in UInt8(65 + next(2)) }
            let needle = (0..<(1 + next(6))).map { _ in UInt8(97 + next(2)) }
            let upper = needle.map { $0 - 32 }
            let expected =
                text.count >= upper.count
                && (0...(text.count - upper.count)).contains { Array(text[$0..<($0 + upper.count)]) == upper }
            for size in [1, 5, 100] {
                var search = TextSearch([needle])
                for start in stride(from: 0, to: text.count, by: size) {
                    search.take(Array(text[start..<min(text.count, start + size)]))
                }
                search.endText()
                #expect(search.isComplete == expected, "\(needle) in \(text)")
            }
        }
    }

    @Test("a string and a text that are all one letter take no longer than their length")
    func hostile() {
        let text = [UInt8](repeating: 97, count: 4 << 20)
        var search = TextSearch([
            [UInt8](repeating: 97, count: 60_000) + [98], [98] + [UInt8](repeating: 97, count: 60_000),
        ])
        search.take(text)
        search.endText()
        #expect(search.found == [false, false])
    }

    @Test("SEARCH HEADER and the fields of the envelope")
    func fields() {
        let header = crlf(
            "X-Tag: one\n two\nX-tag: =?utf-8?B?w6Q=?=\nTo: =?utf-8?Q?J=C3=BCrgen?= <j@example.test>, g: b@y;\nEmpty:\n\n"
        )
        func isIn(_ name: String, _ string: String) -> Bool {
            var search = TextSearch([Array(string.utf8)])
            return header.withUnsafeBytes { search.takeFields(Array(name.utf8), of: $0) } && search.isComplete
        }
        #expect(isIn("x-tag", "ONE two"))
        #expect(isIn("X-TAG", "Ä"))
        #expect(!isIn("x-tag", "two ä"))
        #expect(isIn("empty", ""))
        #expect(!isIn("absent", ""))
        let envelope = header.withUnsafeBytes { Envelope(header: $0) }
        func isIn(_ field: Envelope.Field, _ string: String) -> Bool {
            var search = TextSearch([Array(string.utf8)])
            envelope.bytes.withUnsafeBytes { search.take(field, of: $0) }
            return search.isComplete
        }
        #expect(isIn(.to, "jürgen <J@EXAMPLE.test>"))
        #expect(isIn(.to, "b@y"))
        #expect(!isIn(.cc, "jürgen"))
        #expect(!isIn(.subject, "a"))
    }
}

@Suite("Preview")
struct PreviewTests {
    private func preview(_ message: String) -> String {
        let message = crlf(message)
        guard let part = Preview.part(of: summary(message).structure) else { return "" }
        var preview = Preview(part)
        _ = Array(message[part.body.offset..<part.body.end]).withUnsafeBytes { preview.take($0) }
        return text(preview.finish())
    }

    @Test(
        "previews (RFC 8970 section 3.3)",
        arguments: [
            ("Subject: x\n\n  Hello,\n\n\tworld!  \n", "Hello, world!"),
            ("Subject: x\n\n> quoted\nanswer\n> more\n", "answer"),
            ("Subject: x\n\n> only\n> quoted\n", "> only > quoted"),
            ("Content-Type: image/png\n\nx\n", ""), ("Subject: x\n\n", ""),
            ("Content-Type: multipart/encrypted; boundary=b\n\n--b\n\nx\n--b--\n", ""),
            (
                "Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>html\n--b\n\nplain\n--b--\n",
                "plain"
            ),
            (
                "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Disposition: attachment\n\nnot this\n--b\n\nthis\n--b--\n",
                "this"
            ),
            (
                "Content-Type: text/html; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n"
                    + "<html><head><title>no</title><style>p { x }</style></head><!-- a > b --><body><p>Gr=FC=DFe &amp; "
                    + "&lt;K&uuml;sse&gt; &#8364;&#x21;<br>next<b>bold</b>er a < b &unknown; &</p><script>no</script></body>",
                "Grüße & <Küsse> €! nextbolder a < b &unknown; &"
            ),
            ("Subject: x\n\na\u{AD}b\u{FEFF}c\u{200B}d\n", "abcd"),
        ])
    func previews(_ row: (String, String)) {
        #expect(preview(row.0) == row.1)
    }

    @Test("200 characters, of which none is cut; little is read")
    func length() {
        let long = String(repeating: "ä😀", count: 400)
        #expect(
            preview("Content-Type: text/plain; charset=utf-8\n\n\(long)\n").unicodeScalars.count
                == MIMELimits.previewCharactersMax)
        var preview = Preview(summary(crlf("Subject: x\n\n")).structure.parts[0])
        let piece = [UInt8](repeating: 32, count: MIMELimits.previewSourceOctetsMax)
        let wants = piece.withUnsafeBytes { preview.take($0) }
        #expect(!wants)
    }
}
