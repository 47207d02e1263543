import Octets

/// Prepares a message for DATA (RFC 5321 section 4.5.2): a dot that begins a line is doubled, and the end is marked.
/// Lines end in CRLF as stored; however the message is cut into calls, the output is the same.
package struct SMTPDotStuffer: Sendable {
    private enum Position { case lineStart, inLine, afterCarriageReturn }
    private var position = Position.lineStart

    package init() {}

    /// Appends `bytes`, ready for the wire, to `output`.
    package mutating func append(_ bytes: UnsafeRawBufferPointer, to output: inout [UInt8]) {
        var start = 0
        while start < bytes.count {
            if position == .lineStart, bytes[start] == Ascii.dot { output.append(Ascii.dot) }
            if position == .afterCarriageReturn, bytes[start] == Ascii.lineFeed {
                output.append(Ascii.lineFeed)
                position = .lineStart
                start += 1
                continue
            }
            guard let lineFeed = bytes.firstIndex(of: Ascii.lineFeed, in: start..<bytes.count) else {
                output.append(contentsOf: bytes[start...])
                position = bytes[bytes.count - 1] == Ascii.carriageReturn ? .afterCarriageReturn : .inLine
                return
            }
            output.append(contentsOf: bytes[start...lineFeed])
            let isLineEnd = lineFeed > start && bytes[lineFeed - 1] == Ascii.carriageReturn
            position = isLineEnd ? .lineStart : .inLine
            start = lineFeed + 1
        }
    }

    /// The end of the message: `CRLF . CRLF`, its first CRLF left out where the message has one.
    package mutating func finish() -> [UInt8] {
        let mark: [UInt8] = [Ascii.dot, Ascii.carriageReturn, Ascii.lineFeed]
        return position == .lineStart ? mark : [Ascii.carriageReturn, Ascii.lineFeed] + mark
    }
}
