/// Cuts command lines out of what has arrived: lines that end in CRLF and have neither a NUL nor another CR (RFC 5321
/// section 2.3.8). It keeps no octets: an unfinished line stays in the caller's buffer until it is whole or over the limit,
/// and the rest of an over-long line is passed by unseen.
package struct CommandLineScanner: Sendable {
    package enum Result: Equatable {
        /// Content without its CRLF, and where the next line begins.
        case line(Range<Int>, next: Int)
        /// An over-long line has ended.
        case tooLong(next: Int)
        /// A line with a NUL, a CR inside, or no CR before its LF.
        case bad(next: Int)
        /// No whole line yet; the octets before `consumed` are not needed again.
        case incomplete(consumed: Int)
    }

    private let lineOctetsMax: Int
    private var isSkipping = false

    package init(lineOctetsMax: Int) { self.lineOctetsMax = lineOctetsMax }

    /// - Precondition: `start` is within `bytes`.
    package mutating func next(in bytes: UnsafeRawBufferPointer, from start: Int) -> Result {
        let window = isSkipping ? bytes.count - start : min(bytes.count - start, lineOctetsMax)
        guard let lineFeed = bytes.firstIndex(of: UInt8(ascii: "\n"), in: start..<(start + window)) else {
            if isSkipping { return .incomplete(consumed: bytes.count) }
            if window < lineOctetsMax { return .incomplete(consumed: start) }
            isSkipping = true
            return start + window < bytes.count
                ? next(in: bytes, from: start + window) : .incomplete(consumed: bytes.count)
        }
        if isSkipping {
            isSkipping = false
            return .tooLong(next: lineFeed + 1)
        }
        let end = lineFeed - 1
        guard end >= start, bytes[end] == UInt8(ascii: "\r"),
            bytes.firstIndex(of: UInt8(ascii: "\r"), in: start..<end) == nil,
            bytes.firstIndex(of: 0, in: start..<end) == nil
        else { return .bad(next: lineFeed + 1) }
        return .line(start..<end, next: lineFeed + 1)
    }
}
