/// The parts of the example in RFC 9051 section 6.4.5.1.
let sectionExample = """
    Subject: outer
    Content-Type: multipart/mixed; boundary=one

    preamble
    --one

    part 1
    --one
    Content-Type: application/octet-stream

    part 2
    --one
    Content-Type: message/rfc822

    Subject: three
    Content-Type: multipart/mixed; boundary=two

    --two

    part 3.1
    --two
    Content-Type: image/gif

    part 3.2
    --two--
    --one
    Content-Type: multipart/mixed; boundary=three

    --three
    Content-Type: image/gif

    part 4.1
    --three
    Content-Type: message/rfc822

    Subject: four two
    Content-Type: multipart/mixed; boundary=four

    --four
    Content-Type: text/plain

    part 4.2.1
    --four
    Content-Type: multipart/alternative; boundary=five

    --five

    part 4.2.2.1
    --five
    Content-Type: text/richtext

    part 4.2.2.2

    --five--
    --four--
    --three--
    --one--
    epilogue

    """

private let plain = #"("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" "#

/// A part of plain text without a header of its own.
private func plainPart(_ octets: Int, _ lines: Int) -> String { plain + "\(octets) \(lines) NIL NIL NIL NIL)" }

private func mixed(_ boundary: String, _ children: String...) -> String {
    #"("# + children.joined() + #" "mixed" ("boundary" "\#(boundary)") NIL NIL NIL)"#
}

