// Writes a stored message as the multi-line answer to RETR or TOP (RFC 1939 sections 3, 5 and 7), chunk by chunk.
//
// Output is ranges of the input: a stuffed dot is the same octet handed out twice, once at the end of one range and
// once at the start of the next. So a chunk without such a dot goes out as it came, uncopied.
//
// Invariants
// - The ranges do not depend, taken together, on how the message was cut into chunks.
// - A dot is stuffed at the start of a line, and a line starts at the beginning and after CRLF only: a client that goes
//   by RFC 1939 gets back exactly the stored octets. After a bare LF nothing is stuffed.
// - For TOP, a line ends in LF with or without CR, so that an imported message with bare LFs has a header too.
import Octets

package struct POP3BodyEncoder: Sendable {
    private enum Ending { case lineStart, afterCarriageReturn, inLine }

    private var ending = Ending.lineStart
    /// The answer has taken octets.
    private var isEmpty = true
    /// Lines of text still to be given; nil means all.
    private var linesLeft: Int?
    private var isInHeader = true
    /// The current line, so far, is empty or a lone CR.
    private var isBlankLine = true

    /// TOP has what it asked for; further chunks are passed over and need not be read.
    package private(set) var isComplete = false

    /// - Parameter lines: for TOP, how many lines follow the header; nil for RETR.
    package init(lines: Int? = nil) { linesLeft = lines }

    /// Appends the ranges of `chunk` to be sent, in order.
    package mutating func encode(_ chunk: UnsafeRawBufferPointer, into ranges: inout [Range<Int>]) {
        guard !isComplete, !chunk.isEmpty else { return }
        let end = linesLeft == nil ? chunk.count : topEnd(of: chunk)
        guard end > 0 else { return }
        isEmpty = false
        var start = 0
        var lineStart = 0
        var isAtLineStart = ending == .lineStart
        while lineStart < end {
            if isAtLineStart, chunk[lineStart] == Ascii.dot {
                ranges.append(start..<(lineStart + 1))
                start = lineStart
            }
            guard let lineFeed = chunk.firstIndex(of: Ascii.lineFeed, in: lineStart..<end) else { break }
            isAtLineStart =
                lineFeed > 0 ? chunk[lineFeed - 1] == Ascii.carriageReturn : ending == .afterCarriageReturn
            lineStart = lineFeed + 1
        }
        ranges.append(start..<end)
        if lineStart == end {
            ending = isAtLineStart ? .lineStart : .inLine
        } else {
            ending = chunk[end - 1] == Ascii.carriageReturn ? .afterCarriageReturn : .inLine
        }
    }

    /// What ends the answer: a CRLF where the message has none at its end, and the line with the dot.
    package func finish() -> [UInt8] {
        Array((isEmpty || ending == .lineStart ? ".\r\n" : "\r\n.\r\n").utf8)
    }

    /// How much of the chunk TOP still gives.
    private mutating func topEnd(of chunk: UnsafeRawBufferPointer) -> Int {
        var lineStart = 0
        while lineStart < chunk.count, !isComplete {
            if !isInHeader, linesLeft == 0 {
                isComplete = true
                return lineStart
            }
            guard let lineFeed = chunk.firstIndex(of: Ascii.lineFeed, in: lineStart..<chunk.count) else {
                noteBlank(chunk, lineStart..<chunk.count)
                return chunk.count
            }
            noteBlank(chunk, lineStart..<lineFeed)
            if !isInHeader { linesLeft = linesLeft.map { $0 - 1 } }
            if isBlankLine { isInHeader = false }
            isBlankLine = true
            lineStart = lineFeed + 1
        }
        if !isInHeader, linesLeft == 0 { isComplete = true }
        return lineStart
    }

    /// Looks whether what has come of the current line is still nothing but one CR.
    private mutating func noteBlank(_ chunk: UnsafeRawBufferPointer, _ range: Range<Int>) {
        guard isBlankLine, !range.isEmpty else { return }
        let isFirst = range.lowerBound > 0 || ending != .afterCarriageReturn
        isBlankLine = isFirst && range.count == 1 && chunk[range.lowerBound] == Ascii.carriageReturn
    }
}
