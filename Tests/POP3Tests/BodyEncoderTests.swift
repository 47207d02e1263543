import InputSupport
import POP3
import Testing

/// RFC 1939 section 3 written down as plainly as possible.
private func naiveStuffed(_ body: [UInt8]) -> [UInt8] {
    var output: [UInt8] = []
    for (index, octet) in body.enumerated() {
        let isAtLineStart = index == 0 || (index >= 2 && body[index - 2] == 13 && body[index - 1] == 10)
        if octet == 46, isAtLineStart { output.append(46) }
        output.append(octet)
    }
    if !body.isEmpty, !body.suffix(2).elementsEqual([13, 10]) { output += [13, 10] }
    return output + [46, 13, 10]
}

/// What TOP gives of a body, before stuffing: up to the first empty line, then `lines` lines.
private func naiveTop(_ body: [UInt8], _ lines: Int) -> [UInt8] {
    var output: [UInt8] = []
    var line: [UInt8] = []
    var left: Int?
    for octet in body {
        if left == 0 { return output }
        line.append(octet)
        guard octet == 10 else { continue }
        output += line
        left = left.map { $0 - 1 }
        if left == nil, line == [10] || line == [13, 10] { left = lines }
        line = []
    }
    return left == 0 ? output : output + line
}

/// What a client that goes by the RFC makes of an answer; nil when the answer does not end.
private func received(_ answer: [UInt8]) -> [UInt8]? {
    var body: [UInt8] = []
    var index = 0
    while let end = answer.indices.first(where: { $0 >= index && answer[$0...].starts(with: [13, 10]) }) {
        let line = answer[index..<end]
        if line.elementsEqual([46]) { return end + 2 == answer.count ? body : nil }
        body += line.first == 46 ? line.dropFirst() : line
        body += [13, 10]
        index = end + 2
    }
    return nil
}

@Suite struct BodyEncoderTests {
    @Test(arguments: [
        ("", ".\r\n"),
        ("a\r\n", "a\r\n.\r\n"),
        ("a", "a\r\n.\r\n"),
        (".", "..\r\n.\r\n"),
        (".\r\n", "..\r\n.\r\n"),
        ("..\r\n.a\r\n", "...\r\n..a\r\n.\r\n"),
        ("a.b\r\n\r\n.", "a.b\r\n\r\n..\r\n.\r\n"),
        ("a\r", "a\r\r\n.\r\n"),
        ("a\n", "a\n\r\n.\r\n"),
        ("a\n.b\r.c\r\n", "a\n.b\r.c\r\n.\r\n"),
    ])
    func retr(_ body: String, _ answer: String) {
        for chunking in [Chunking.whole, .octetByOctet, .sizes([2]), .sizes([3, 1])] {
            #expect(encoded(Array(body.utf8), chunking) == Array(answer.utf8))
        }
    }

    @Test(arguments: [
        ("A: b\r\n\r\n1\r\n2\r\n3\r\n", 0, "A: b\r\n\r\n"),
        ("A: b\r\n\r\n1\r\n2\r\n3\r\n", 2, "A: b\r\n\r\n1\r\n2\r\n"),
        ("A: b\r\n\r\n1\r\n2\r\n3\r\n", 3, "A: b\r\n\r\n1\r\n2\r\n3\r\n"),
        ("A: b\r\n\r\n1\r\n2\r\n3\r\n", 9_999_999_999, "A: b\r\n\r\n1\r\n2\r\n3\r\n"),
        ("A: b\r\n\r\n\r\n\r\nx\r\n", 2, "A: b\r\n\r\n\r\n\r\n"),
        ("A: b\r\n", 0, "A: b\r\n"),
        ("\r\ntext\r\n", 0, "\r\n"),
        ("A: b\n\n1\n2\n", 1, "A: b\n\n1\n\r\n"),
        ("A: b\r\n\r\r\n\r\nx", 0, "A: b\r\n\r\r\n\r\n"),
    ])
    func top(_ body: String, _ lines: Int, _ content: String) {
        for chunking in [Chunking.whole, .octetByOctet, .sizes([2]), .sizes([3, 1])] {
            #expect(encoded(Array(body.utf8), lines: lines, chunking) == Array(content.utf8) + Array(".\r\n".utf8))
        }
    }

    @Test func topStopsReading() {
        var encoder = POP3BodyEncoder(lines: 1)
        var ranges: [Range<Int>] = []
        Array("A: b\r\n\r\none\r\ntwo\r\n".utf8).withUnsafeBytes { encoder.encode($0, into: &ranges) }
        #expect(encoder.isComplete)
        #expect(ranges == [0..<13])
    }

    @Test func aChunkWithoutDotsIsOneRange() {
        var encoder = POP3BodyEncoder()
        var ranges: [Range<Int>] = []
        let chunk = Array(String(repeating: "a line of text\r\n", count: 1_000).utf8)
        chunk.withUnsafeBytes { encoder.encode($0, into: &ranges) }
        #expect(ranges == [0..<chunk.count])
    }

    /// Random octets, mostly those that matter, in random chunks, against the plain references.
    @Test(arguments: 0..<40)
    func randomBodies(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let octets: [UInt8] = [13, 10, 46, 97, 13, 10, 13, 10]
        for _ in 0..<50 {
            let body = (0..<Int.random(in: 0...40, using: &random)).map { _ in octets.randomElement(using: &random)! }
            let sizes = (0..<8).map { _ in Int.random(in: 1...9, using: &random) }
            let lines = Int.random(in: 0...4, using: &random)
            let answer = encoded(body, .sizes(sizes))
            let withEnd = body.isEmpty || body.suffix(2).elementsEqual([13, 10]) ? body : body + [13, 10]
            guard answer == naiveStuffed(body), received(answer) == withEnd,
                encoded(body, lines: lines, .sizes(sizes)) == naiveStuffed(naiveTop(body, lines))
            else {
                Issue.record("seed \(seed): \(body), \(lines) lines, chunks of \(sizes)")
                return
            }
        }
    }
}
