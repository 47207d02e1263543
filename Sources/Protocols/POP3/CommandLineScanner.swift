import Glibc

/// Cuts command lines out of what has arrived. It keeps no octets: an unfinished line stays in the caller's buffer
/// until it is whole or over the limit, and the rest of an over-long line is passed by unseen.
///
/// The room of SMTP has its like: the rooms of two protocols do not see each other.
struct CommandLineScanner: Sendable {
    enum Result: Equatable {
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

    init(lineOctetsMax: Int) { self.lineOctetsMax = lineOctetsMax }

    /// - Precondition: `start` is within `bytes`.
    mutating func next(in bytes: UnsafeRawBufferPointer, from start: Int) -> Result {
        let window = isSkipping ? bytes.count - start : min(bytes.count - start, lineOctetsMax)
        guard let lineFeed = bytes.firstIndex(of: Ascii.lineFeed, in: start..<(start + window)) else {
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
        guard end >= start, bytes[end] == Ascii.carriageReturn,
            bytes.firstIndex(of: Ascii.carriageReturn, in: start..<end) == nil,
            bytes.firstIndex(of: Ascii.nul, in: start..<end) == nil
        else { return .bad(next: lineFeed + 1) }
        return .line(start..<end, next: lineFeed + 1)
    }
}

extension UnsafeRawBufferPointer {
    /// Where `octet` first stands within `range`, found with the C library's vector search.
    @inline(__always)
    func firstIndex(of octet: UInt8, in range: Range<Int>) -> Int? {
        guard !range.isEmpty, let base = baseAddress,
            let found = memchr(base + range.lowerBound, Int32(octet), range.count)
        else { return nil }
        return base.distance(to: UnsafeRawPointer(found))
    }
}
