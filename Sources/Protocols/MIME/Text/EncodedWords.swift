// Encoded words (RFC 2047) to UTF-8.
//
// Wider than the RFC where mail is: words of any length, beside other text, with spaces within `Q`, in quoted strings.
// Octets of neighbouring words of one charset are put together before they are converted, for there are programs that
// cut within characters. What is no encoded word, or of a charset that is not known, stays as it is.
package enum EncodedWords {
    /// The text of an unfolded field body in UTF-8, as far as its charsets are known.
    package static func decode(_ text: [UInt8]) -> [UInt8] {
        text.withUnsafeBytes { decode($0) }
    }

    package static func decode(_ text: UnsafeRawBufferPointer) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(text.count)
        var run = Run()
        var position = 0
        while position < text.count {
            guard let start = nextMark(text, position) else { break }
            guard let word = Word(text, at: start), word.charset.isEmpty == false else {
                run.flush(into: &out)
                out.append(contentsOf: text.slice(position, start + 2))
                position = start + 2
                continue
            }
            let between = text.slice(position, start)
            // Section 6.2: spaces between two words are no part of the text.
            if run.isEmpty || !between.allSatisfy({ $0.isSpace }) {
                run.flush(into: &out)
                out.append(contentsOf: between)
            }
            run.take(word, into: &out)
            position = word.end
        }
        run.flush(into: &out)
        out.append(contentsOf: text.slice(position, text.count))
        return out
    }

    /// Whether there is anything to decode.
    package static func areIn(_ text: UnsafeRawBufferPointer) -> Bool { nextMark(text, 0) != nil }

    /// The next `=?`.
    private static func nextMark(_ text: UnsafeRawBufferPointer, _ start: Int) -> Int? {
        var position = start
        while let found = text.position(of: 61, from: position), found + 1 < text.count {
            if text[found + 1] == 63 { return found }
            position = found + 1
        }
        return nil
    }

    /// Words of one charset without anything between them.
    private struct Run {
        var charset: [UInt8] = []
        var octets: [UInt8] = []

        var isEmpty: Bool { charset.isEmpty }

        mutating func take(_ word: Word, into out: inout [UInt8]) {
            if charset != word.charset { flush(into: &out) }
            charset = word.charset
            octets += word.octets
        }

        mutating func flush(into out: inout [UInt8]) {
            guard !isEmpty else { return }
            let text = Charset(charset).decode(octets)
            // A line end in a word must not become one in the field; NUL has no place in any text.
            out.append(contentsOf: text.lazy.map { $0 == 13 || $0 == 10 || $0 == 0 ? 32 : $0 })
            charset = []
            octets = []
        }
    }

    /// `=?charset*language?encoding?text?=`; the language is RFC 2231 section 5.
    private struct Word {
        var charset: [UInt8]
        var octets: [UInt8]
        var end: Int

        init?(_ text: UnsafeRawBufferPointer, at start: Int) {
            guard let charsetEnd = text.position(of: 63, from: start + 2), charsetEnd + 2 < text.count,
                text[charsetEnd + 2] == 63, let textEnd = text.position(of: 63, from: charsetEnd + 3),
                textEnd + 1 < text.count, text[textEnd + 1] == 61
            else { return nil }
            let name = text.slice(start + 2, charsetEnd)
            charset = Array(name.prefix { $0 != 42 }).map(\.lowered)
            guard !charset.isEmpty, Charset.isKnown(charset) else { return nil }
            let encoded = text.slice(charsetEnd + 3, textEnd)
            octets = []
            switch text[charsetEnd + 1].lowered {
            case 98:
                var decoder = Base64Stream()
                decoder.decode(encoded, into: &octets)
                decoder.finish(into: &octets)
            case 113: Self.decodeQ(encoded, &octets)
            default: return nil
            }
            end = textEnd + 2
        }

        /// Section 4.2: as quoted-printable, and `_` is a space.
        private static func decodeQ(_ text: UnsafeRawBufferPointer, _ out: inout [UInt8]) {
            var position = 0
            while position < text.count {
                let octet = text[position]
                if octet == 61, position + 2 < text.count, let high = hexadecimal(text[position + 1]),
                    let low = hexadecimal(text[position + 2])
                {
                    out.append(high << 4 | low)
                    position += 3
                } else {
                    out.append(octet == 95 ? 32 : octet)
                    position += 1
                }
            }
        }
    }
}

/// The value of a hexadecimal digit of either case.
func hexadecimal(_ digit: UInt8) -> UInt8? {
    switch digit {
    case 48...57: digit - 48
    case 65...70: digit - 55
    case 97...102: digit - 87
    default: nil
    }
}
