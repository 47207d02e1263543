// Content-Transfer-Encoding (RFC 2045 section 6), undone piece by piece. What is no valid encoding is passed over as
// section 6.7 and 6.8 advise; there is always a result, and it does not depend on the pieces.
package enum TransferEncoding: Sendable {
    /// 7bit, 8bit and binary: the octets stand for themselves.
    case identity
    case base64
    case quotedPrintable

    /// Nil for an encoding that is not known, which BINARY answers with UNKNOWN-CTE (RFC 3516 section 4.3).
    package init?(_ name: [UInt8]) {
        if name.equalsIgnoringCase("base64") {
            self = .base64
        } else if name.equalsIgnoringCase("quoted-printable") {
            self = .quotedPrintable
        } else if name.equalsIgnoringCase("7bit") || name.equalsIgnoringCase("8bit")
            || name.equalsIgnoringCase("binary")
        {
            self = .identity
        } else {
            return nil
        }
    }
}

extension Part {
    /// Nil for an encoding that is not known.
    package var transferEncoding: TransferEncoding? { TransferEncoding(encoding) }

    /// A decoder for BINARY (RFC 9051 section 7.5.2): lines of text end with CRLF whatever they ended with before they
    /// were encoded. Nil for an encoding that is not known. The octets that come out, counted, are BINARY.SIZE.
    package var binaryDecoder: TransferDecoder? {
        transferEncoding.map { TransferDecoder($0, endsLines: kind == .text && !hasWideCharset) }
    }

    /// Octets of a line end mean something else in UTF-16 and UTF-32.
    private var hasWideCharset: Bool {
        guard let charset = parameter("charset") else { return false }
        let name = String(decoding: charset, as: UTF8.self).lowercased()
        return name.hasPrefix("utf-16") || name.hasPrefix("utf-32") || name.hasPrefix("ucs") || name.hasPrefix("utf16")
            || name.hasPrefix("iso-10646")
    }
}

package struct TransferDecoder: Sendable {
    private let encoding: TransferEncoding
    private let endsLines: Bool
    private var base64 = Base64Stream()
    private var quoted = QuotedPrintableStream()
    private var isAfterCR = false
    private var scratch: [UInt8] = []

    /// - Parameter endsLines: a line end that is LF alone becomes CRLF.
    package init(_ encoding: TransferEncoding, endsLines: Bool = false) {
        self.encoding = encoding
        self.endsLines = endsLines
    }

    /// Appends what the next octets stand for.
    package mutating func decode(_ piece: UnsafeRawBufferPointer, into out: inout [UInt8]) {
        guard endsLines else { return undo(piece, &out) }
        var text = emptied()
        undo(piece, &text)
        endLines(text, &out)
        scratch = text
    }

    /// The room of the last call, without what was in it.
    private mutating func emptied() -> [UInt8] {
        var room: [UInt8] = []
        swap(&room, &scratch)
        room.removeAll(keepingCapacity: true)
        return room
    }

    /// The body is at its end.
    package mutating func finish(into out: inout [UInt8]) {
        var text = emptied()
        switch encoding {
        case .identity: return
        case .base64: base64.finish(into: &text)
        case .quotedPrintable: quoted.finish(into: &text)
        }
        if endsLines { endLines(text, &out) } else { out.append(contentsOf: text) }
    }

    private mutating func undo(_ piece: UnsafeRawBufferPointer, _ out: inout [UInt8]) {
        switch encoding {
        case .identity: out.append(contentsOf: piece)
        case .base64: base64.decode(piece, into: &out)
        case .quotedPrintable: quoted.decode(piece, into: &out)
        }
    }

    private mutating func endLines(_ text: [UInt8], _ out: inout [UInt8]) {
        text.withUnsafeBytes { text in
            var position = 0
            while position < text.count {
                guard let feed = text.position(of: 10, from: position) else {
                    out.append(contentsOf: text.slice(position, text.count))
                    break
                }
                let hasCR = feed > 0 ? text[feed - 1] == 13 : isAfterCR
                out.append(contentsOf: text.slice(position, feed))
                if !hasCR { out.append(13) }
                out.append(10)
                position = feed + 1
            }
            if let last = text.last { isAfterCR = last == 13 }
        }
    }
}

/// RFC 2045 section 6.8. Octets outside the alphabet are passed over; after padding another run may begin.
struct Base64Stream: Sendable {
    private static let values: [UInt8] = {
        var table = [UInt8](repeating: 0xFF, count: 256)
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        for (index, octet) in alphabet.utf8.enumerated() { table[Int(octet)] = UInt8(index) }
        return table
    }()

    private var bits: UInt32 = 0
    private var held = 0

    mutating func decode(_ piece: UnsafeRawBufferPointer, into out: inout [UInt8]) {
        out.reserveCapacity(out.count + piece.count / 4 * 3 + 3)
        Self.values.withUnsafeBufferPointer { values in
            var position = 0
            while position < piece.count {
                if held == 0, position + 4 <= piece.count {
                    let a = values[Int(piece[position])]
                    let b = values[Int(piece[position + 1])]
                    let c = values[Int(piece[position + 2])]
                    let d = values[Int(piece[position + 3])]
                    if a | b | c | d < 64 {
                        out.append(a << 2 | b >> 4)
                        out.append(b << 4 | c >> 2)
                        out.append(c << 6 | d)
                        position += 4
                        continue
                    }
                }
                let octet = piece[position]
                position += 1
                let value = values[Int(octet)]
                if value < 64 {
                    bits = bits << 6 | UInt32(value)
                    held += 1
                    if held == 4 { flush(&out) }
                } else if octet == 61 {
                    flush(&out)
                }
            }
        }
    }

