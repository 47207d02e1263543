// Finds the parts of a message that comes in pieces of any size, so that one of 50 MB is never held. The pieces change
// nothing: the tests and the fuzz target cut at every place.
//
// Octets are held of a header that is not complete (`MIMELimits.headerOctetsMax`) and of the beginning of a line that may
// be a boundary (`boundaryLineOctetsMax`). A line ends with LF; a CR before it belongs to the end.
package struct StructureScanner {
    private enum Place {
        case header
        /// Within a body, with boundaries to look for.
        case lines
        /// Within a body that only the end of the message ends: nothing but lines to count.
        case rest
    }

    private var tree = PartTree()
    private var place = Place.header
    /// Octets before the piece.
    private var offset = 0
    /// Line ends so far.
    private var lineEnds = 0
    private var lineStart = 0
    /// Octets of the line end before the current line.
    private var endBefore = 0
    /// The beginning of the current line, when it began in an earlier piece.
    private var head: [UInt8] = []
    private var lastOctet: UInt8 = 0
    private var headerStart = 0
    /// The octets of the current header in earlier pieces.
    private var held: [UInt8] = []

    package init() {}

    /// Takes the next octets of the message.
    package mutating func consume(_ piece: UnsafeRawBufferPointer) {
        var position = 0
        while position < piece.count {
            if place == .rest {
                lineEnds += piece.slice(position, piece.count).lineFeeds
                lineStart = offset + piece.count
                break
            }
            guard let feed = piece.position(of: 10, from: position) else {
                keep(piece, from: position)
                break
            }
            line(piece, from: position, feed: feed)
            position = feed + 1
        }
        if place == .header, held.count < MIMELimits.headerOctetsMax {
            let from = Swift.max(0, headerStart - offset)
            let room = MIMELimits.headerOctetsMax - held.count
            held.append(contentsOf: piece.slice(from, Swift.min(piece.count, from + room)))
        }
        if let last = piece.last { lastOctet = last }
        offset += piece.count
    }

    /// The message is at its end.
    package mutating func finish() -> MessageSummary {
        if lineStart < offset, place != .rest {
            head.withUnsafeBytes { head in
                if head.count > 2, head[0] == 45, head[1] == 45, tree.openBoundaries > 0 {
                    _ = boundary(head, UnsafeRawBufferPointer(start: nil, count: 0), next: offset)
                }
            }
        }
        endHeaders(at: offset, UnsafeRawBufferPointer(start: nil, count: 0), isCut: true)
        tree.finish(end: offset, lines: lineEnds)
        return MessageSummary(
            structure: MessageStructure(parts: tree.parts, octets: offset), envelope: tree.envelope,
            references: tree.references)
    }

    // MARK: Lines

    /// The beginning of a line that goes on in the next piece.
    private mutating func keep(_ piece: UnsafeRawBufferPointer, from position: Int) {
        let room = MIMELimits.boundaryLineOctetsMax - head.count
        if room > 0 { head.append(contentsOf: piece.slice(position, Swift.min(piece.count, position + room))) }
    }

    @inline(__always)
    private mutating func line(_ piece: UnsafeRawBufferPointer, from position: Int, feed: Int) {
        let next = offset + feed + 1
        let before = feed > 0 ? piece[feed - 1] : lastOctet
        let endCount = before == 13 && next - lineStart >= 2 ? 2 : 1
        let isEmpty = next - lineStart == endCount
        if place == .header, isEmpty {
            lineEnds += 1
            passLine(next, endCount)
            endHeaders(at: next, piece, isCut: false)
            return
        }
        if tree.openBoundaries > 0 {
            if head.isEmpty {
                if piece[position] == 45, feed > position + 2, piece[position + 1] == 45 {
                    let end = Swift.min(feed + 1 - endCount, position + MIMELimits.boundaryLineOctetsMax)
                    if boundary(piece.slice(position, Swift.max(position, end)), piece, next: next) {
                        return passBoundary(next, endCount)
                    }
                }
            } else {
                keep(piece.slice(0, feed), from: 0)
                let line = head
                let count = Swift.min(line.count, next - lineStart - endCount)
                if line.withUnsafeBytes({ boundary($0.slice(0, count), piece, next: next) }) {
                    return passBoundary(next, endCount)
                }
            }
        }
        lineEnds += 1
        passLine(next, endCount)
    }

    private mutating func passLine(_ next: Int, _ endCount: Int) {
        lineStart = next
        endBefore = endCount
        head.removeAll(keepingCapacity: true)
    }

    private mutating func passBoundary(_ next: Int, _ endCount: Int) {
        lineEnds += 1
        passLine(next, endCount)
        if place != .header { place = tree.openBoundaries > 0 ? .lines : .rest }
    }

    /// Whether the current line is a boundary; then what it says has been done.
    private mutating func boundary(_ line: UnsafeRawBufferPointer, _ piece: UnsafeRawBufferPointer, next: Int) -> Bool {
        guard let delimiter = tree.delimiter(line), !tree.isOverLimit(delimiter) else { return false }
        endHeaders(at: lineStart, piece, isCut: true)
        if tree.take(delimiter, lineStart: lineStart, endBefore: endBefore, lines: lineEnds) {
            beginHeader(at: next)
        } else {
            place = .lines
        }
        return true
    }

    // MARK: Headers

    private mutating func beginHeader(at start: Int) {
        place = .header
        headerStart = start
        held.removeAll(keepingCapacity: true)
    }

    /// The header ends at `end`. When a boundary or the end of the message is what ended it, the header of a message
    /// within ends there too.
    private mutating func endHeaders(at end: Int, _ piece: UnsafeRawBufferPointer, isCut: Bool) {
        while place == .header {
            let header = OctetRange(from: headerStart, to: end)
            if endHeader(header, piece) {
                beginHeader(at: end)
                guard isCut else { return }
            } else {
                place = tree.openBoundaries > 0 ? .lines : .rest
            }
        }
    }

    /// Answers whether the header of a message within comes now.
    private mutating func endHeader(_ header: OctetRange, _ piece: UnsafeRawBufferPointer) -> Bool {
        let count = Swift.min(header.count, MIMELimits.headerOctetsMax)
        guard header.offset < offset else {
            let start = header.offset - offset
            return tree.begin(header, piece.slice(start, start + count), lines: lineEnds)
        }
        if held.count < count { held.append(contentsOf: piece.slice(0, count - held.count)) }
        return held.withUnsafeBytes { tree.begin(header, $0.slice(0, count), lines: lineEnds) }
    }
}

extension UnsafeRawBufferPointer {
    /// How many LFs there are.
    var lineFeeds: Int {
        var total = 0
        var position = 0
        while position + 8 <= count {
            // Eight sums side by side, which up to 255 additions cannot overflow.
            let end = Swift.min(count - 7, position + 255 * 8)
            var sums: UInt64 = 0
            while position < end {
                // Octets that are LF become zero; the sums then have their upper bit clear in those places alone.
                let octets = loadUnaligned(fromByteOffset: position, as: UInt64.self) ^ 0x0A0A_0A0A_0A0A_0A0A
                let others = (octets & 0x7F7F_7F7F_7F7F_7F7F) &+ 0x7F7F_7F7F_7F7F_7F7F | octets
                sums &+= ~others >> 7 & 0x0101_0101_0101_0101
                position += 8
            }
            let pairs = (sums & 0x00FF_00FF_00FF_00FF) &+ (sums >> 8 & 0x00FF_00FF_00FF_00FF)
            total &+= Int(truncatingIfNeeded: (pairs &* 0x0001_0001_0001_0001) >> 48)
        }
        while position < count {
            if self[position] == 10 { total += 1 }
            position += 1
        }
        return total
    }
}