let structures: [(String, message: String, expected: String)] = [
    ("empty", "\n", plainPart(0, 0)),
    ("a header alone", "Subject: x\n", plainPart(0, 0)),
    ("no line end", "Subject: x\n\nbody", plainPart(4, 0)),
    ("no header", "\nbody\n\nmore\n", plainPart(14, 3)),
    ("a line that is no field ends no header", "From x y\nSubject: x\n\nbody\n", plainPart(6, 1)),
    ("a header without a body", "this is no header\nand goes on", plainPart(0, 0)),
    (
        "RFC 9051: a text with all fields",
        """
        Content-Type: text/plain; charset=utf-8; format=flowed
        Content-Transfer-Encoding: 8bit (a comment)
        Content-ID:  <id@example.test>
        Content-Description: what
         it is
        Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==
        Content-Disposition: attachment; filename="a \\"b\\".txt"; size=3
        Content-Language: en, de-AT (Austria)
        Content-Location: http://example.test/
         a.txt

        one
        two

        """,
        #"("text" "plain" ("charset" "utf-8" "format" "flowed") "<id@example.test>" "what it is" "8bit" 10 2 "#
            + #""Q2hlY2sgSW50ZWdyaXR5IQ==" ("attachment" ("filename" "a \"b\".txt" "size" "3")) ("en" "de-AT") "#
            + #""http://example.test/a.txt")"#
    ),
    (
        "basic parts have no lines", "Content-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n",
        #"("image" "png" NIL NIL NIL "base64" 6 NIL NIL NIL NIL)"#
    ),
    (
        "no charset for other text", "Content-Type: text/html\n\n<p>\n",
        #"("text" "html" NIL NIL NIL "7BIT" 5 1 NIL NIL NIL NIL)"#
    ),
    (
        "the first Content-Type counts", "Content-Type: image/png\nContent-Type: text/plain\n\nx\n",
        #"("image" "png" NIL NIL NIL "7BIT" 3 NIL NIL NIL NIL)"#
    ),
    ("a type that is none", "Content-Type: text\n\nx\n", plainPart(3, 1)),
    ("a type that is none, with parameters", "Content-Type: ; charset=utf-8\n\nx\n", plainPart(3, 1)),
    (
        "comments and odd values",
        "Content-Type: (c) text (d(e)) / (f) plain (g); x=a b c.txt; y=\"z (h)\"; ; no; charset = utf-8 (i)\n\nx\n",
        #"("text" "plain" ("x" "a b c.txt" "y" "z (h)" "charset" "utf-8") NIL NIL "7BIT" 3 1 NIL NIL NIL NIL)"#
    ),
    (
        "RFC 2231 stays as it is", "Content-Type: image/png; name*0*=utf-8'de'%C3%A4; name*1=\"b.png\"\n\nx\n",
        #"("image" "png" ("name*0*" "utf-8'de'%C3%A4" "name*1" "b.png") NIL NIL "7BIT" 3 NIL NIL NIL NIL)"#
    ),
    (
        "two parts", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\nlines\n--b--\n",
        mixed("b", plainPart(3, 0), plainPart(10, 1))
    ),
    (
        "a quoted boundary, folded, with spaces at the end",
        "Content-Type: multipart/mixed;\n boundary=\"a b:c  \"\n\n--a b:c\n\none\n--a b:c--\n",
        mixed("a b:c  ", plainPart(3, 0))
    ),
    (
        "spaces after boundaries", "Content-Type: multipart/mixed; boundary=b\n\n--b \t\n\none\n--b-- \n",
        mixed("b", plainPart(3, 0))
    ),
    (
        "no closing boundary", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n",
        mixed("b", plainPart(3, 0), plainPart(5, 1))
    ),
    (
        "a boundary is the last line, and not ended", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b",
        mixed("b", plainPart(3, 0), plainPart(0, 0))
    ),
    (
        "boundaries after the closing one are epilogue",
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n--b\n\ntwo\n", mixed("b", plainPart(3, 0))
    ),
    (
        "an outer boundary ends inner multiparts",
        """
        Content-Type: multipart/mixed; boundary=out

        --out
        Content-Type: multipart/mixed; boundary=in

        --in

        one
        --out

        two
        --out--
        """,
        mixed("out", mixed("in", plainPart(3, 0)), plainPart(3, 0))
    ),
    (
        "boundaries that begin with one another",
        """
        Content-Type: multipart/mixed; boundary=b

        --b
        Content-Type: multipart/mixed; boundary=bb

        --bb

        one
        --bb--
        --b
        Content-Type: multipart/mixed; boundary=b--

        --b--

        two
        --b----
        --b--
        """,
        mixed("b", mixed("bb", plainPart(3, 0)), mixed("b--", plainPart(3, 0)))
    ),
    (
        "RFC 2046 section 5.1.1: it is enough that the line begins with the boundary",
        "Content-Type: multipart/mixed; boundary=b\n\n--b and more\n\none\n--b-- and more\n",
        mixed("b", plainPart(3, 0))
    ),
    (
        "a boundary ends a header",
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: image/png\n--b\n\n--b--\n",
        mixed("b", #"("image" "png" NIL NIL NIL "7BIT" 0 NIL NIL NIL NIL)"#, plainPart(0, 0))
    ),
    (
        "boundaries on end",
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n--b--\n", mixed("b", plainPart(0, 0), plainPart(0, 0))
    ),
    ("a multipart without a boundary is plain text", "Content-Type: multipart/mixed\n\n--b\n\none\n", plainPart(12, 3)),
    (
        "a multipart without parts is plain text",
        "Content-Type: multipart/mixed; boundary=b\n\none\n--c\n--b--\n", plainPart(17, 3)
    ),
    (
        "a digest holds messages (RFC 2046 section 5.1.5)",
        "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\none\n--b\nContent-Type: text/html\n\n--b--\n",
        #"(("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 17 (NIL "x" NIL NIL NIL NIL NIL NIL NIL NIL) "#
            + plainPart(3, 0) + #" 2 NIL NIL NIL NIL)"#
            + #"("text" "html" NIL NIL NIL "7BIT" 0 0 NIL NIL NIL NIL) "digest" ("boundary" "b") NIL NIL NIL)"#
    ),
    (
        "a message within, cut in its header",
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nSubject: x\n--b--\n",
        mixed(
            "b",
            #"("message" "rfc822" NIL NIL NIL "7BIT" 12 (NIL "x" NIL NIL NIL NIL NIL NIL NIL NIL) "#
                + plainPart(0, 0) + #" 1 NIL NIL NIL NIL)"#)
    ),
    (
        "a message without anything",
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n--b--\n",
        mixed(
            "b",
            #"("message" "rfc822" NIL NIL NIL "7BIT" 0 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) "#
                + plainPart(0, 0) + #" 0 NIL NIL NIL NIL)"#)
    ),
    (
        "an encoded message is not looked into",
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDo=\n",
        #"("APPLICATION" "OCTET-STREAM" NIL NIL NIL "base64" 14 NIL NIL NIL NIL)"#
    ),
]
