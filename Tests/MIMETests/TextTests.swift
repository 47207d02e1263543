// Transfer encodings, charsets, encoded words, case mapping: RFC examples and broken mail, whole and in pieces.
import MIME
import Testing

private func pieces(_ bytes: [UInt8], _ size: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
    for start in stride(from: 0, to: bytes.count, by: size) {
        Array(bytes[start..<min(bytes.count, start + size)]).withUnsafeBytes { body($0) }
    }
}

private func decode(_ encoding: TransferEncoding, _ text: [UInt8], endsLines: Bool = false, size: Int) -> [UInt8] {
    var decoder = TransferDecoder(encoding, endsLines: endsLines)
    var out: [UInt8] = []
    pieces(text, size) { decoder.decode($0, into: &out) }
    decoder.finish(into: &out)
    return out
}

@Suite("Text")
struct TextTests {
    @Test("a charset with an endless name is none")
    func charsetName() {
        let most = MIMELimits.charsetNameOctetsMax
        #expect(Charset.isKnown(Array("utf-8".utf8)))
        #expect(!Charset.isKnown(Array(String(repeating: "u", count: most).utf8)))
        #expect(!Charset.isKnown(Array(String(repeating: "u", count: most + 1).utf8)))
        #expect(!Charset.isKnown([]))
    }

    @Test(
        "base64",
        arguments: [
            ("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar"),
            ("Zm9v\r\nYmFy\r\n", "foobar"),
            // No padding, padding too early, octets of no meaning, what cannot be a whole octet.
            ("Zg", "f"), ("Zm8", "fo"), ("Zg==Zg==", "ff"), ("Zm*9v", "foo"), ("Zm9vY", "foo"), ("====", ""),
        ])
    func base64(_ row: (String, String)) {
        for size in [1, 2, 3, 4, 5, 100] {
            #expect(text(decode(.base64, Array(row.0.utf8), size: size)) == row.1, "\(row.0) by \(size)")
        }
    }

    @Test(
        "quoted-printable",
        arguments: [
            (
                "Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.",
                "Now's the time for all folk to come to the aid of their country."
            ), ("a=3D=3db=C3=A4", "a==bä"), ("a \t\r\nb", "a\r\nb"), ("a=20\r\nb", "a \r\nb"), ("a= \t\r\nb", "ab"),
            ("a=\nb \nc", "ab\nc"), ("a=", "a"), ("a=4", "a=4"), ("a=4x=zb", "a=4x=zb"), ("a==41", "a=A"),
            ("a= b", "a= b"),
            ("a \rb", "a \rb"), ("a  ", "a"), ("a\r\n\r\n b", "a\r\n\r\n b"),
        ])
    func quotedPrintable(_ row: (String, String)) {
        for size in [1, 2, 3, 5, 100] {
            #expect(text(decode(.quotedPrintable, Array(row.0.utf8), size: size)) == row.1, "\(row.0) by \(size)")
        }
    }

