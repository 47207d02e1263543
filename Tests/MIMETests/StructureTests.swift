// The parts of messages: the example of RFC 9051 section 6.4.5.1, what RFC 2046 says of boundaries, and what mail has
// instead. Each message is also read in pieces of every small size.
import MIME
import Testing

@Suite("Structure")
struct StructureTests {
    @Test("structures", arguments: structures)
    func structure(_ row: (String, message: String, expected: String)) {
        let message = crlf(row.message)
        let whole = summary(message)
        #expect(described(whole.structure) == row.expected, "\(row.0)")
        checkRanges(whole.structure)
        for size in 1...message.count where size < 40 || size % 17 == 0 {
            #expect(summary(message, pieces: size) == whole, "\(row.0), pieces of \(size)")
        }
    }

    @Test("bare line feeds give the same parts")
    func lineFeeds() {
        for row in structures {
            let plain = summary(Array(row.message.utf8)).structure
            let expected = summary(crlf(row.message)).structure
            #expect(plain.parts.map(\.kind) == expected.parts.map(\.kind), "\(row.0)")
            #expect(plain.parts.map(\.lines) == expected.parts.map(\.lines), "\(row.0)")
            checkRanges(plain)
        }
    }

    @Test("sections of the example in RFC 9051 section 6.4.5.1")
    func sections() {
        let message = crlf(sectionExample)
        let structure = summary(message).structure
        func section(_ path: [Int], _ specifier: MessageStructure.Specifier) -> String? {
            octets(structure.section(path, specifier), of: message)
        }
        #expect(section([], .all) == text(message))
        #expect(section([], .header)?.hasPrefix("Subject: outer\r\n") == true)
        #expect(section([], .header)?.hasSuffix("boundary=one\r\n\r\n") == true)
        #expect(section([], .text)?.hasPrefix("preamble\r\n--one\r\n") == true)
        #expect(section([], .text)?.hasSuffix("--one--\r\nepilogue\r\n") == true)
        #expect(section([1], .all) == "part 1")
        #expect(section([1], .mime) == "\r\n")
        #expect(section([2], .mime) == "Content-Type: application/octet-stream\r\n\r\n")
        #expect(section([3], .header) == "Subject: three\r\nContent-Type: multipart/mixed; boundary=two\r\n\r\n")
        #expect(
            section([3], .text)
                == "--two\r\n\r\npart 3.1\r\n--two\r\nContent-Type: image/gif\r\n\r\npart 3.2\r\n--two--")
        #expect(section([3], .all) == section([3], .header)! + section([3], .text)!)
        #expect(section([3, 1], .all) == "part 3.1")
        #expect(section([3, 2], .mime) == "Content-Type: image/gif\r\n\r\n")
        #expect(section([4, 1], .mime) == "Content-Type: image/gif\r\n\r\n")
        #expect(
            section([4, 2], .header) == "Subject: four two\r\nContent-Type: multipart/mixed; boundary=four\r\n\r\n")
        #expect(section([4, 2, 1], .all) == "part 4.2.1")
        #expect(section([4, 2, 2, 1], .all) == "part 4.2.2.1")
        #expect(section([4, 2, 2, 2], .all) == "part 4.2.2.2\r\n")
        // What is not there.
        for path in [[0], [5], [1, 1], [2, 1], [3, 3], [4, 2, 2, 3], [4, 2, 2, 2, 1]] {
            #expect(section(path, .all) == nil, "\(path)")
        }
        #expect(section([1], .header) == nil)
        #expect(section([4], .text) == nil)
        #expect(section([], .mime) == nil)
    }

    @Test("a message that is no multipart has part 1")
    func onePart() {
        let message = crlf("Subject: x\n\nbody\n")
        let structure = summary(message).structure
        #expect(octets(structure.section([1], .all), of: message) == "body\r\n")
        #expect(octets(structure.section([1], .mime), of: message) == "Subject: x\r\n\r\n")
        #expect(structure.section([1, 1], .all) == nil)
        #expect(structure.section([2], .all) == nil)
        let nested = crlf("Content-Type: message/rfc822\n\nSubject: y\n\ninner\n")
        let inner = summary(nested).structure
        #expect(octets(inner.section([1], .all), of: nested) == "Subject: y\r\n\r\ninner\r\n")
        #expect(octets(inner.section([1], .header), of: nested) == "Subject: y\r\n\r\n")
        #expect(octets(inner.section([1, 1], .all), of: nested) == "inner\r\n")
    }

    @Test("partial ranges are cut at the end (RFC 9051 section 6.4.5)")
    func partial() {
        let range = OctetRange(offset: 10, count: 5)
        #expect(range.part(from: 0, count: 2048) == range)
        #expect(range.part(from: 2, count: 2) == OctetRange(offset: 12, count: 2))
        #expect(range.part(from: 4, count: 9) == OctetRange(offset: 14, count: 1))
        #expect(range.part(from: 5, count: 9).count == 0)
        #expect(range.part(from: .max, count: .max) == OctetRange(offset: 15, count: 0))
    }
}

/// Ranges lie within the message and within each other, in order.
func checkRanges(_ structure: MessageStructure, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(structure.parts[0].header.offset == 0, sourceLocation: sourceLocation)
    #expect(structure.parts[0].body.end == structure.octets, sourceLocation: sourceLocation)
    #expect(structure.parts[0].end == structure.parts.count, sourceLocation: sourceLocation)
    for (index, part) in structure.parts.enumerated() {
        #expect(part.header.count >= 0 && part.body.count >= 0 && part.lines >= 0, sourceLocation: sourceLocation)
        #expect(part.header.end == part.body.offset, sourceLocation: sourceLocation)
        var from = part.body.offset
        for child in structure.children(of: index) {
            #expect(structure.parts[child].header.offset >= from, sourceLocation: sourceLocation)
            from = structure.parts[child].body.end
            #expect(from <= part.body.end, sourceLocation: sourceLocation)
        }
        #expect(
            (part.kind == .multipart || part.kind == .message) == (part.end > index + 1), sourceLocation: sourceLocation
        )
        if part.kind == .message {
            #expect(structure.children(of: index) == [index + 1], sourceLocation: sourceLocation)
        }
    }
}
