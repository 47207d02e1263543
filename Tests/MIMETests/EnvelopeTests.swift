// ENVELOPE (RFC 9051 section 7.5.2), from headers of the RFCs and from such as mail has.
import MIME
import Testing

private func envelope(_ header: String) -> Envelope {
    crlf(header).withUnsafeBytes { Envelope(header: $0) }
}

private func addresses(_ list: String) -> String { described(envelope("To: \(list)\n\n").to) }

@Suite("Envelope")
struct EnvelopeTests {
    @Test("the example of RFC 9051 section 8")
    func example() {
        let header = """
            Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)
            From: Terry Gray <gray@cac.washington.edu>
            Subject: IMAP4rev2 WG mtg summary and minutes
            To: imap@cac.washington.edu
            cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>
            Message-Id: <B27397-0100000@cac.washington.edu>
            MIME-Version: 1.0
            Content-Type: TEXT/PLAIN; CHARSET=US-ASCII


            """
        let gray = #"(("Terry Gray" NIL "gray" "cac.washington.edu"))"#
        #expect(
            described(envelope(header))
                == #"("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev2 WG mtg summary and minutes" "#
                + "\(gray) \(gray) \(gray) " + #"((NIL NIL "imap" "cac.washington.edu")) "#
                + #"((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL "#
                + #""<B27397-0100000@cac.washington.edu>")"#)
    }

    @Test("absent is NIL, empty strings are empty, empty lists are NIL; Sender and Reply-To default to From")
    func defaults() {
        #expect(described(envelope("X: y\n\n")) == "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)")
        #expect(envelope("X: y\n\n") == Envelope())
        #expect(
            described(
                envelope(
                    "Date:\nSubject: \nFrom:\nSender: \nReply-To:\nTo: ,\nCc:\nBcc:\nIn-Reply-To:\nMessage-ID:\n\n"))
                == #"("" "" NIL NIL NIL NIL NIL NIL "" "")"#)
        let some = envelope("Reply-To: r@x\nSender:\nFrom: a@x\n\n")
        #expect(
            described(some)
                == #"(NIL NIL ((NIL NIL "a" "x")) ((NIL NIL "a" "x")) ((NIL NIL "r" "x")) NIL NIL NIL NIL NIL)"#)
    }

    @Test("fields unfold; names are in any case; the first counts, recipients are joined")
    func fields() {
        let found = envelope(
            "sUBJECT : one\n\ttwo\n  three \nSubject: four\nTo: a@x,\n b@x\nFrom: f@x\nto: c@x\nFrom: g@x\nCc: d@x\nCC: e@x\n\n"
        )
        #expect(text(found.subject!) == "one\ttwo  three")
        #expect(found.to.map { text($0.mailbox!) } == ["a", "b", "c"])
        #expect(found.cc.map { text($0.mailbox!) } == ["d", "e"])
        #expect(found.from.map { text($0.mailbox!) } == ["f"])
    }

