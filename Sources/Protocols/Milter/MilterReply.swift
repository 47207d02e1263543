// What a filter wants the client to hear, checked before it is said.

/// A refusal in a filter's words: a code of 400 to 599 and lines of printable ASCII.
package struct MilterReply: Hashable, Sendable {
    package var code: Int
    /// The second and third number of the enhanced code, whose first is that of `code`.
    package var subject: Int
    package var detail: Int
    package var lines: [String]

    package init(_ code: Int, _ subject: Int, _ detail: Int, _ lines: [String]) {
        self.code = code
        self.subject = subject
        self.detail = detail
        self.lines = lines
    }

    /// Of a filter that has no words of its own.
    package static let reject = MilterReply(550, 7, 1, ["Refused by a filter of this host"])
    package static let tryLater = MilterReply(451, 7, 1, ["A filter of this host asks to try again later"])
    /// After which the session ends.
    package static let shutdown = MilterReply(421, 7, 0, ["A filter of this host ends the session"])

    /// The text of SMFIR_REPLYCODE: `550 5.7.1 Text`, or lines of that kind, all but the last with a hyphen behind the code;
    /// `%%` stands for `%`.
    ///
    /// - Returns: nil where it is no reply that refuses.
    package init?(_ text: some Sequence<UInt8>) {
        var code: Int?
        var enhanced: (Int, Int)?
        var lines: [String] = []
        let octets = Self.unescaped(text)
        var parts = octets.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)[...]
        while let last = parts.last, last.allSatisfy({ $0 == 13 }) { parts.removeLast() }
        guard (1...MilterLimits.replyLinesMax).contains(parts.count) else { return nil }
        for part in parts {
            var line = part
            if line.last == 13 { line.removeLast() }
            guard line.count >= 3, line.prefix(3).allSatisfy(isDigit) else { return nil }
            let number = line.prefix(3).reduce(0) { $0 * 10 + Int($1 - 48) }
            guard (400...599).contains(number), code == nil || code == number else { return nil }
            code = number
            line = line.dropFirst(3)
            guard line.isEmpty || line.first == 32 || line.first == 45 else { return nil }
            line = line.dropFirst()
            if let (subject, detail, rest) = Self.enhancedCode(line, class: number / 100) {
                enhanced = enhanced ?? (subject, detail)
                line = rest
            }
            let printable = line.prefix(MilterLimits.replyLineOctetsMax).map { (0x20...0x7E).contains($0) ? $0 : 0x3F }
            lines.append(String(decoding: printable, as: UTF8.self))
        }
        guard let code else { return nil }
        let (subject, detail) = enhanced ?? (7, code == 421 ? 0 : 1)
        self.init(code, subject, detail, lines)
    }

    private static func unescaped(_ text: some Sequence<UInt8>) -> [UInt8] {
        var octets: [UInt8] = []
        var isEscaped = false
        for octet in text where octet != 0 {
            isEscaped = octet == UInt8(ascii: "%") && !isEscaped && octets.last == octet
            if !isEscaped { octets.append(octet) }
        }
        return octets
    }

    /// `5.7.1 `, of the class of the code; what follows it comes back.
    private static func enhancedCode(
        _ line: ArraySlice<UInt8>, class category: Int
    ) -> (subject: Int, detail: Int, rest: ArraySlice<UInt8>)? {
        let word = line.prefix { $0 != 32 }
        let parts = word.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, parts.allSatisfy({ (1...3).contains($0.count) && $0.allSatisfy(isDigit) })
        else { return nil }
        let numbers = parts.map { $0.reduce(0) { $0 * 10 + Int($1 - 48) } }
        guard numbers[0] == category else { return nil }
        return (numbers[1], numbers[2], line.dropFirst(word.count).dropFirst())
    }
}

private func isDigit(_ octet: UInt8) -> Bool { (48...57).contains(octet) }
