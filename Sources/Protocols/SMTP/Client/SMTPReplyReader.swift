// Reads the replies of another server (RFC 5321 section 4.2): one or more lines, `250-text` and `250 text`.
//
// Invariants
// - Nothing is kept but the reply being read, of at most `clientReplyOctetsMax`; a server that sends more is given up.
// - How the octets were cut up does not change what is read.
// - A bare LF ends a line as CRLF does: a reply carries nothing that could be smuggled, and some servers send it.
import Octets

/// A reply as another server gave it.
package struct SMTPServerReply: Equatable, Sendable {
    /// 200...599.
    package let code: Int
    /// From the first line, where it opens with one of the class of `code` (RFC 2034 section 4).
    package let enhanced: SMTPEnhancedCode?
    /// The texts behind the code, as they came but for octets that are not printable ASCII, which are `?`.
    package let lines: [String]

    package init(_ code: Int, _ enhanced: SMTPEnhancedCode? = nil, lines: [String]) {
        self.code = code
        self.enhanced = enhanced
        self.lines = lines
    }

    package var isPositive: Bool { code < 400 }
    package var isPermanent: Bool { code >= 500 }

    /// On one line, as logs and reports quote it.
    package var text: String { lines.joined(separator: " ") }
}

struct SMTPReplyReader: Sendable {
    /// What another server sent that is no reply.
    enum Fault: Error, Equatable {
        case malformed
        case tooLong
    }

    private var line: [UInt8] = []
    private var code: Int?
    private var lines: [String] = []
    private var octets = 0

    /// Takes octets from `position` on, up to the end of one reply.
    ///
    /// - Returns: the reply, or nil when more is needed.
    mutating func next(in bytes: UnsafeRawBufferPointer, from position: inout Int) throws(Fault) -> SMTPServerReply? {
        while position < bytes.count {
            let end = bytes.firstIndex(of: Ascii.lineFeed, in: position..<bytes.count)
            let part = position..<(end ?? bytes.count)
            octets += part.count + 1
            guard octets <= SMTPLimits.clientReplyOctetsMax else { throw .tooLong }
            line.append(contentsOf: bytes[part])
            position = end.map { $0 + 1 } ?? bytes.count
            guard end != nil else { return nil }
            if line.last == Ascii.carriageReturn { line.removeLast() }
            let isLast = try takeLine()
            line.removeAll(keepingCapacity: true)
            if isLast { return finish() }
        }
        return nil
    }

    /// - Returns: whether it was the last of its reply.
    private mutating func takeLine() throws(Fault) -> Bool {
        guard line.count >= 3, line[..<3].allSatisfy(Ascii.isDigit) else { throw .malformed }
        let number = line[..<3].reduce(0) { $0 * 10 + Int($1 - Ascii.zero) }
        guard (200...599).contains(number), code == nil || code == number else { throw .malformed }
        code = number
        guard lines.count < SMTPLimits.clientReplyLinesMax else { throw .tooLong }
        let mark = line.count > 3 ? line[3] : Ascii.space
        guard mark == Ascii.space || mark == Ascii.hyphen else { throw .malformed }
        let text = line.dropFirst(4).map { (0x20...0x7E).contains($0) ? $0 : Ascii.questionMark }
        lines.append(String(decoding: text, as: UTF8.self))
        return mark == Ascii.space
    }

    private mutating func finish() -> SMTPServerReply {
        let enhanced = Self.enhancedCode(lines[0], of: code ?? 0)
        defer {
            code = nil
            lines = []
            octets = 0
        }
        guard enhanced != nil else { return SMTPServerReply(code ?? 0, lines: lines) }
        let bare = lines.map { line in
            line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false).dropFirst().first.map(
                String.init)
                ?? ""
        }
        return SMTPServerReply(code ?? 0, enhanced, lines: bare)
    }

    private static func enhancedCode(_ line: String, of code: Int) -> SMTPEnhancedCode? {
        guard let word = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false).first else {
            return nil
        }
        let parts = word.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, parts.allSatisfy({ (1...3).contains($0.utf8.count) }) else { return nil }
        let numbers = parts.compactMap { $0.utf8.allSatisfy(Ascii.isDigit) ? Int($0) : nil }
        guard numbers.count == 3, numbers[0] == code / 100, [2, 4, 5].contains(numbers[0]) else { return nil }
        return SMTPEnhancedCode(numbers[0], numbers[1], numbers[2])
    }
}