    @Test("spaces over the limit are text, whatever the pieces")
    func manySpaces() {
        let line = Array(("a" + String(repeating: " ", count: MIMELimits.lineOctetsMax * 2) + "\r\nb").utf8)
        let whole = decode(.quotedPrintable, line, size: line.count)
        for size in [1, 1000, 8192, 8193] { #expect(decode(.quotedPrintable, line, size: size) == whole) }
        let soft = Array(("a=" + String(repeating: " ", count: MIMELimits.lineOctetsMax * 2) + "\r\nb").utf8)
        let softWhole = decode(.quotedPrintable, soft, size: soft.count)
        for size in [1, 1000, 8192] { #expect(decode(.quotedPrintable, soft, size: size) == softWhole) }
    }

    @Test("lines of text end with CRLF in BINARY (RFC 9051 section 7.5.2)")
    func lineEnds() {
        for size in [1, 2, 3, 100] {
            #expect(
                text(decode(.identity, Array("\na\r\nb\n\nc\r".utf8), endsLines: true, size: size))
                    == "\r\na\r\nb\r\n\r\nc\r")
            // a LF b CRLF
            #expect(text(decode(.base64, Array("YQpiDQo=".utf8), endsLines: true, size: size)) == "a\r\nb\r\n")
        }
        let part = summary(crlf("Content-Type: text/plain; charset=utf-16le\nContent-Transfer-Encoding: base64\n\n"))
            .structure.parts[0]
        var decoder = part.binaryDecoder
        var out: [UInt8] = []
        Array("YQAKAA==".utf8).withUnsafeBytes { decoder?.decode($0, into: &out) }
        decoder?.finish(into: &out)
        #expect(out == [0x61, 0, 0x0A, 0])
    }

    @Test("encodings that are not known")
    func unknownEncoding() {
        #expect(TransferEncoding(Array("x-uuencode".utf8)) == nil)
        #expect(TransferEncoding([]) == nil)
        for name in ["7BIT", "8bit", "Binary", "BASE64", "Quoted-Printable"] {
            #expect(TransferEncoding(Array(name.utf8)) != nil)
        }
        #expect(summary(crlf("Content-Transfer-Encoding: x\n\n")).structure.parts[0].binaryDecoder == nil)
    }

    @Test("encoded words: the examples of RFC 2047 section 8, and others", arguments: encodedWords)
    func words(_ row: (String, String)) {
        #expect(text(EncodedWords.decode(Array(row.0.utf8))) == row.1, "\(row.0)")
    }

    @Test("charsets by iconv")
    func charsets() {
        func decoded(_ charset: String, _ bytes: [UInt8], size: Int = 100) -> String {
            var decoder = Charset(Array(charset.utf8)).makeDecoder()
            var out: [UInt8] = []
            pieces(bytes, size) { decoder.decode($0, into: &out) }
            decoder.finish(into: &out)
            return text(out)
        }
        for size in [1, 2, 3, 100] {
            #expect(decoded("ISO-8859-1", [0x61, 0xE4, 0x62], size: size) == "aäb")
            #expect(decoded("windows-1252", [0x80], size: size) == "€")
            #expect(decoded("koi8-r", [0xC1, 0xC2], size: size) == "аб")
            #expect(decoded("shift_jis", [0x82, 0xA0, 0x61], size: size) == "あa")
            #expect(decoded("iso-2022-jp", Array("\u{1B}$B$\"\u{1B}(Ba".utf8), size: size) == "あa")
            #expect(decoded("utf-16be", [0xD8, 0x3D, 0xDE, 0x00], size: size) == "😀")
            #expect(decoded("gb18030", [0x81, 0x30, 0x84, 0x36], size: size) == "¥")
            // Octets that are of no character, and a character cut at the end.
            #expect(decoded("shift_jis", [0x61, 0x82], size: size) == "a\u{FFFD}")
            #expect(decoded("utf-16be", [0x00], size: size) == "\u{FFFD}")
            #expect(decoded("euc-jp", [0xFF, 0x61], size: size) == "\u{FFFD}a")
        }
        for same in [
            "", "us-ascii", "UTF-8", "no-such-charset", "utf-8//IGNORE", "../x", String(repeating: "x", count: 65),
        ] {
            #expect(decoded(same, [0x61, 0xC3, 0xA4]) == "aä", "\(same)")
        }
    }

    @Test("a search in a charset that is not known can be refused")
    func knownCharsets() {
        for name in ["US-ASCII", "utf-8", "iso-8859-15", "EUC-KR"] { #expect(Charset.isKnown(Array(name.utf8))) }
        for name in ["", "x-none", "utf-8//TRANSLIT", "a b"] { #expect(!Charset.isKnown(Array(name.utf8))) }
        #expect(Charset.utf8([0xE4], in: Array("iso-8859-1".utf8)) == Array("ä".utf8))
        #expect(Charset.utf8([0xE4], in: Array("utf-8".utf8)) == nil)
        #expect(Charset.utf8([0xFF], in: Array("euc-jp".utf8)) == nil)
    }

    @Test(
        "i;unicode-casemap (RFC 5051 section 2)",
        arguments: [
            ("aZ0é", "AZ0E\u{301}"), ("\u{1C4}", "Dz\u{30C}"), ("ß", "ß"), ("ÿ", "Y\u{308}"), ("ﬁ", "fi"),
            ("ωΩ", "ΩΩ"), ("яЯ", "ЯЯ"), ("Å", "A\u{30A}"), ("ǆ", "Dz\u{30C}"), ("Ⅷ", "VIII"), ("漢字", "漢字"), ("😀", "😀"),
            ("ạ\u{302}", "A\u{323}\u{302}"), ("µ", "Μ"), ("ａ", "A"), ("\u{10428}", "\u{10400}"), ("ё", "Е\u{308}"),
        ])
    func caseMap(_ row: (String, String)) {
        let folded = CaseFolder.fold(Array(row.0.utf8))
        #expect(folded == Array(row.1.utf8), "\(row.0)")
        for size in 1...4 {
            var folder = CaseFolder()
            var out: [UInt8] = []
            pieces(Array("x\(row.0)y".utf8), size) { folder.fold($0, into: &out) }
            folder.finish(into: &out)
            #expect(out == [88] + folded + [89])
        }
    }

    @Test("octets that are no UTF-8 stay")
    func invalid() {
        let broken: [UInt8] = [0x61, 0xFF, 0xC3, 0x61, 0xC0, 0x80, 0xED, 0xA0, 0x80, 0xE2, 0x82]
        let expected: [UInt8] = [0x41, 0xFF, 0xC3, 0x41, 0xC0, 0x80, 0xED, 0xA0, 0x80, 0xE2, 0x82]
        #expect(CaseFolder.fold(broken) == expected)
        for size in 1...5 {
            var folder = CaseFolder()
            var out: [UInt8] = []
            pieces(broken, size) { folder.fold($0, into: &out) }
            folder.finish(into: &out)
            #expect(out == expected)
        }
    }
}

private let encodedWords = [
    ("(=?ISO-8859-1?Q?a?=)", "(a)"), ("(=?ISO-8859-1?Q?a?= b)", "(a b)"),
    ("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
    ("(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"), ("(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
    ("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
    ("=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
    ("=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld Jørn Simonsen"),
    (
        "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
        "If you can read this you understand the example."
    ),
    ("=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=", "םולש ןב ילטפנ"),
    // RFC 2231 section 5.
    ("=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
    // A character across two words, words beside text, encodings in any case, no padding, spaces within.
    ("=?utf-8?B?w6Q=?= =?UTF-8?b?w7Y?=", "äö"), ("=?utf-8?Q?=C3?= =?utf-8?Q?=A4?=", "ä"),
    ("a=?utf-8?q?=c3=a4?=b", "aäb"),
    ("=?utf-8?Q?a b?=", "a b"), ("=?utf-8?Q??=", ""), ("=?utf-8?Q?a?= =?utf-8?Q?b?= c", "ab c"),
    // Line ends and NUL come out as spaces.
    ("=?utf-8?Q?a=0D=0Ab=00c?=", "a  b c"),
    // What is broken or not known stays.
    ("=?", "=?"), ("=?utf-8", "=?utf-8"), ("=?utf-8?Q?a", "=?utf-8?Q?a"), ("=?utf-8?Q?a?", "=?utf-8?Q?a?"),
    ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
    ("=?no-such?Q?a?=", "=?no-such?Q?a?="), ("=??Q?a?=", "=??Q?a?="), ("=?utf-8?Q?=zz?=", "=zz"),
    ("=?=?utf-8?Q?a?=", "=?a"),
    ("1 = 2? =3", "1 = 2? =3"), ("plain ä", "plain ä"),
]