    mutating func finish(into out: inout [UInt8]) { flush(&out) }

    /// Whole octets of what is held: 3 of 4 characters, 2 of 3, 1 of 2.
    private mutating func flush(_ out: inout [UInt8]) {
        switch held {
        case 4:
            out.append(UInt8(truncatingIfNeeded: bits >> 16))
            out.append(UInt8(truncatingIfNeeded: bits >> 8))
            out.append(UInt8(truncatingIfNeeded: bits))
        case 3:
            out.append(UInt8(truncatingIfNeeded: bits >> 10))
            out.append(UInt8(truncatingIfNeeded: bits >> 2))
        case 2: out.append(UInt8(truncatingIfNeeded: bits >> 4))
        default: break
        }
        bits = 0
        held = 0
    }
}

/// RFC 2045 section 6.7. Spaces at the end of a line are no part of it; an equals sign before none of what it should
/// stand before is itself.
struct QuotedPrintableStream: Sendable {
    private enum Place {
        case text
        case afterEquals
        /// After `=` and a hexadecimal digit.
        case afterDigit(UInt8)
        /// After `=` and spaces that may lead to a line end.
        case afterSpaces
    }

    private var place = Place.text
    /// Spaces that may be at the end of a line. More than the limit are text, wherever they stand.
    private var spaces: [UInt8] = []

    mutating func decode(_ piece: UnsafeRawBufferPointer, into out: inout [UInt8]) {
        var position = 0
        // The next line feed and the next equals sign: looked for again when they are passed.
        var feed = -1
        var equals = -1
        while position < piece.count {
            guard case .text = place, spaces.isEmpty, piece[position] != 61 else {
                take(piece[position], &out)
                position += 1
                continue
            }
            // As much as stands for itself: up to an equals sign, or to the spaces that may end the line.
            if feed < position { feed = piece.position(of: 10, from: position) ?? piece.count }
            if equals < position { equals = piece.position(of: 61, from: position) ?? piece.count }
            var end = Swift.min(feed, equals)
            if end == feed {
                while end > position, piece[end - 1].isSpace { end -= 1 }
            }
            out.append(contentsOf: piece.slice(position, end))
            position = end
            if position < piece.count, position != equals {
                take(piece[position], &out)
                position += 1
            }
        }
    }

    mutating func finish(into out: inout [UInt8]) {
        switch place {
        case .text: spaces.removeAll()
        case .afterDigit(let digit): out.append(contentsOf: [61, digit])
        // A soft line break whose line end is not there.
        case .afterEquals, .afterSpaces: spaces.removeAll()
        }
        place = .text
    }

    private mutating func putSpaces(_ out: inout [UInt8]) {
        guard !spaces.isEmpty else { return }
        out.append(contentsOf: spaces)
        spaces.removeAll(keepingCapacity: true)
    }

    private mutating func hold(_ space: UInt8, _ out: inout [UInt8]) {
        spaces.append(space)
        if spaces.count > MIMELimits.lineOctetsMax { putSpaces(&out) }
    }

    private mutating func take(_ octet: UInt8, _ out: inout [UInt8]) {
        switch place {
        case .text: takeText(octet, &out)
        case .afterEquals:
            if octet == 10 {
                place = .text
            } else if octet.isSpace {
                place = .afterSpaces
                spaces.append(octet)
            } else if hexadecimal(octet) != nil {
                place = .afterDigit(octet)
            } else {
                out.append(61)
                place = .text
                takeText(octet, &out)
            }
        case .afterDigit(let first):
            place = .text
            if let high = hexadecimal(first), let low = hexadecimal(octet) {
                out.append(high << 4 | low)
            } else {
                out.append(contentsOf: [61, first])
                takeText(octet, &out)
            }
        case .afterSpaces:
            if octet == 10 {
                spaces.removeAll(keepingCapacity: true)
                place = .text
            } else if octet.isSpace, spaces.count < MIMELimits.lineOctetsMax {
                spaces.append(octet)
            } else {
                // No line end: the equals sign and the spaces were text.
                out.append(61)
                putSpaces(&out)
                place = .text
                takeText(octet, &out)
            }
        }
    }

    private mutating func takeText(_ octet: UInt8, _ out: inout [UInt8]) {
        switch octet {
        case 61:
            putSpaces(&out)
            place = .afterEquals
        case 32, 9: hold(octet, &out)
        case 13:
            // Its spaces stay held: whether it ends the line is not known.
            hold(octet, &out)
        case 10:
            let hasCR = spaces.last == 13
            spaces.removeAll(keepingCapacity: true)
            if hasCR { out.append(13) }
            out.append(10)
        default:
            putSpaces(&out)
            out.append(octet)
        }
    }
}
