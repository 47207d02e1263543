import MIME
import Testing

@Suite("Header fields")
struct HeaderTests {
    private let header = crlf(
        "Subject: a\n folded\n\tsubject\nFrom: b\nX-One : c\nno field here\n goes on\nsubject: again\nTo: d\n\n")

    private func select(_ names: [String], excluding: Bool = false, from header: [UInt8]? = nil, pieces: Int? = nil)
        -> String
    {
        let header = header ?? self.header
        let filter = HeaderFilter(names.map { Array($0.utf8) }, excluding: excluding)
        guard let pieces else { return text(header.withUnsafeBytes { filter.select(from: $0) }) }
        var running = filter
        var out: [UInt8] = []
        for start in stride(from: 0, to: header.count, by: pieces) {
            Array(header[start..<min(header.count, start + pieces)]).withUnsafeBytes { running.take($0, into: &out) }
        }
        running.finish(into: &out)
        return text(out)
    }

    @Test("HEADER.FIELDS and HEADER.FIELDS.NOT (RFC 9051 section 6.4.5.1)")
    func fields() {
        for pieces in [nil, 1, 2, 3, 5, 7, 64] {
            #expect(
                select(["SUBJECT", "to"], pieces: pieces)
                    == "Subject: a\r\n folded\r\n\tsubject\r\nsubject: again\r\nTo: d\r\n\r\n")
            #expect(select(["x-one"], pieces: pieces) == "X-One : c\r\n\r\n")
            #expect(select(["absent", ""], pieces: pieces) == "\r\n")
            #expect(select([], pieces: pieces) == "\r\n")
            #expect(select(["sub", "subjects"], pieces: pieces) == "\r\n")
            #expect(
                select(["subject", "FROM"], excluding: true, pieces: pieces)
                    == "X-One : c\r\nno field here\r\n goes on\r\nTo: d\r\n\r\n")
            #expect(select([], excluding: true, pieces: pieces) == text(header))
        }
    }

    @Test("no empty line is made where the header has none")
    func noEmptyLine() {
        for pieces in [nil, 1, 3] {
            #expect(select(["a"], from: crlf("A: b\nC: d\n"), pieces: pieces) == "A: b\r\n")
            #expect(select(["a"], excluding: true, from: crlf("A: b\nC: d"), pieces: pieces) == "C: d")
            #expect(select(["a"], excluding: true, from: crlf("A: b\nC"), pieces: pieces) == "C")
            #expect(select(["a"], excluding: true, from: Array("A: b\n\r".utf8), pieces: pieces) == "\r")
            #expect(select(["a"], from: Array("A: b\nC: d\n\nA: body".utf8), pieces: pieces) == "A: b\n\n")
        }
    }

    @Test("a name over the limit is no name")
    func longName() {
        let name = String(repeating: "n", count: MIMELimits.fieldNameOctetsMax + 1)
        let long = crlf("\(name): x\nA: b\n\n")
        #expect(select([name], from: long) == "\r\n")
        #expect(select(["a"], excluding: true, from: long) == "\(name): x\r\n\r\n")
    }

    @Test("RFC 2231 parameters joined as RFC 9051 section 7.5.2 says", arguments: joinedRows)
    func joined(_ row: (String, [(String, String)])) {
        let part = summary(crlf("Content-Type: x/y; \(row.0)\n\n")).structure.parts[0]
        let joined = Parameter.joined(part.parameters).map { (text($0.name), text($0.value)) }
        #expect(joined.map(\.0) == row.1.map(\.0), "\(row.0)")
        #expect(joined.map(\.1) == row.1.map(\.1), "\(row.0)")
    }

    @Test("a parameter in endless parts has the first of them")
    func continuations() {
        let most = min(MIMELimits.continuationsMax, MIMELimits.parametersMax)
        let parts = (0..<(MIMELimits.continuationsMax + 5)).map { "a*\($0)=x" }.joined(separator: "; ")
        let part = summary(crlf("Content-Type: x/y; \(parts)\n\n")).structure.parts[0]
        #expect(Parameter.joined(part.parameters).map { $0.value.count } == [most])
    }

    @Test("file names, whatever their encoding")
    func names() {
        for (parameters, name) in [
            (#"name="a.txt""#, "a.txt"), ("name*=utf-8''%C3%A4.txt", "ä.txt"),
            (#"name="=?iso-8859-1?Q?=E4?=.txt""#, "ä.txt"),
            ("name=old.txt; name*=utf-8''new.txt", "new.txt"), ("name*0=a; name*1=b", "ab"),
        ] {
            let part = summary(crlf("Content-Type: x/y; \(parameters)\n\n")).structure.parts[0]
            #expect(Parameter.text("name", of: part.parameters).map { text($0) } == name)
        }
    }
}

private let joinedRows: [(String, [(String, String)])] = [
    ("a=1; b=2", [("a", "1"), ("b", "2")]),
    // RFC 2231 sections 3, 4 and 4.1.
    (
        #"URL*0="ftp://"; URL*1="cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar""#,
        [("URL", "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar")]
    ),
    (
        "title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A", [("title*", "This is ***fun***")]
    ),
    (
        #"title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2="isn't it!""#,
        [("title*", "This is even more ***fun*** isn't it!")]
    ),
    // Any order; any case; a character across two parts; other charsets.
    ("a*1=2; A*0=1; b=3", [("a", "12"), ("b", "3")]), ("a*0*=utf-8''%C3; a*1*=%A4", [("a*", "ä")]),
    ("a*=iso-8859-15''%A4", [("a*", "€")]),
    // What is broken.
    ("a*0=1; a*2=3", [("a", "1")]), ("a*1=1; a*2=2", [("a", "12")]), ("a*=%zz", [("a*", "%zz")]),
    ("a*=x''%E4", [("a*", "\u{FFFD}")]), ("a=1; a=2; b*=''", [("a", "1"), ("a", "2"), ("b*", "")]),
]
