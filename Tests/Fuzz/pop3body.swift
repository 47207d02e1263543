// The answer to RETR and TOP: a client that takes the dots out again gets the stored octets; TOP gives the header and as
// many lines as it was asked for; how the message is cut up changes nothing.
//
// Bytes: lines for TOP, or RETR with the top bit; how to cut; then the message.
import POP3

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPOP3Body(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    guard input.count >= 2 else { return 0 }
    let lines = input[0] & 128 == 0 ? Int(input[0]) : nil
    let message = Array(input[2...])
    let whole = encode(message, lines: lines, cut: nil)
    precondition(encode(message, lines: lines, cut: input[1]) == whole, "pieces matter")
    precondition(encode(message, lines: lines, cut: 0) == whole, "single octets matter")
    let wanted = lines.map { top(of: message, lines: $0) } ?? message
    let ended = wanted.isEmpty || wanted.suffix(2) == [13, 10] ? wanted : wanted + [13, 10]
    precondition(unstuffed(whole) == ended, "a client reads something else")
    return 0
}

private func encode(_ message: [UInt8], lines: Int?, cut: UInt8?) -> [UInt8] {
    var encoder = POP3BodyEncoder(lines: lines)
    var output: [UInt8] = []
    Pieces.each(of: message[...], cut: cut) { chunk in
        var ranges: [Range<Int>] = []
        chunk.withUnsafeBytes { encoder.encode($0, into: &ranges) }
        for range in ranges {
            precondition(range.lowerBound >= 0 && range.upperBound <= chunk.count, "a range outside the chunk")
            output += chunk[range]
        }
    }
    return output + encoder.finish()
}

/// What a client by RFC 1939 section 3 reads: lines end in CRLF, the lone dot ends all and stands nowhere before.
private func unstuffed(_ output: [UInt8]) -> [UInt8] {
    var content: [UInt8] = []
    var lineStart = 0
    while lineStart < output.count {
        var end = lineStart
        while end + 1 < output.count, output[end] != 13 || output[end + 1] != 10 { end += 1 }
        precondition(end + 1 < output.count, "the answer does not end in CRLF")
        let line = output[lineStart..<end]
        lineStart = end + 2
        if line == [46] {
            precondition(lineStart == output.count, "octets behind the end of the answer")
            return content
        }
        content += line.first == 46 ? line.dropFirst() : line
        content += [13, 10]
    }
    preconditionFailure("the answer has no end")
}

/// The header, the empty line, and `lines` more; lines end in LF with or without CR.
private func top(of message: [UInt8], lines: Int) -> [UInt8] {
    var taken: [UInt8] = []
    var left: Int?
    var rest = message[...]
    while !rest.isEmpty, left != 0 {
        let end = rest.firstIndex(of: 10).map { $0 + 1 } ?? rest.endIndex
        let line = rest[..<end]
        rest = rest[end...]
        taken += line
        if let count = left { left = count - 1 }
        if left == nil, line == [10] || line == [13, 10] { left = lines }
    }
    return taken
}