    @Test(
        "addresses of RFC 5322",
        arguments: [
            ("a@x", #"((NIL NIL "a" "x"))"#),
            ("John Doe <jdoe@machine.example>", #"(("John Doe" NIL "jdoe" "machine.example"))"#),
            (
                #""Joe Q. Public" <john.q.public@example.com>"#,
                #"(("Joe Q. Public" NIL "john.q.public" "example.com"))"#
            ),
            ("Joe Q. Public <a@x>", #"(("Joe Q. Public" NIL "a" "x"))"#),
            (
                "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
                #"(("Mary Smith" NIL "mary" "x.test")(NIL NIL "jdoe" "example.org")("Who?" NIL "one" "y.test"))"#
            ),
            (
                #"<boss@nil.test>, "Giant; \"Big\" Box" <sysservices@example.net>"#,
                #"((NIL NIL "boss" "nil.test")("Giant; \"Big\" Box" NIL "sysservices" "example.net"))"#
            ),
            // A.1.3: groups.
            (
                "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
                #"((NIL NIL "A Group" NIL)("Ed Jones" NIL "c" "a.test")(NIL NIL "joe" "where.test")"#
                    + #"("John" NIL "jdoe" "one.test")(NIL NIL NIL NIL))"#
            ),
            ("Undisclosed recipients:;", #"((NIL NIL "Undisclosed recipients" NIL)(NIL NIL NIL NIL))"#),
            (
                "g:a@x;, b@y", #"((NIL NIL "g" NIL)(NIL NIL "a" "x")(NIL NIL NIL NIL)(NIL NIL "b" "y"))"#
            ),
            ("g: <@r:a@x>", #"((NIL NIL "g" NIL)(NIL "@r" "a" "x")(NIL NIL NIL NIL))"#),
            ("g: a@x", #"((NIL NIL "g" NIL)(NIL NIL "a" "x")(NIL NIL NIL NIL))"#),
            // A.5: white space, comments, and other oddities.
            (#"Pete(A nice \) chap) <pete(his account)@silly.test(his host)>"#, #"(("Pete" NIL "pete" "silly.test"))"#),
            (
                "A Group(Some people)\n     :Chris Jones <c@(Chris's host.)public.example>,\n         joe@example.org,\n"
                    + "  John <jdoe@one.test> (my dear friend); (the end of the group)",
                #"((NIL NIL "A Group" NIL)("Chris Jones" NIL "c" "public.example")(NIL NIL "joe" "example.org")"#
                    + #"("John" NIL "jdoe" "one.test")(NIL NIL NIL NIL))"#
            ),
            (
                "(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;",
                #"((NIL NIL "Hidden recipients" NIL)(NIL NIL NIL NIL))"#
            ),
            // A.6.1: obsolete addressing.
            (
                "Mary Smith <@node.test:mary@example.net>, , jdoe@test   . example",
                #"(("Mary Smith" "@node.test" "mary" "example.net")(NIL NIL "jdoe" "test.example"))"#
            ),
            ("<@a.test,@b.test:c@d.test>", #"((NIL "@a.test,@b.test" "c" "d.test"))"#),
            // Names that come after.
            ("jdoe@one.test (John Doe)", #"(("John Doe" NIL "jdoe" "one.test"))"#),
            ("<jdoe@one.test> (John Doe)", #"(("John Doe" NIL "jdoe" "one.test"))"#),
            // Quoted local parts, literals.
            (#""a b"@x"#, #"((NIL NIL "a b" "x"))"#), (#""a\"b".c@x"#, #"((NIL NIL "a\"b.c" "x"))"#),
            ("a@[192.0.2.1]", #"((NIL NIL "a" "[192.0.2.1]"))"#), ("a@[IPv6: ::1]", #"((NIL NIL "a" "[IPv6:::1]"))"#),
            ("=?utf-8?Q?=C3=A4?= <a@x>", #"(("=?utf-8?Q?=C3=A4?=" NIL "a" "x"))"#),
            ("ä <ö@ü>", #"(("ä" NIL "ö" "ü"))"#),
            // What is no address.
            ("root", #"((NIL NIL "root" ""))"#), ("root (the boss)", #"(("the boss" NIL "root" ""))"#),
            ("John Doe", #"(("John Doe" NIL "" ""))"#), (#""John Doe""#, #"(("John Doe" NIL "" ""))"#),
            ("<>", #"((NIL NIL "" ""))"#), ("John <>", #"(("John" NIL "" ""))"#), ("<a>", #"((NIL NIL "a" ""))"#),
            ("a@", #"((NIL NIL "a" ""))"#), ("@x", #"((NIL NIL "@x" ""))"#), ("<@x>", #"((NIL "@x" "" ""))"#),
            ("John <a@x", #"(("John" NIL "a" "x"))"#), ("a@x b@y", #"((NIL NIL "a" "x"))"#),
            ("John Doe a@x", #"(("John Doe" NIL "a" "x"))"#), ("a@x <b@y>", #"(("a@x" NIL "b" "y"))"#),
            ("a <b@x> c, d@x", #"(("a" NIL "b" "x")(NIL NIL "d" "x"))"#),
            ("a@x; b@x", #"((NIL NIL "a" "x")(NIL NIL "b" "x"))"#),
            (#""unended <a@x>"#, #"(("unended <a@x>" NIL "" ""))"#), ("(unended a@x", "NIL"), (",;,", "NIL"),
            (">", #"((NIL NIL ">" ""))"#),
        ])
    func addressList(_ row: (String, String)) {
        #expect(addresses(row.0) == row.1, "\(row.0)")
    }

    @Test("NUL and line ends are in no string")
    func controls() {
        let header: [UInt8] = Array("Subject: a\0b\rc\nFrom: \"d\0\r\n e\" <f\0g@h\0>\n\n".utf8)
        let found = header.withUnsafeBytes { Envelope(header: $0) }
        #expect(text(found.subject!) == "abc")
        #expect(described(found.from) == #"(("d e" NIL "fg" "h"))"#)
        #expect(!found.bytes.isEmpty)
    }

    @Test("the octets of an envelope give it back, and other octets are refused")
    func form() {
        let found = envelope("From: A <a@x>\nTo: g:b@y;\nSubject: \(String(repeating: "s", count: 300))\n\n")
        #expect(Envelope(bytes: found.bytes) == found)
        #expect(Envelope(bytes: []) == nil)
        for count in found.bytes.indices { #expect(Envelope(bytes: Array(found.bytes[..<count])) == nil) }
        #expect(Envelope(bytes: found.bytes + [0]) == nil)
        for index in found.bytes.indices {
            var bytes = found.bytes
            bytes[index] ^= 0x85
            if let other = Envelope(bytes: bytes) { _ = described(other) }
        }
    }

    @Test("limits: addresses of a list, recipient fields")
    func limits() {
        let many = (0..<(MIMELimits.addressesMax + 10)).map { "a\($0)@x" }.joined(separator: ",")
        #expect(envelope("To: \(many)\n\n").to.count == MIMELimits.addressesMax)
        let fields = (0..<(MIMELimits.recipientFieldsMax + 10)).map { "To: a\($0)@x\n" }.joined()
        #expect(envelope(fields + "\n").to.count == MIMELimits.recipientFieldsMax + 1)
        #expect(envelope("To: \(String(repeating: "g:", count: 9000))\n\n").to.count <= MIMELimits.addressesMax + 1)
        // In reasonable time.
        for hostile in ["<", "(", "\"", ":", "@", "a@", "<@", ",", "\\", "[", "a(", "g:;"] {
            _ = envelope("To: \(String(repeating: hostile, count: 200_000))\n\n")
        }
    }
}
